"""What is said of a layer, and how sure that is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

PROVED, TESTED, FAILED = "proved", "tested only", "failed"


@dataclass(frozen=True)
class Claim:
    """One part of a layer's proof."""

    part: str
    """bounds, constants, requantisation, products, inputs, values, bytes, wiring or schedule."""
    verdict: str
    how: str
    """What was done; where it failed, what differs and where."""
    count: int = 0
    """Values or calls that were compared."""


@dataclass(frozen=True)
class LayerProof:
    """All claims about one layer."""

    index: int
    name: str
    kernel: str
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> str:
        """That of the weakest claim."""
        verdicts = {claim.verdict for claim in self.claims}
        return next((each for each in (FAILED, TESTED) if each in verdicts), PROVED)

    def as_json(self) -> dict[str, Any]:
        """The keys of a layer in proof.json."""
        return {**asdict(self), "claims": [asdict(claim) for claim in self.claims], "verdict": self.verdict}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LayerProof:
        """Of `as_json`."""
        claims = tuple(Claim(**claim) for claim in value["claims"])
        return cls(value["index"], value["name"], value["kernel"], claims)
