"""The optimiser of a recipe: AdamW, or Muon for convolution kernels with Adam for the rest."""

from __future__ import annotations

from typing import Any

from stapes.recipe import TrainingSpec
from stapes.training.backend import import_keras


def build_optimizer(settings: TrainingSpec) -> Any:
    """A Keras optimiser with `settings.learning_rate` and `settings.weight_decay` (a share a step, times the rate).

    Muon (Jordan et al. 2024) makes the update of a kernel, seen as a matrix [height * width * inputs, outputs], nearly
    orthogonal, so that rare directions learn as fast as frequent ones. With the scale of Liu et al., *Muon is scalable
    for LLM training*, 2025, its learning rates are those of AdamW. What is no kernel decays not at all.
    """
    keras = import_keras()
    if settings.optimizer == "adamw":
        return keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay)
    return _kernel_muon()(settings.learning_rate, weight_decay=settings.weight_decay, adam_weight_decay=None)


def _kernel_muon() -> Any:
    """Keras' Muon takes matrices only; this one takes the kernels of convolutions, and leaves dense layers to Adam."""
    keras = import_keras()
    base: Any = keras.optimizers.Muon

    class KernelMuon(base):  # type: ignore[misc]
        def _should_use_adamw(self, variable: Any) -> bool:
            return len(variable.shape) != 4

        def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
            ops = keras.ops
            self.assign(m, self.momentum * m + gradient)
            ahead = gradient + self.momentum * m
            matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
            update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(matrix, self.ns_steps))
            self.assign_sub(variable, ops.reshape(update, variable.shape))

    return KernelMuon
