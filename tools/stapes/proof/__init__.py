"""Shows for all inputs that a network's kernels compute what TFLM computes; the certificate of it."""

from stapes.proof.certificate import certificate_of, frontend_of, proved_for_all_inputs, write_certificate
from stapes.proof.claim import Claim, LayerProof
from stapes.proof.prove import Proof, prove_model

__all__ = [
    "Claim",
    "LayerProof",
    "Proof",
    "certificate_of",
    "frontend_of",
    "prove_model",
    "proved_for_all_inputs",
    "write_certificate",
]
