"""Networks of another origin: their front end, their layout, their edges; what does not fit is refused."""

from stapes.adopt.backbone import Backbone, Embedder, cut, open_backbone
from stapes.adopt.fit import check_fit
from stapes.adopt.frontends import NAMED, Settings, bundle_settings, read_settings
from stapes.adopt.layers import Outside, open_outside
from stapes.adopt.network import Layout, Network, Scores, adopt, labels_of, read_int8, read_network
from stapes.adopt.wakeword import WakeWord, read_manifest

__all__ = [
    "NAMED",
    "Backbone",
    "Embedder",
    "Layout",
    "Network",
    "Outside",
    "Scores",
    "Settings",
    "WakeWord",
    "adopt",
    "bundle_settings",
    "check_fit",
    "cut",
    "labels_of",
    "open_backbone",
    "open_outside",
    "read_int8",
    "read_manifest",
    "read_network",
    "read_settings",
]
