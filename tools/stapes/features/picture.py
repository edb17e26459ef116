"""A picture of one clip's features: librosa's, the device's, and their difference."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.errors import StapesError
from stapes.features.fixed import FixedFrontend
from stapes.features.librosa_reference import librosa_log_mel
from stapes.features.tables import OutputQuantization
from stapes.files import write_atomic
from stapes.packages import needed_for
from stapes.recipe import FrontendSpec


def draw(
    pcm: npt.NDArray[np.int16], spec: FrontendSpec, output: OutputQuantization, title: str, path: Path
) -> Path:
    """Write a PNG of int16[n] with at least one frame; returns its path.

    The device's picture is the int8 features taken back to the log's unit; the difference is before int8.
    """
    with needed_for("drawing", "matplotlib"):
        from matplotlib.figure import Figure
    reference = librosa_log_mel(pcm, spec)
    frontend = FixedFrontend(spec)
    steps = frontend.features(pcm, output).astype(np.float64) - output.zero_point
    device = steps * output.scale * output.std + output.mean
    difference = frontend.log_mel_float(pcm) - reference
    end = (len(reference) - 1) * spec.hop_length / spec.sample_rate
    figure = Figure(figsize=(10, 9), layout="constrained")
    low, high = float(reference.min()), float(reference.max())
    worst = float(np.abs(difference).max()) or 1e-9
    panels = (
        (f"{title}: librosa, float64", reference, low, high, "magma"),
        ("device, int8", device, low, high, "magma"),
        (f"difference before int8 (largest {worst:.1e})", difference, -worst, worst, "coolwarm"),
    )
    for axes, (name, values, least, most, colours) in zip(
        figure.subplots(3, sharex=True), panels, strict=True
    ):
        image = axes.imshow(
            values.T, origin="lower", aspect="auto", interpolation="nearest", vmin=least, vmax=most,
            cmap=colours, extent=(0.0, max(end, 1e-3), -0.5, spec.n_mels - 0.5),
        )  # fmt: skip
        axes.set(title=name, ylabel="mel band")
        figure.colorbar(image, ax=axes, label=spec.log)
    axes.set_xlabel("start of the frame, s")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    try:
        write_atomic(path, content.getvalue())
    except OSError as error:
        raise StapesError(
            f"cannot write {path}: {error.strerror}", hint="choose another --out DIR"
        ) from error
    return path
