"""The front-end specification: everything that can differ between two log-mel implementations.

docs/front-end.md is the text of this object.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stapes.files import canonical_json, sha256


class FrontendSpec(BaseModel):
    """What turns 16-bit PCM into log-mel features. Frames start at `t * hop_length`, never centred."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

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
    fmin: float = Field(60.0, ge=0.0, description="Hz, where the lowest band begins")
    fmax: float = Field(7800.0, gt=0.0, description="Hz, where the highest band ends")
    log: Literal["ln", "db", "log2"] = Field("ln", description="logarithm, and so the unit of the features")
    log_floor: float = Field(
        1e-6, gt=0.0, description="added to (offset) or lower bound of (clamp) the mel power"
    )
    log_floor_mode: Literal["offset", "clamp"] = Field("offset", description="what log_floor does")

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
        return self

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
