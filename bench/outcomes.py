"""Reads what stored cells answered on test, as quickly as a leaderboard of a thousand cells needs it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.contests import AREAS, DRAWS, MEANS_OF, PAIRED, SMALL, Contest, Items
from bench.kinds.base import PAIRS
from bench.metrics import scores as on_scores
from bench.metrics.multiclass import group_of
from bench.metrics.placements import attribute_areas, placements
from bench.metrics.verification import means
from bench.spec import PairFacts, Predictions

if TYPE_CHECKING:
    from bench.store import Stored

COLUMNS = ("split", "item", "group", "truth", "scores")
PAIR_COLUMNS = ("partner", "fold", "cut", "photo_a", "photo_b")
"""Of what is stored of pairs of photos alone."""

_AT_ONCE, _IN_A_ROW = 128, 8
"""Cells whose scores are in memory at the same time, and how many of them one thread reads in a row."""


@dataclass(frozen=True, eq=False)
class Part:
    """The test part of one cell, items in the order of its file.

    key: digest of stage, classes, items, groups and truth; equal keys mean equal items in equal order.
    table: the columns as they were read. truth: (n,) or, of many attributes, (n, k); see `Predictions`.
    values: see `Contest.values`, here in the file's order.
    """

    stored: Stored
    key: bytes
    table: Any
    truth: np.ndarray
    scores: np.ndarray
    values: Mapping[str, np.ndarray]


def contests(
    cells: Sequence[Stored], metrics: Iterable[str], draws: int = DRAWS, seed: int = 0
) -> tuple[list[Contest], list[str]]:
    """Return the measured cells, those that answered the same items together, and a line per unreadable one.

    metrics: what will be asked of the contests; what no bootstrap can draw is left out. Equal arguments
    give equal draws. Raises BenchError for a kind this version does not know.
    """
    asked = tuple(dict.fromkeys(metrics))
    found: dict[bytes, _Place] = {}
    by_items: dict[bytes, Contest] = {}
    problems = []
    tables = (*MEANS_OF.values(), SMALL)
    drawn_by = [table[metric][0] for metric in asked for table in tables if metric in table]
    numbers = frozenset({"top1", *drawn_by})
    for part in _parts([stored for stored in cells if stored.ok], numbers):
        if isinstance(part, str):
            problems.append(part)
            continue
        if part.key not in found:
            found[part.key] = _place(part, by_items, draws, seed)
        place, support = found[part.key], np.asarray(part.stored.record["train_support"], np.int64)
        values = {name: numbers[place.rows] for name, numbers in part.values.items()}
        place.contest.add(part.stored.id, values, support[place.columns])
        means = MEANS_OF.get(place.contest.kind, {})
        if left := [metric for metric in asked if metric not in means]:
            place.contest.add_drawn(part.stored.id, _predictions(part, place), left)
    return list(by_items.values()), problems


def _parts(cells: Sequence[Stored], numbers: Set[str]) -> Iterator[Part | str]:
    def read(first: int) -> list[Part | str]:
        return [_read(stored, numbers) for stored in cells[first : first + _IN_A_ROW]]

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for first in range(0, len(cells), _AT_ONCE):
            starts = range(first, min(first + _AT_ONCE, len(cells)), _IN_A_ROW)
            yield from chain.from_iterable(pool.map(read, starts))


def _read(stored: Stored, numbers: Set[str]) -> Part | str:
    path = stored.folder / "predictions.parquet"
    try:
        columns = [*COLUMNS, *(PAIR_COLUMNS if stored.record["cell"]["kind"] == PAIRS else ())]
        # Without `use_threads`: the pool reads several files at once. A filter would import pandas.
        whole = pq.ParquetFile(path, read_dictionary=["split"]).read(columns, use_threads=False)
        return _part(stored, _test_rows(whole), numbers)
    except (OSError, ValueError, KeyError, IndexError, AttributeError, pa.ArrowException) as error:
        why = " ".join(str(error).split())[:200]
        return f"{path}: cannot be read ({why}); run the cell again with --rerun"


def _test_rows(whole: Any) -> Any:
    split = whole["split"].combine_chunks()
    test = split.dictionary.to_pylist().index("test")
    rows = np.flatnonzero(_fixed(split.indices, np.int32) == test)
    if not len(rows) or rows[-1] - rows[0] + 1 != len(rows):
        raise ValueError("its test rows are not one block")
    return whole.slice(int(rows[0]), len(rows))


def _part(stored: Stored, table: Any, numbers: Set[str]) -> Part:
    record, kind = stored.record, stored.record["cell"]["kind"]
    single, shape = kind == "multiclass", (len(table), len(record["classes"]))
    truth = _fixed(_flat(table["truth"]), np.int32)
    scores = _fixed(_flat(table["scores"]), np.float32).reshape(shape)
    if single and (truth.shape != shape[:1] or truth.min() < 0 or truth.max() >= shape[1]):
        raise ValueError("a class that is not there")
    if not single and (truth.size != scores.size or truth.min() < -1 or truth.max() > 1):
        raise ValueError("an answer that is neither yes nor no nor unknown")
    if np.isnan(scores).any():
        raise ValueError("a score that is not a number")
    text = repr([_stage_key(record), record["classes"]])
    digest = hashlib.blake2b(text.encode("utf-8", "backslashreplace"))
    for name in ("item", "group"):
        _digest_texts(digest, table[name].combine_chunks())
    digest.update(truth.data)
    if single:
        values = _values(scores, truth, numbers)
    elif kind == PAIRS:
        values = _of_pairs(table, scores[:, 0], truth, numbers, digest)
    else:
        truth = truth.reshape(shape)
        values = _marks(scores, truth, _cuts(record), record["classes"]) | _areas(
            scores, truth, record, numbers
        )
    return Part(stored, digest.digest(), table, truth, scores, values)


def _stage_key(record: Mapping[str, Any]) -> list[Any]:
    cell = record["cell"]
    data = [cell["data"][key] for key in ("source", "fingerprint")]
    return [*(cell[key] for key in ("kind", "task", "task_version", "stage")), *data]


def _flat(column: Any) -> Any:
    """Return a column of numbers, or of lists of as many numbers, as one arrow array of numbers."""
    array = column.combine_chunks()
    return array.flatten() if pa.types.is_fixed_size_list(array.type) else array


def _cuts(record: Mapping[str, Any]) -> np.ndarray | None:
    """Return from which score on each attribute is a yes, (k,) float32, None where that is one half."""
    cuts = record.get("cuts")
    return None if cuts is None else np.asarray(cuts, np.float32)


def _fixed(array: Any, dtype: Any) -> np.ndarray:
    """Return an arrow array of fixed width as numpy's, without a copy; its own to_numpy imports pandas."""
    if array.null_count:
        raise ValueError("a number is missing")
    return np.frombuffer(array.buffers()[-1], dtype)[array.offset : array.offset + len(array)]


