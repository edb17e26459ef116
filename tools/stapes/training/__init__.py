"""Architectures, augmentation, loop, quantisation. TensorFlow is imported when training starts."""

from stapes.training.bundle import (
    imported_bundle,
    imported_metrics,
    metrics_of,
    rewrite_figures,
    seeds_summary,
    write_bundle,
    write_imported,
)
from stapes.training.folds import FoldResult, train_fold, train_folds
from stapes.training.gallery import gallery
from stapes.training.head import train_heads
from stapes.training.loop import Interrupted, Report
from stapes.training.pool import FeaturePool, build_pool, default_cache
from stapes.training.quantize import quantize
from stapes.training.setup import Setup
from stapes.training.sketch import untrained_network

__all__ = [
    "FeaturePool",
    "FoldResult",
    "Interrupted",
    "Report",
    "Setup",
    "build_pool",
    "default_cache",
    "gallery",
    "imported_bundle",
    "imported_metrics",
    "metrics_of",
    "quantize",
    "rewrite_figures",
    "seeds_summary",
    "train_fold",
    "train_folds",
    "train_heads",
    "untrained_network",
    "write_bundle",
    "write_imported",
]
