"""Shows for all inputs that a network's kernels compute what TFLM computes; the certificate of it."""

from stapes.proof.claim import Claim, LayerProof
from stapes.proof.prove import Proof, proof_key, prove_model

__all__ = ["Claim", "LayerProof", "Proof", "proof_key", "prove_model"]