def _digest_texts(digest: Any, array: Any) -> None:
    """Add an arrow array of strings to a digest without making Python's strings of them."""
    if array.null_count:
        digest.update(repr(array.is_null().to_pylist()).encode() if array.null_count < len(array) else b"-")
        if array.null_count == len(array):
            return
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    digest.update(np.diff(ends).data)
    digest.update(memoryview(data)[int(ends[0]) : int(ends[-1])])


def _values(scores: np.ndarray, truth: np.ndarray, numbers: Set[str]) -> dict[str, np.ndarray]:
    """Return those numbers of each item that are asked for and defined: (n,) float32 each."""
    out = {"top1": (scores.argmax(axis=1) == truth).astype(np.float32)}
    if "top5" in numbers and scores.shape[1] > 5:
        out["top5"] = (on_scores.ranks(scores, truth) < 5).astype(np.float32)
    if "log_loss" in numbers and on_scores.are_probabilities(scores):
        own = scores[np.arange(len(truth)), truth].clip(np.finfo(scores.dtype).eps, 1)
        out["log_loss"] = -np.log(own)
    wanted = numbers & {"auc_macro", "auc_weighted"}
    if wanted and (found := placements(scores, truth)) is not None:
        out |= {"placement": found.own.astype(np.float32)}
        out |= {name: getattr(found, name.removeprefix("auc_")).astype(np.float32) for name in wanted}
    return out


def _of_pairs(
    table: Any, scores: np.ndarray, truth: np.ndarray, numbers: Set[str], digest: Any
) -> dict[str, np.ndarray]:
    """Return the numbers of pairs of photos, (n,) each, and add to the digest what makes pairs the same."""
    if truth.min() < 0:
        raise ValueError("a pair that is neither of one person nor of two")
    for name in ("partner", "photo_a", "photo_b"):
        if (array := table[name].combine_chunks()).null_count:
            raise ValueError(f"a pair has no {name}")
        if name == "partner":
            _digest_texts(digest, array)
    if table["group"].combine_chunks().null_count:
        raise ValueError("a pair has no person")
    folds, cuts = (
        _fixed(_flat(table[name]), kind) for name, kind in (("fold", np.int32), ("cut", np.float32))
    )
    if folds.min() < 0 or np.isnan(cuts).any():
        raise ValueError("a fold below 0, or a cut that is not a number")
    digest.update(folds.data)
    said = scores >= cuts
    out = {"decisions": said.astype(np.uint64), "scores": scores.view(np.uint32).astype(np.uint64)}
    found = means(scores, truth, folds, cuts) if numbers & {*PAIRED} else {}
    return out | {name: own.astype(np.float32) for name, own in found.items() if name in numbers}


