"""The clips of a directory, what a network says of them, and the table that corrections go to."""

from __future__ import annotations

import csv
import io
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stapes.datasets import Clip, Span, audio_info
from stapes.datasets.division import cut
from stapes.datasets.esc50 import esc50_clips
from stapes.datasets.own import TABLE, layout, own_clips, recordings
from stapes.datasets.recording import padded, recorded_clip
from stapes.datasets.table import read_table, require_directory
from stapes.errors import DataError, StapesError
from stapes.files import write_all
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle, load_recipe
from stapes.reference import Classifier

COLUMNS = ("filename", "label", "start", "end", "fold", "group", "leave_out")
FORMER = f"{TABLE}.before"
"""What the table was before the first correction of a session."""

NONE = "none of them"
"""What is said of a clip that has none of the labels."""

_PIECE_SECONDS = 5.0
"""Length of the pieces of a recording without labels, where the recipe cuts none."""


@dataclass(eq=False)
class Entry:
    """A clip under review. `was` are its labels before. One without labels is in no table, unless it is said to hold
    `nothing` that has a label: a negative.
    """

    clip: Clip
    was: tuple[str, ...]
    labels: tuple[str, ...]
    fold: int
    left_out: bool = False
    was_nothing: bool = False
    nothing: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    said: str | None = None
    """The label that the network decided on (None: unknown); of tagging, all that reached their thresholds, `dog;rain`,
    or `NONE`."""
    problem: str = ""
    """Why the clip cannot be heard; empty where it can."""


