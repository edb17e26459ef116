"""The published data sets that stapes knows: where they are, under which licence, how they are cited.

Checksums are those that the publishers or public loaders of these sets give.
"""

from __future__ import annotations

from dataclasses import dataclass

from stapes.errors import DataError
from stapes.recipe import DatasetSpec


@dataclass(frozen=True)
class Published:
    """One published data set, as one archive.

    `known_hash` is what pooch takes (`md5:…`, `sha256:…`); `folder` is the directory inside the archive that holds
    the data set ("" where it is the archive itself).
    """

    name: str
    title: str
    kind: str
    url: str
    known_hash: str
    megabytes: int
    folder: str
    clips: int
    classes: int
    folds: str
    licence: str
    citation: str


PUBLISHED = (
    Published(
        name="esc50",
        title="ESC-50 (ESC-10 is part of it)",
        kind="esc50",
        url="https://github.com/karolpiczak/ESC-50/archive/33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
        known_hash="md5:071b44018315e034b2c6e8064543d19c",
        megabytes=616,
        folder="ESC-50-33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6",
        clips=2000,
        classes=50,
        folds="5 official",
        licence="Creative Commons Attribution-NonCommercial 3.0 (the clips of ESC-10: Attribution 3.0); "
        "every recording's author is named in the archive's LICENSE",
        citation="K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015",
    ),
    Published(
        name="urbansound8k",
        title="UrbanSound8K",
        kind="urbansound8k",
        url="https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
        known_hash="md5:9aa69802bbf37fb986f71ec1483a196e",
        megabytes=6023,
        folder="UrbanSound8K",
        clips=8732,
        classes=10,
        folds="10 official, never reshuffled",
        licence="Creative Commons Attribution-NonCommercial 4.0; every recording's author is named in "
        "FREESOUNDCREDITS.txt",
        citation="J. Salamon, C. Jacoby, J. P. Bello, A Dataset and Taxonomy for Urban Sound Research, "
        "ACM Multimedia 2014",
    ),
    Published(
        name="speech-commands",
        title="Speech Commands, version 2",
        kind="speech_commands",
        url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        known_hash="sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        megabytes=2429,
        folder="",
        clips=105829,
        classes=35,
        folds="the published testing and validation lists, and the rest",
        licence="Creative Commons Attribution 4.0",
        citation="P. Warden, Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, "
        "arXiv:1804.03209, 2018",
    ),
)

_OWN = {
    "folders": "one folder a label",
    "csv": "listed in a table",
    "audacity": "with Audacity label tracks",
}


def published(name: str) -> Published:
    """The data set of that name; raises `DataError`."""
    for item in PUBLISHED:
        if item.name == name:
            return item
    raise DataError(
        f"no published data set {name!r} is known",
        hint=f"choose {', '.join(item.name for item in PUBLISHED)}",
    )


def describe(spec: DatasetSpec, folds: int) -> str:
    """What a model card says of the data: origin, licence, division into `folds` (of own recordings); one paragraph."""
    if spec.kind == "synthetic":
        return "Sounds made by arithmetic (`stapes.datasets.synthetic_clips`): for tests, not for use."
    if spec.kind in _OWN:
        rule = (
            "one recording's clips are in one fold"
            if spec.split == "recording"
            else "folds are stretches of time of the same recordings, so the figures are optimistic"
        )
        whose = spec.credits or "Own recordings."
        return (
            f"{whose} They are {_OWN[spec.kind]}, in {folds} folds; {rule}. They are not part of this bundle."
        )
    source = next(item for item in PUBLISHED if item.kind == spec.kind)
    title = "ESC-10, part of ESC-50" if spec.kind == "esc50" and spec.subset == "esc10" else source.title
    return (
        f"{title}. Folds: {source.folds}. {source.citation}. Licence: {source.licence}. "
        "The recordings are not part of this bundle."
    )
