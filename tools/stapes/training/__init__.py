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
from stapes.training.embeddings import build_embeddings
from stapes.training.folds import FoldResult, train_fold, train_folds
from stapes.training.gallery import gallery
from stapes.training.head import train_heads, with_head
from stapes.training.loop import Interrupted, Report
from stapes.training.own_head import STATISTICS, SUFFIXES, read_head, statistics_backbone
from stapes.training.pool import FeaturePool, build_pool, default_cache
from stapes.training.quantize import quantize
from stapes.training.setup import Setup
from stapes.training.sketch import untrained_network

__all__ = [
    "STATISTICS",
    "SUFFIXES",
    "FeaturePool",
    "FoldResult",
    "Interrupted",
    "Report",
    "Setup",
    "build_embeddings",
    "build_pool",
    "default_cache",
    "gallery",
    "imported_bundle",
    "imported_metrics",
    "metrics_of",
    "quantize",
    "read_head",
    "rewrite_figures",
    "seeds_summary",
    "statistics_backbone",
    "train_fold",
    "train_folds",
    "train_heads",
    "untrained_network",
    "with_head",
    "write_bundle",
    "write_imported",
]
