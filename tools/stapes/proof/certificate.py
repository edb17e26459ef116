"""proof.json: what was shown of a network, target by target, and whether it still holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stapes.errors import StapesError
from stapes.files import read_json, write_json
from stapes.graph import load_graph
from stapes.proof.claim import PROVED
from stapes.proof.frontend import Frontend
from stapes.proof.prove import Proof, proof_key
from stapes.recipe import Bundle
from stapes.reference import output_quantization
from stapes.targets import board_for_target

FORMAT = 1


def certificate_of(model: Path) -> Path:
    """Where the certificate of a .tflite, or of the directory of a bundle, lies."""
    return model / "proof.json" if model.is_dir() else model.with_suffix(".proof.json")


def write_certificate(path: Path, proof: Proof) -> None:
    """Put `proof` in the place of an earlier one for its target; proofs for others stay."""
    proofs = {name: value for name, value in _read(path).items() if name != proof.target}
    proofs[proof.target] = proof.as_json()
    try:
        write_json(path, {"format": FORMAT, "proofs": dict(sorted(proofs.items()))})
    except OSError as error:
        raise StapesError(
            f"cannot write {path}: {error.strerror}", hint="give another --certificate FILE"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
        proofs = value["proofs"] if value["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return proofs if isinstance(proofs, dict) else {}


def proved_for_all_inputs(bundle: Bundle, target: str) -> str | None:
    """`proved for all inputs on DATE, CORE, COMPILER`, where the certificate beside `bundle` says so of `target` and
    every hash is still the same, and what of the front end; None otherwise.
    """
    path = certificate_of(bundle.directory)
    board = board_for_target(target)
    if board is None or not path.is_file():
        return None
    try:
        proof = Proof.from_json(_read(path)[target])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    hop = bundle.manifest.window.hop_frames
    if proof.verdict != PROVED or proof.key != proof_key(bundle.model, hop, board, frontend_of(bundle)):
        return None
    shown = f"network proved for all inputs on {proof.date}, {proof.core}, {proof.compiler}"
    return f"{shown}; {proof.about_frontend}" if proof.about_frontend else shown


def frontend_of(bundle: Bundle) -> Frontend:
    """What `stapes prove` shows something of besides a bundle's network."""
    return Frontend(bundle.manifest.frontend, output_quantization(bundle, load_graph(bundle)))