class Review:
    """The clips of `directory` with the scores of `bundle`, the most doubtful first; corrections are written at once.

    Recordings are read in the layout of the bundle's recipe, or in the one that is there; what no label is of is cut in
    pieces and shown without one. A clip of a fold is heard by the network that left it out, where the bundle has it.
    Raises `DataError`.
    """

    def __init__(self, directory: Path, bundle: Bundle, progress: Progress = no_progress) -> None:
        require_directory(directory, "give the directory that holds the recordings")
        self.directory, self._lock = directory, threading.Lock()
        recipe = load_recipe(bundle.directory / "recipe.toml")
        self._spec, self._tagging = recipe.dataset, recipe.tagging
        self._other = self._spec.other_of(bundle.manifest.labels)
        self._rate = bundle.manifest.frontend.sample_rate
        self._is_saved = False
        self._kept = _left_out(directory / TABLE)
        self.entries = [
            Entry(
                clip, clip.labels, clip.labels, clip.fold, was_nothing=not clip.label, nothing=not clip.label
            )
            for clip in self._labelled()
        ]
        self.entries += self._unlabelled()
        if not self.entries:
            raise DataError(f"{directory}: no recordings to review", hint="record some, as WAV or FLAC")
        self._hear(bundle, progress)
        known = {*bundle.manifest.labels, *(label for entry in self.entries for label in entry.was)} - {""}
        self.labels = sorted(known)
        self._folds = {entry.clip.group: entry.fold for entry in self.entries if entry.fold}
        self.entries.sort(key=self._doubt)

    def _labelled(self) -> list[Clip]:
        """Every clip with a label, whatever the recipe leaves out; none where nothing is labelled yet."""
        spec, directory = self._spec, self.directory
        if spec.kind == "esc50" and (directory / "meta" / "esc50.csv").is_file():
            return esc50_clips(directory, spec.subset, self._rate)
        kind = layout(directory, spec.kind if spec.kind in ("folders", "csv", "audacity") else "csv")
        files = recordings(directory)
        tracks = [path for path in files if path.with_suffix(".txt").is_file()]
        folders = [path for path in files if path.parent != directory]
        if kind == "csv" and not (directory / TABLE).is_file():
            return []
        only = {"csv": None, "audacity": tracks, "folders": folders}[kind]
        if only == []:
            return []
        spec = spec.model_copy(update={"kind": kind})
        clips = own_clips(directory, spec, self._rate, for_training=False, only=only)
        return [padded(clip, spec.pad_seconds, self._rate) for clip in clips] if spec.pad_seconds else clips

    def _unlabelled(self) -> list[Entry]:
        """Recordings that no clip is of, in pieces."""
        named = {entry.clip.path.resolve() for entry in self.entries if entry.clip.path}
        named |= {(self.directory / row["filename"]).resolve() for row in self._kept}
        seconds = self._spec.cut_seconds or _PIECE_SECONDS
        found = []
        for path in recordings(self.directory):
            if path.resolve() in named:
                continue
            name = path.relative_to(self.directory).as_posix()
            group = (
                path.parent.relative_to(self.directory).as_posix() if path.parent != self.directory else name
            )
            try:
                spans: list[Span | None] = [*cut(Span(0.0, audio_info(path).seconds), seconds)]
            except DataError:
                spans = [None]  # said when it is read
            for span in spans if len(spans) > 1 else [None]:
                clip = recorded_clip(
                    path,
                    name=name if span is None else f"{name}@{span.start:.3f}",
                    label="",
                    fold=0,
                    sample_rate=self._rate,
                    span=span,
                    group=group,
                )
                found.append(Entry(clip, (), (), 0))
        return found

    def _hear(self, bundle: Bundle, progress: Progress) -> None:
        """What the device would say of every clip."""
        heard: dict[int, Classifier] = {}
        for done, entry in enumerate(self.entries):
            progress("clips", done, len(self.entries))
            network = bundle.files.get(f"folds/fold{entry.fold}.tflite") if entry.fold else None
            fold = entry.fold if network is not None else 0
            if fold not in heard:
                files = bundle.files | ({} if network is None else {"model.tflite": network})
                heard[fold] = Classifier(Bundle(bundle.directory, bundle.manifest, files))
            try:
                found = heard[fold].classify(entry.clip.pcm)
            except DataError as error:
                entry.problem = error.message
                continue
            entry.scores, entry.said = found.scores, found.label
            if self._tagging:
                labels = bundle.manifest.labels
                least = zip(labels, bundle.manifest.live.thresholds_of(labels), strict=True)
                entry.said = ";".join(label for label, score in least if found.scores[label] >= score) or NONE
        progress("clips", len(self.entries), len(self.entries))

    def expected(self, entry: Entry) -> set[str]:
        """The network's classes that the clip's labels are; empty where it knows none of them."""
        known = {label for label in entry.labels if label in entry.scores}
        has_word = bool(entry.labels) or entry.nothing
        return known or ({self._other} if has_word and self._other in entry.scores else set())

    def is_right(self, entry: Entry) -> bool | None:
        """Whether the network said one of the clip's labels (with tagging all of them, of a negative none); None where
        there is nothing to compare.
        """
        if self._tagging or (entry.nothing and not self.expected(entry)):
            if not entry.scores or not (entry.labels or entry.nothing):
                return None
            said = set() if entry.said in (None, NONE) else {*(entry.said or "").split(";")}
            return said == set(entry.labels) & set(entry.scores)
        expected = self.expected(entry)
        return entry.said in expected if expected and entry.scores else None

    def _doubt(self, entry: Entry) -> tuple[float, str]:
        """The smaller, the sooner it should be looked at: the share that its own label got."""
        if entry.problem:
            return (-1.0, entry.clip.name)
        if (self._tagging and entry.labels) or (entry.nothing and not self.expected(entry)):
            shares = [
                score if label in entry.labels else 1.0 - score for label, score in entry.scores.items()
            ]
            return (min(shares, default=0.0), entry.clip.name)
        expected = self.expected(entry) or set(entry.scores)
        return (max((entry.scores[label] for label in expected), default=0.0), entry.clip.name)

    def correct(
        self, number: int, labels: Sequence[str], left_out: bool = False, nothing: bool = False
    ) -> Entry:
        """Give a clip its labels, or say that it holds `nothing` that has one (neither: as it was when it had none),
        and write the table.

        Raises `StapesError`; nothing has changed then.
        """
        with self._lock:
            if not 0 <= number < len(self.entries):
                raise StapesError(f"there is no clip {number}")
            entry = self.entries[number]
            unknown = [label for label in labels if label not in self.labels]
            if unknown:
                raise StapesError(f"{', '.join(unknown)}: no label that is known here")
            if labels and nothing:
                raise StapesError("a clip has labels, or none of them")
            if not labels and (entry.was or entry.was_nothing) and not (left_out or nothing):
                raise StapesError("a clip has a label, or none of them, or is left out")
            before = (entry.labels, entry.left_out, entry.nothing, entry.fold)
            entry.labels, entry.left_out, entry.nothing = tuple(dict.fromkeys(labels)), left_out, nothing
            if (entry.labels or entry.nothing) and not entry.fold:
                entry.fold = self._dealt(entry)
            try:
                self._save()
            except BaseException:
                entry.labels, entry.left_out, entry.nothing, entry.fold = before
                raise
            return entry

    def _dealt(self, entry: Entry) -> int:
        """The fold of its group, else the one that has fewest clips of its label."""
        group = entry.clip.group
        if group not in self._folds:
            held: dict[int, Counter[str]] = {
                fold: Counter() for fold in {*self._folds.values()} or range(1, self._spec.folds + 1)
            }
            for other in self.entries:
                if other.fold in held:
                    held[other.fold].update(other.labels or [""] * other.nothing)
            self._folds[group] = min(
                held,
                key=lambda fold: (
                    sum(held[fold][x] for x in entry.labels or ("",)),
                    held[fold].total(),
                    fold,
                ),
            )
        return self._folds[group]

    def _save(self) -> None:
        stream = io.StringIO()
        rows = csv.DictWriter(stream, COLUMNS, lineterminator="\n", extrasaction="ignore")
        rows.writeheader()
        with_group = self._spec.split == "recording"
        for entry in sorted(self.entries, key=lambda entry: entry.clip.name):
            labels = entry.labels or (() if entry.nothing else entry.was)
            if not (labels or entry.nothing or entry.was_nothing):
                continue
            span = entry.clip.span
            rows.writerow(
                {
                    "filename": self._relative(entry.clip),
                    "label": ";".join(labels),
                    "start": "" if span is None else f"{span.start:.6f}",
                    "end": "" if span is None else f"{span.end:.6f}",
                    "fold": entry.fold,
                    "group": entry.clip.group if with_group else "",
                    "leave_out": "yes" if entry.left_out else "",
                }
            )
        for row in self._kept:
            rows.writerow(row)
        path = self.directory / TABLE
        former = {} if self._is_saved or not path.is_file() else {FORMER: path.read_bytes()}
        try:
            write_all(self.directory, {**former, TABLE: stream.getvalue()})
        except OSError as error:
            raise StapesError(
                f"cannot write {path}: {error.strerror}", hint="make the directory writable"
            ) from error
        self._is_saved = True

    def _relative(self, clip: Clip) -> str:
        assert clip.path is not None
        root = self.directory.resolve()
        path = clip.path.resolve()
        if not path.is_relative_to(root):
            raise StapesError(
                f"{clip.path} lies outside of {self.directory}, which {TABLE} cannot name",
                hint="copy the recordings instead of linking to them",
            )
        return path.relative_to(root).as_posix()

    def changes(self) -> list[str]:
        """What is different from the beginning, counted: `dog -> rain`, `fan left out`."""
        found: Counter[str] = Counter()
        for entry in self.entries:
            was = ";".join(entry.was) or (NONE if entry.was_nothing else "no label")
            now = ";".join(entry.labels) or (NONE if entry.nothing else "")
            if entry.left_out:
                found[f"{was} left out"] += 1
            elif now and now != was:
                found[f"{was} -> {now}"] += 1
        return [f"{change} ({count})" if count > 1 else change for change, count in found.most_common()]


def _left_out(table: Path) -> list[dict[str, str]]:
    """The rows of a table that were left out before: they stay in it, and are not shown."""
    if not table.is_file():
        return []
    rows = read_table(table, ("filename", "label"), f"correct {TABLE}")
    return [{column: row[column] for column in COLUMNS} for row in rows if row["leave_out"]]
