"""A kept match at work on image files: how alike two photos are, one person or two, and how sure that is."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.decoding import workers
from bench.data.examples import ImageError
from bench.data.files import MAX_FILE_BYTES
from bench.errors import BenchError, DataError, StoreError
from bench.keep import not_kept
from bench.methods.grammar import parse_method
from bench.models.backbones import parts_of, preprocess
from bench.predict import (
    Extract,
    Reading,
    check_kept,
    check_measured,
    frozen_features,
    kept_net,
    quiet,
    read_image,
    weights_for,
)
from bench.protocol import defaults
from bench.store import Stored
from bench.verification.kept import KeptMatch, load_match
from bench.verification.matcher import PhotoMatcher, from_arrays
from bench.verification.methods import match_of

BATCH = 64
"""Photos, or pairs of them, in memory at a time."""


@dataclass(frozen=True)
class PairAnswer:
    """What the model says of two photos.

    score: how alike they are; sure: the probability of one person, by validation pairs of the run. Both are
    None where a photo could not be read; `why` names it.
    """

    first: str
    second: str
    score: float | None
    sure: float | None
    same: bool | None
    why: str = ""


def open_match(stored: Stored, weights: str | None = None) -> MatchPredictor:
    """Return the model that was kept of a cell of pairs.

    weights: the file that a cell with weights of its own was run with. Raises StoreError where no model was
    kept or it is another cell's, BenchError for a cell of folds and for missing or other weights.
    """
    check_measured(stored)
    cell = stored.record["cell"]
    if why := not_kept(cell["backbone"], {**defaults(), **cell["protocol"]}):
        raise BenchError(f"cell {stored.id[:8]} keeps no model: {why}")
    head = load_match(stored.folder)
    check_kept(stored, head.cell, head.resize)
    return MatchPredictor(head, weights_for(Reading.of(head), weights))


@dataclass(frozen=True, eq=False)
class MatchPredictor:
    """A kept match with its backbone, which is built when the first photo is looked at."""

    head: KeptMatch
    weights: str

    def read(self, path: Path) -> np.ndarray:
        """Return a photo as the backbone sees it, (h, w, 3) uint8. Raises ImageError (a few words)."""
        return read_image(path, Reading.of(self.head))

    def scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, how alike (m, h, w, 3) uint8 photos of the model's size are."""
        parts = [
            self._scored(first[start : start + BATCH], second[start : start + BATCH])
            for start in range(0, len(first), BATCH)
        ]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def against(self, other: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return what gives (n, 1) float32 probabilities that photos show the person of this other one."""

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
        """Return what photos are compared by: features, or the pixels themselves."""
        if self.head.regime != "frozen" or isinstance(self._matcher, PhotoMatcher):
            return images
        from bench.models.engines import batch_for, run_engine

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
        """What compares, or None where a net does."""
        if any(name.startswith("net_") for name in self.head.arrays):
            return None
        try:
            return from_arrays(self.head.arrays)
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(_unfit(error)) from None

    @cached_property
    def _extract(self) -> Extract:
        from bench.models.engines import batch_for

        frozen, size = self.head.regime == "frozen", self.head.size
        with quiet():
            extract = frozen_features(Reading.of(self.head), self.weights) if frozen else self._net()
            # TensorFlow looks for devices when the first operation runs.
            extract(np.zeros((batch_for(size), *size, 3) if frozen else (1, 2, *size, 3), np.uint8))
        return extract

    def _net(self) -> Extract:
        from bench import env
        from bench.verification.nets import pair_net

        env.make_deterministic()
        head = self.head
        (info,) = parts_of(head.backbone)
        net = pair_net(info, head.size, "random", match_of(parse_method(head.method)).match, defaults(), 0)
        names = sorted(name for name in head.arrays if name.startswith("net_"))
        kept = [head.arrays[name] for name in names]
        return kept_net(net, kept, preprocess(info, head.preprocess), np.uint8)


def _unfit(why: object) -> str:
    text = " ".join(str(why).split())[:200]
    return f"the kept model does not fit together ({text}): train the cell again with --rerun --keep-model"


def read_pairs(path: Path) -> list[tuple[Path, Path]]:
    """Return the pairs of files that a table names, one pair a line, in its first two columns.

    Names are taken from the table's own folder unless they are absolute; a first line `first,second` is its
    header. Raises DataError (one line) for a table that cannot be read or a line that names no two files.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"--pairs {str(path)!r}: larger than {MAX_FILE_BYTES // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"--pairs {str(path)!r}: {error.strerror or error}") from None
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
