"""Predictions of saved models on image files: similarity of two photos, answer, probability."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.info import BackboneInfo
from bench.backbones.registry import preprocess
from bench.core.errors import BenchError, DataError, StoreError
from bench.core.paths import user_path
from bench.core.protocol import defaults
from bench.core.regular_files import Refused, read_file
from bench.core.table import Column, Table
from bench.data.decoding import workers
from bench.data.examples import ImageError
from bench.inference.explain import Target
from bench.inference.predict import (
    Extract,
    frozen_features,
    model_weights,
    opened,
    quiet,
    read_image,
    saved_net,
)
from bench.kinds.verification.checks import VIEW2
from bench.kinds.verification.match import match_of
from bench.kinds.verification.model_file import KeptMatch, load_match
from bench.kinds.verification.similarity.matcher import PhotoMatcher, from_arrays
from bench.methods.grammar import parse_method
from bench.report.render import json_list
from bench.store.write import Stored

BATCH = 64
"""Photos, or pairs of them, in memory at a time."""


@dataclass(frozen=True)
class PairAnswer:
    """Answer of a model to two photos.

    score: how alike they are; sure: the probability of one person, by validation pairs of the run. Both are
    None where a photo could not be read; `why` names it.
    """

    first: str
    second: str
    score: float | None
    sure: float | None
    same: bool | None
    why: str = ""


def open_match(stored: Stored, weights: str | None = None, allow_code: bool = False) -> MatchPredictor:
    """Return the saved model of a cell of pairs.

    weights: the file that a cell with weights of its own was run with. Raises StoreError where no model was
    saved or it is another cell's, BenchError for a cell of folds and for missing or other weights.
    """
    if stored.ok and stored.record["cell"]["protocol"].get("pairs") == "view2":
        raise BenchError(f"cell {stored.id[:8]} keeps no model: {VIEW2}")
    head = opened(stored, load_match, "photos")
    return MatchPredictor(head, *model_weights(head.backbone, head.weights, weights, allow_code))


@dataclass(frozen=True, eq=False)
class MatchPredictor:
    """A saved match with its backbone, which is built for the first photo."""

    head: KeptMatch
    parts: tuple[BackboneInfo, ...]
    weights: str

    def read(self, path: Path) -> np.ndarray:
        """Return a photo as the backbone sees it, (h, w, 3) uint8. Raises ImageError (a few words)."""
        return read_image(path, self.head)

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, how alike (m, h, w, 3) uint8 photos of the model's size are."""
        parts = [
            self._scored(first[start : start + BATCH], second[start : start + BATCH])
            for start in range(0, len(first), BATCH)
        ]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def against(self, other: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function to (n, 1) float32 probabilities that photos show this photo's person."""

        def scored(images: np.ndarray) -> np.ndarray:
            scores = self.scores(images, np.broadcast_to(other, images.shape))
            return self.head.sureness(scores).astype(np.float32)[:, None]

        return scored

    def answers(self, pairs: Sequence[tuple[Path, Path]]) -> list[PairAnswer]:
        """Return an answer for every pair of files, in order. A photo is read once and goes through once."""
        files = list(dict.fromkeys(path for pair in pairs for path in pair))
        with ThreadPoolExecutor(workers()) as pool:
            read = dict(zip(files, pool.map(self._read, files), strict=True))
        good = [pair for pair in pairs if all(not isinstance(read[path], str) for path in pair)]
        rows = {
            path: row for row, path in enumerate(path for path in files if not isinstance(read[path], str))
        }
        found: dict[tuple[Path, Path], float] = {}
        if good:
            seen = self._seen(np.stack([image for image in read.values() if not isinstance(image, str)]))
            first, second = (np.array([rows[pair[side]] for pair in good]) for side in (0, 1))
            found = dict(zip(good, self._compared(seen, first, second).tolist(), strict=True))
        return [self._answer(pair, found.get(pair), [read[path] for path in pair]) for pair in pairs]

    def _answer(self, pair: tuple[Path, Path], score: float | None, read: Sequence[Any]) -> PairAnswer:
        named = str(pair[0]), str(pair[1])
        if score is None:
            bad = [f"{path}: {why}" for path, why in zip(named, read, strict=True) if isinstance(why, str)]
            return PairAnswer(*named, None, None, None, "; ".join(dict.fromkeys(bad)))
        sure = float(self.head.sureness(np.array([score]))[0])
        return PairAnswer(*named, score, sure, bool(score >= np.float32(self.head.cut)))

    def _read(self, path: Path) -> np.ndarray | str:
        try:
            return self.read(path)
        except ImageError as error:
            return str(error)

    def _scored(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        seen = self._seen(np.concatenate([first, second]))
        return self._compared(seen, np.arange(len(first)), len(first) + np.arange(len(second)))

    def _seen(self, images: np.ndarray) -> np.ndarray:
        """Return the inputs of the comparison: features, or the pixels themselves."""
        if self.head.regime != "frozen" or isinstance(self._matcher, PhotoMatcher):
            return images
        from bench.backbones.engines import batch_for, run_engine

        batch = batch_for(self.head.size)
        parts = (
            (np.arange(start, min(start + batch, len(images))), images[start : start + batch])
            for start in range(0, len(images), batch)
        )
        return np.concatenate([features for _, features in run_engine(self._extract, parts, batch)])

    def _compared(self, seen: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32. Raises StoreError where the model's arrays do not fit what they are given."""
        sides = zip(self._blocks(first), self._blocks(second), strict=True)
        try:
            if self._matcher is not None:
                scores: np.ndarray = self._matcher(seen[first], seen[second])
            else:
                parts = [self._by_net(np.stack([seen[one], seen[two]], axis=1)) for one, two in sides]
                scores = np.concatenate(parts).astype(np.float32)
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(_unfit(error)) from None
        if scores.shape != (len(first),):
            raise StoreError(_unfit(f"{len(first)} pairs get scores of shape {scores.shape}"))
        return scores

    def _by_net(self, both: np.ndarray) -> np.ndarray:
        logits = self._extract(both) @ self.head.arrays["kernel"] + self.head.arrays["bias"]
        scores: np.ndarray = logits[:, 1] - logits[:, 0]
        return scores

    @staticmethod
    def _blocks(rows: np.ndarray) -> list[np.ndarray]:
        return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]

    @cached_property
    def _matcher(self) -> Any:
        """The matcher, or None where a net compares."""
        if any(name.startswith("net_") for name in self.head.arrays):
            return None
        try:
            return from_arrays(self.head.arrays)
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(_unfit(error)) from None

    @cached_property
    def _extract(self) -> Extract:
        from bench.backbones.engines import batch_for

        frozen, size = self.head.regime == "frozen", self.head.size
        with quiet():
            extract = frozen_features(self.parts, self.head, self.weights) if frozen else self._net()
            # TensorFlow looks for devices when the first operation runs.
            extract(np.zeros((batch_for(size), *size, 3) if frozen else (1, 2, *size, 3), np.uint8))
        return extract

    def _net(self) -> Extract:
        from bench.backbones.determinism import make_deterministic
        from bench.kinds.verification.siamese_nets import pair_net

        make_deterministic()
        head = self.head
        (info,) = self.parts
        match = match_of(parse_method(head.method, stored=True)).match
        setting = {**defaults(), "precision": head.precision}
        net = pair_net(info, head.size, "random", match, setting, 0)
        names = sorted(name for name in head.arrays if name.startswith("net_"))
        kept = [head.arrays[name] for name in names]
        return saved_net(net, kept, preprocess(info, head.preprocess), np.uint8)


def _unfit(why: object) -> str:
    text = " ".join(str(why).split())[:200]
    return f"the saved model does not fit together ({text}): train the cell again with --rerun --keep-model"


def read_pairs(path: Path) -> list[tuple[Path, Path]]:
    """Return the pairs of files that a table names, one pair a line, in its first two columns.

    Names are taken from the table's own folder unless they are absolute; a first line `first,second` is its
    header. Raises DataError (one line) for a table that cannot be read or a line that names no two files.
    """
    try:
        text = read_file(path).decode("utf-8-sig")
    except Refused as why:
        raise DataError(f"--pairs {str(path)!r}: {why}") from None
    except UnicodeDecodeError:
        raise DataError(f"--pairs {str(path)!r}: not UTF-8 text") from None
    pairs: list[tuple[Path, Path]] = []
    try:
        for number, row in enumerate(csv.reader(text.splitlines(), strict=True), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells) or (
                number == 1 and [cell.lower() for cell in cells[:2]] == ["first", "second"]
            ):
                continue
            if len(cells) < 2 or not cells[0] or not cells[1] or "\0" in "".join(cells[:2]):
                raise DataError(f"--pairs {str(path)!r} line {number}: names no two files")
            pairs.append((path.parent / cells[0], path.parent / cells[1]))
    except csv.Error as error:
        raise DataError(f"--pairs {str(path)!r}: {error}") from None
    if not pairs:
        raise DataError(f"--pairs {str(path)!r}: names no pair")
    return pairs


def _shown(head: KeptMatch, answers: Sequence[PairAnswer], fmt: str, title: str) -> Table | str:
    """Return the answers to pairs of photos; as `json`, text with an object for each pair."""
    rows = [
        {
            "first": answer.first,
            "second": answer.second,
            "similarity": answer.score,
            "cut": head.cut,
            "decision": None if answer.same is None else "same" if answer.same else "different",
            "sure": answer.sure,
            **({"error": answer.why} if answer.why else {}),
        }
        for answer in answers
    ]
    if fmt == "json":
        return json_list(rows)
    columns = [
        Column("first", "first"),
        Column("second", "second"),
        Column("similarity", "similarity", "ratio"),
        Column("cut", "cut", "ratio"),
        Column("decision", "decision"),
        Column("sure", "P(same)", "ratio"),
    ]
    notes = (
        "P(same): how often validation pairs with such a similarity were of one person; half of all were.",
    )
    return Table(title, columns, rows, notes)


takes_pairs: bool = True
thresholded: str = ""


def thresholds(head: Any) -> list[float] | None:
    """Return None: models of pairs are not exported."""
    return None


def predict(
    stored: Stored,
    images: Sequence[str],
    pairs: str | None,
    weights: str | None,
    fmt: str,
    top: int,
    title: str,
    allow_code: bool = False,
) -> tuple[Table | str, list[str]]:
    """See `bench.core.facets.Predictor`; of two images, or of those that a table names."""
    if (pairs is None) == (not images) or (images and len(images) != 2):
        raise BenchError("a pair is two photos: bench predict CELL A.jpg B.jpg, or --pairs FILE for many")
    model = open_match(stored, weights, allow_code)
    files = [(Path(images[0]), Path(images[1]))] if pairs is None else read_pairs(user_path(pairs))
    answers = model.answers(files)
    problems = [answer.why for answer in answers if answer.score is None]
    read = answers if fmt == "json" else [answer for answer in answers if answer.score is not None]
    return _shown(model.head, read, fmt, title), problems


def targets(
    stored: Stored,
    images: Sequence[str],
    names: Sequence[str],
    weights: str | None,
    allow_code: bool = False,
) -> tuple[list[Target], list[str]]:
    """Return a target for each of two photos: that it shows the person of the other one."""
    if len(images) != 2:
        raise BenchError("a pair is two photos: bench explain CELL A.jpg B.jpg --out DIR")
    if names:
        raise BenchError("--class: of two photos there is one question, whether they show one person")
    model = open_match(stored, weights, allow_code)
    paths = [user_path(image) for image in images]
    read: list[np.ndarray] = []
    problems = []
    for path in paths:
        try:
            read.append(model.read(path))
        except ImageError as error:
            problems.append(f"{path}: {error}")
    if problems:
        return [], problems
    both = zip(paths, read, reversed(read), strict=True)
    return [
        Target(path, number, own, model.against(other), ("same",), (0,))
        for number, (path, own, other) in enumerate(both, 1)
    ], []