def _areas(
    scores: np.ndarray, truth: np.ndarray, record: Mapping[str, Any], numbers: Set[str]
) -> dict[str, np.ndarray]:
    """Return the numbers, (n,) float32, whose means are the mean ROC areas that are asked for."""
    groups = np.array([f"{group_of(int(count))}_auc" for count in record["train_support"]])
    among = {name: (groups == name) | (name == "auc_macro") for name in AREAS if name in numbers}
    found = attribute_areas(scores, truth, among) if among else {}
    return {name: own.astype(np.float32) for name, own in found.items()}


def _marks(
    scores: np.ndarray, truth: np.ndarray, cuts: np.ndarray | None, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return two numbers of each item, (n,) uint64, that differ where its decisions, or its scores, do.

    Cells that are not scored count for neither, nor does the order of the attributes.
    """
    digests = [hashlib.blake2b(name.encode("utf-8", "backslashreplace"), digest_size=8) for name in names]
    odd = np.array([int.from_bytes(digest.digest(), "big") | 1 for digest in digests], np.uint64)
    seen = truth >= 0
    yes = seen & (scores >= (np.float32(0.5) if cuts is None else cuts))
    bits = np.where(seen, np.ascontiguousarray(scores).view(np.uint32), 0).astype(np.uint64)
    return {"decisions": (yes * odd).sum(axis=1), "scores": (bits * odd).sum(axis=1)}


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a part belongs: its contest, and the rows and columns that bring its scores into its order."""

    contest: Contest
    rows: np.ndarray
    columns: np.ndarray


def _place(part: Part, by_items: dict[bytes, Contest], draws: int, seed: int) -> _Place:
    """Find the contest of the part's items, or make it; classes may stand in another order there."""
    record = part.stored.record
    ids, groups = part.table["item"].to_pylist(), part.table["group"].to_pylist()
    names, single = tuple(record["classes"]), part.truth.ndim == 1
    by_name = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
    partners = part.table["partner"].to_pylist() if record["cell"]["kind"] == PAIRS else None
    said: Iterable[Any]
    if partners is not None:
        folds = _fixed(_flat(part.table["fold"]), np.int32)
        single, said = False, zip(partners, part.truth.tolist(), folds.tolist(), strict=True)
    elif single:
        said = [names[i] for i in part.truth]
    else:
        said = map(tuple, part.truth[:, by_name].tolist())
    answers = sorted(zip(ids, groups, said, strict=True), key=lambda row: row[0])
    text = repr([_stage_key(record), sorted(names), answers])
    key = hashlib.blake2b(text.encode("utf-8", "backslashreplace")).digest()
    if key in by_items:
        names = by_items[key].items.classes
    columns = np.array([record["classes"].index(name) for name in names], np.int64)
    if single:
        truth = np.argsort(columns)[part.truth].astype(np.int32)
    else:
        truth = part.truth if partners is not None else part.truth[:, columns]
    first = truth if single else np.zeros(len(ids), np.int32)
    rows = np.array(sorted(range(len(ids)), key=lambda row: (first[row], ids[row])), np.int64)
    if key not in by_items:
        items = Items(
            ids=tuple(ids[row] for row in rows),
            groups=None if groups[0] is None else tuple(groups[row] for row in rows),
            truth=truth[rows],
            classes=names,
            partners=None if partners is None else tuple(partners[row] for row in rows),
        )
        by_items[key] = Contest(record["cell"]["kind"], items, draws, seed)
    return _Place(by_items[key], rows, columns)


def _predictions(part: Part, place: _Place) -> Predictions:
    items, record, columns = place.contest.items, part.stored.record, place.columns
    cuts, known = _cuts(record), record.get("known")
    return Predictions(
        items=items.ids,
        groups=items.groups,
        truth=items.truth,
        scores=part.scores[place.rows][:, columns],
        classes=items.classes,
        train_support=np.asarray(record["train_support"], np.int64)[columns],
        known=None if known is None else np.asarray(known, np.int64)[columns],
        cuts=None if cuts is None else cuts[columns],
        pairs=_facts(part, place),
    )


def _facts(part: Part, place: _Place) -> PairFacts | None:
    if place.contest.items.partners is None:
        return None
    photos = [part.table[name].to_pylist() for name in ("photo_a", "photo_b")]
    return PairFacts(
        photos=tuple((photos[0][row], photos[1][row]) for row in place.rows.tolist()),
        partners=place.contest.items.partners,
        folds=_fixed(_flat(part.table["fold"]), np.int32)[place.rows],
        cuts=_fixed(_flat(part.table["cut"]), np.float32)[place.rows],
    )
