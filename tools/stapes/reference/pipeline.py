"""The whole device in Python: PCM → features → windows → every layer → scores → decision.

The front end is integer NumPy, the network the TFLM interpreter (or the NumPy operators where it has no wheel);
neither shares a line with the C.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from stapes.features import FixedFrontend, OutputQuantization
from stapes.graph import Graph, load_graph
from stapes.int8 import initial_state, run_graph
from stapes.recipe import Bundle
from stapes.reference.decision import DecisionRule, Verdict
from stapes.reference.tflm import TflmOracle

NetworkKind = Literal["auto", "tflm", "numpy"]


@dataclass(frozen=True)
class WindowReference:
    """What one window must give: int8 features [frames, n_features], int8 scores [classes], weight of the vote.

    `activations` maps a tensor's index in the .tflite to its value.
    """

    index: int
    features: npt.NDArray[np.int8]
    activations: Mapping[int, npt.NDArray[np.generic]]
    scores: npt.NDArray[np.int8]
    weight: int


@dataclass(frozen=True)
class ClipReference:
    """What a whole clip must give; `pcm` is what the device gets."""

    pcm: npt.NDArray[np.int16]
    windows: tuple[WindowReference, ...]
    verdict: Verdict


def output_quantization(bundle: Bundle, graph: Graph) -> OutputQuantization:
    """How log-mel values become the network's int8 input."""
    tensor = graph.tensor(graph.inputs[0])
    normalization = bundle.manifest.normalization
    return OutputQuantization(
        mean=normalization.mean, std=normalization.std, scale=tensor.scale, zero_point=tensor.zero_point
    )


def decision_rule(bundle: Bundle, graph: Graph) -> DecisionRule:
    """The bundle's vote, in steps of the network's output."""
    tensor = graph.tensor(graph.outputs[0])
    return DecisionRule.of(bundle.manifest.decision, tensor.scale, tensor.zero_point)


class Reference:
    """The reference for one bundle. `network` is what runs the network: the TFLM interpreter, or NumPy."""

    def __init__(self, bundle: Bundle, network: NetworkKind = "auto") -> None:
        self.bundle = bundle
        self.graph = load_graph(bundle)
        self.frontend = FixedFrontend(bundle.manifest.frontend)
        self.output = output_quantization(bundle, self.graph)
        self.rule = decision_rule(bundle, self.graph)
        if network == "auto":
            ours = any(op.kind.startswith("CUSTOM:") for op in self.graph.ops)
            network = "tflm" if TflmOracle.available() and not ours else "numpy"
        self.network: Literal["tflm", "numpy"] = network
        self._oracle = TflmOracle(bundle.model) if network == "tflm" else None
        self._state = initial_state(self.graph)

    def _activations(
        self, features: npt.NDArray[np.int8], goes_on: bool
    ) -> Mapping[int, npt.NDArray[np.generic]]:
        """Of one window; where the bundle is stateful and it `goes_on`, from what the last one left."""
        goes_on = goes_on and self.bundle.manifest.window.stateful
        if not goes_on:
            self._state = initial_state(self.graph)
        inputs: list[npt.NDArray[np.generic]] = [
            features.reshape(self.graph.tensor(self.graph.inputs[0]).shape)
        ]
        if self._oracle:
            return self._oracle.run(inputs, goes_on)
        return run_graph(self.graph, inputs, self._state)

    def scores(self, features: npt.NDArray[np.int8], goes_on: bool = False) -> npt.NDArray[np.int8]:
        """Scores of one window, int8[frames, n_features] to int8[classes]; of a stateful bundle as the one after the
        last, if it `goes_on`.
        """
        found = self._activations(features, goes_on)[self.graph.outputs[0]]
        return np.asarray(found, dtype=np.int8).reshape(-1)

    def fit(self, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """`pcm` itself, or with zeros at its end when it is shorter than one window."""
        spec = self.bundle.manifest
        missing = spec.frontend.samples(spec.window.frames) - len(pcm)
        return np.concatenate([pcm, np.zeros(missing, np.int16)]) if missing > 0 else pcm

    def windows(self, pcm: npt.NDArray[np.int16]) -> Iterator[WindowReference]:
        """Every complete window of `pcm` (int16 [samples]), in order."""
        spec = self.bundle.manifest
        length, hop = spec.window.frames, spec.window.hop_frames
        features = self.frontend.features(pcm, self.output)
        for index, first in enumerate(range(0, len(features) - length + 1, hop)):
            rows = features[first : first + length]
            activations = self._activations(rows, goes_on=index > 0)
            scores = np.asarray(activations[self.graph.outputs[0]], dtype=np.int8).reshape(-1)
            start = first * spec.frontend.hop_length
            heard = pcm[start : start + spec.frontend.samples(length)].astype(np.int64)
            weight = self.rule.weight(int(np.dot(heard, heard)), len(heard))
            yield WindowReference(index, rows, activations, scores, weight)

    def clip(self, pcm: npt.NDArray[np.int16]) -> ClipReference:
        """Everything that a clip must give; a clip shorter than one window is padded with zeros."""
        pcm = self.fit(pcm)
        windows = tuple(self.windows(pcm))
        verdict = self.rule.verdict(
            [window.scores for window in windows], [window.weight for window in windows]
        )
        return ClipReference(pcm, windows, verdict)
