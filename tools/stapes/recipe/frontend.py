"""The front-end specification: everything that can differ between two log-mel implementations.

docs/front-end.md is the text of this object.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from stapes.files import canonical_json, sha256
from stapes.recipe.section import Section


class PcenSpec(Section):
    """Per-channel energy normalisation: `(mel / (eps + smooth)^gain + bias)^power - bias^power`.

    `smooth` follows `mel` with the time constant; it starts at the first frame. As `librosa.pcen`.
    """

    gain: float = Field(0.98, ge=0.0, le=1.0, description="how much of the smoothed level is divided out")
    bias: float = Field(2.0, ge=0.01, le=1000.0, description="offset before the root")
    power: float = Field(0.5, gt=0.0, le=1.0, description="exponent of the root")
    time_constant: float = Field(0.4, gt=0.0, le=100.0, description="seconds")
    eps: float = Field(1e-6, ge=1e-9, le=1.0, description="least level")


MICRO: dict[str, Any] = {
    "sample_rate": 16000,
    "frame_length": 480,
    "n_fft": 512,
    "window": "hann",
    "spectrum": "magnitude",
    "n_mels": 40,
    "mel_scale": "htk",
    "mel_norm": "none",
    "mel_lines": "mel",
    "fmin": 125.0,
    "fmax": 7500.0,
    "log": "ln",
    "pre_emphasis": 0.0,
    "remove_dc": False,
    "n_mfcc": 0,
    "pcen": None,
}
"""What the micro front end is, where it is like the others; the rest is its own."""


class FrontendSpec(Section):
    """What turns 16-bit PCM into log-mel features. Frames start at `t * hop_length`, never centred."""

    later = frozenset(
        {"pre_emphasis", "remove_dc", "n_mfcc", "lifter", "pcen", "mel_lines", "dct_norm", "micro"}
    )

    sample_rate: int = Field(16000, ge=8000, le=48000, description="Hz")
    frame_length: int = Field(512, ge=16, le=4096, description="samples that the window covers")
    hop_length: int = Field(320, ge=1, le=4096, description="samples between the starts of two frames")
    n_fft: int = Field(
        512, ge=128, le=4096, description="power of two; the frame is padded with zeros at its end"
    )
    window: Literal["hann", "hamming", "none"] = Field("hann", description="periodic; none: rectangular")
    spectrum: Literal["power", "magnitude"] = Field("power", description="what the mel bands sum up")
    n_mels: int = Field(64, ge=20, le=128, description="mel bands")
    mel_scale: Literal["slaney", "htk"] = Field("slaney", description="formula of the mel scale")
    mel_norm: Literal["slaney", "none"] = Field("slaney", description="slaney: every band has the same area")
    mel_lines: Literal["hz", "mel"] = Field(
        "hz", description="over what the sides of a band are straight: hz as librosa, mel as TensorFlow"
    )
    fmin: float = Field(60.0, ge=0.0, description="Hz, where the lowest band begins")
    fmax: float = Field(7800.0, gt=0.0, description="Hz, where the highest band ends")
    log: Literal["ln", "db", "log2"] = Field("ln", description="logarithm, and so the unit of the features")
    log_floor: float = Field(
        1e-6, gt=0.0, description="added to (offset) or lower bound of (clamp) the mel power"
    )
    log_floor_mode: Literal["offset", "clamp"] = Field("offset", description="what log_floor does")
    pre_emphasis: float = Field(0.0, ge=0.0, lt=1.0, description="x[n] - pre_emphasis * x[n - 1]; 0: none")
    remove_dc: bool = Field(False, description="subtract each frame's mean before the window")
    n_mfcc: int = Field(0, ge=0, le=128, description="coefficients of the DCT-II; 0: log-mel")
    dct_norm: Literal["ortho", "none", "tf"] = Field(
        "ortho",
        description="of the MFCC: orthonormal; none: twice the sums; tf: these over sqrt(2 n_mels), as TensorFlow",
    )
    lifter: int = Field(0, ge=0, le=128, description="of the MFCC, as librosa.feature.mfcc; 0: none")
    pcen: PcenSpec | None = Field(None, description="gain control instead of the logarithm")
    micro: bool = Field(
        False,
        description="the micro front end of TensorFlow Lite Micro, bit for bit as microWakeWord's networks are trained "
        "on it: with its own arithmetic, noise reduction, gain control and logarithm. Only hop_length is free",
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.n_fft & (self.n_fft - 1):
            raise ValueError(f"n_fft = {self.n_fft} is not a power of two")
        if self.frame_length > self.n_fft:
            raise ValueError(f"frame_length = {self.frame_length} is longer than n_fft = {self.n_fft}")
        if self.hop_length > self.frame_length:
            raise ValueError(
                f"hop_length = {self.hop_length} is longer than frame_length = {self.frame_length}: "
                "samples would be skipped"
            )
        if self.fmax > self.sample_rate / 2:
            raise ValueError(
                f"fmax = {self.fmax:g} Hz is above half the sample rate ({self.sample_rate / 2:g} Hz)"
            )
        if self.fmin >= self.fmax:
            raise ValueError(f"fmin = {self.fmin:g} Hz is not below fmax = {self.fmax:g} Hz")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc = {self.n_mfcc} is more than n_mels = {self.n_mels}")
        if self.lifter and not self.n_mfcc:
            raise ValueError(f"lifter = {self.lifter} needs n_mfcc: it weights cepstral coefficients")
        if self.dct_norm != "ortho" and not self.n_mfcc:
            raise ValueError(f"dct_norm = {self.dct_norm} needs n_mfcc: it scales cepstral coefficients")
        if self.pcen and self.n_mfcc:
            raise ValueError("pcen and n_mfcc exclude each other: pcen replaces the logarithm of MFCC")
        if self.micro:
            found = {key: getattr(self, key) for key in MICRO}
            wrong = [f"{key} = {value}" for key, value in found.items() if value != MICRO[key]]
            if wrong:
                raise ValueError(
                    f"the micro front end is one setting, and {', '.join(wrong)} is not of it: leave out everything "
                    "but hop_length with --frontend microfrontend (or set micro = false)"
                )
        return self

    @property
    def kind(self) -> Literal["log-mel", "MFCC", "PCEN", "micro features"]:
        """What the values of a row are."""
        if self.micro:
            return "micro features"
        return "MFCC" if self.n_mfcc else "PCEN" if self.pcen else "log-mel"

    @property
    def n_features(self) -> int:
        """Values in a row: n_mfcc where given, else n_mels."""
        return self.n_mfcc or self.n_mels

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the specification's canonical JSON; the device reports the same."""
        return sha256(canonical_json(self.model_dump(mode="json")))

    def frames(self, samples: int) -> int:
        """Number of complete frames in `samples` samples."""
        return 0 if samples < self.frame_length else 1 + (samples - self.frame_length) // self.hop_length

    def samples(self, frames: int) -> int:
        """Number of samples that `frames` frames cover."""
        return self.frame_length + (frames - 1) * self.hop_length
