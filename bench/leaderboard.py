"""Ranks settings by a test metric, and says which of them cannot be told from the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from bench import stats
from bench.comparison import defined
from bench.contests import Contest
from bench.errors import BenchError
from bench.metrics.registry import get_metric
from bench.models.backbones import parts_of, width_of
from bench.paired import FEW_CHANGES
from bench.protocol import defaults
from bench.report.settings import Record, Setting, settings_of

BEST, TIED, BEHIND = "best", "tied", "behind"

NOT_STORED = "not stored"


@dataclass(frozen=True)
class Cost:
    """What a setting's cells took, means over seeds, None where it is not known.

    seconds: of a whole cell. parameters: weights of backbone and head; of pairs, of the backbone.
    images_per_second: training images (frozen: their features) that training went through in a second, each
    epoch's counted.
    """

    seconds: float | None = None
    parameters: int | None = None
    images_per_second: float | None = None


@dataclass(frozen=True)
class Row:
    """One setting on a board.

    rank: 1 is the best; None where the metric is undefined. value: mean over seeds. low..high: its
    interval. gap: value - the best's; gap_low..gap_high: its interval. standing: BEST, TIED (not
    distinguishable from the best) or BEHIND, or None where nothing can be drawn.
    """

    setting: Setting
    cost: Cost
    value: float | None
    rank: int | None = None
    low: float | None = None
    high: float | None = None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    standing: str | None = None


@dataclass(frozen=True)
class Hole:
    """A combination of the grid that has no measured cell; why: NOT_STORED, or how it failed."""

    backbone: str
    method: str
    seed: int
    why: str


@dataclass(frozen=True)
class Board:
    """The settings of one stage that answered the same test items, best first.

    holes: what the grid of backbones, methods and seeds lacks, over all boards of this stage and data.
    """

    contest: Contest
    metric: str
    rows: tuple[Row, ...]
    holes: tuple[Hole, ...]

    @property
    def cell(self) -> Mapping[str, Any]:
        """The identity of one of its cells."""
        return self.rows[0].setting.cell

    @property
    def records(self) -> list[Record]:
        """Every cell on it."""
        return [record for row in self.rows for record in row.setting.records]


def boards(records: Sequence[Record], contests: Iterable[Contest], metric: str) -> list[Board]:
    """Rank the cells of each contest by the mean over seeds of a test metric, large stages first.

    records: all stored cells, failed ones too. contests: of these cells, made for this metric. Cells that
    differ in more than their seed stay apart; what was not measured is a hole and never filled in.
    Raises BenchError for an unknown metric.
    """
    get_metric(metric)
    settings, holes = settings_of(records), _holes(records)
    out = []
    for contest in contests:
        inside = set(contest.cells)
        rows = [_row(part, metric) for setting in settings for part in _inside(setting, inside)]
        ranked = _ranked(rows, metric)
        judged = tuple(_against(row, ranked[0], contest, metric) for row in ranked)
        out.append(Board(contest, metric, judged, holes[_place(judged[0].setting.cell)]))
    sizes: dict[tuple[str, str], int] = {}
    for board in out:
        stage, n = (board.cell["task"], board.cell["stage"]), len(board.contest.items.ids)
        sizes[stage] = max(n, sizes.get(stage, 0))

    def order(board: Board) -> tuple[Any, ...]:
        task, stage = board.cell["task"], board.cell["stage"]
        return (task, -sizes[task, stage], _place(board.cell), -len(board.contest.items.ids))

    return sorted(out, key=order)


def front(records: Sequence[Record], metric: str, top: int) -> tuple[set[str], int]:
    """Return the cells of the best settings of each stage, and how many settings are left off.

    top: how many settings of one stage, one data set and one number of test items. Goes by the stored means
    alone, so that the predictions of the others need not be read.
    """
    places: dict[tuple[Any, ...], list[Row]] = {}
    for setting in settings_of([record for record in records if record["status"] == "ok"]):
        first = setting.records[0]
        key = (*_place(setting.cell), first["metrics"].get("test", {}).get("n"))
        places.setdefault(key, []).append(_row(setting, metric))
    ranked = [_ranked(rows, metric) for rows in places.values()]
    kept = {record["id"] for rows in ranked for row in rows[:top] for record in row.setting.records}
    return kept, sum(max(0, len(rows) - top) for rows in ranked)


def _inside(setting: Setting, ids: set[str]) -> list[Setting]:
    records = tuple(record for record in setting.records if record["id"] in ids)
    return [replace(setting, records=records)] if records else []


def _row(setting: Setting, metric: str) -> Row:
    values = setting.values("test", metric)
    mean = math.fsum(values) / len(values) if len(values) == len(setting.records) else None
    return Row(setting, cost_of(setting.records), mean)


def _ranked(rows: Iterable[Row], metric: str) -> list[Row]:
    """Sort the best first; equal values share a rank; an undefined value comes last and has none."""
    rows = list(rows)
    sign = -1.0 if get_metric(metric).direction == "higher" else 1.0
    known = sorted((sign * row.value, i) for i, row in enumerate(rows) if row.value is not None)
    places: dict[float, int] = {}
    for place, (value, _) in enumerate(known, 1):
        places.setdefault(value, place)
    ranked = [replace(rows[i], rank=places[value]) for value, i in known]
    return ranked + [row for row in rows if row.value is None]


def _against(row: Row, best: Row, contest: Contest, metric: str) -> Row:
    """Return the row with the intervals of its value and of its difference to the best, and its standing."""
    if row.value is None or best.value is None:
        return row
    standing = BEST if row is best else None
    row = replace(row, gap=row.value - best.value, standing=standing)
    ours, theirs = _cells(row.setting), _cells(best.setting)
    if not {*ours.values(), *theirs.values()} <= contest.drawn(metric).keys():
        return row
    own = stats.nested_interval(_stacked(contest, metric, ours), contest.seed + 1)
    row = replace(row, low=defined(own.low), high=defined(own.high))
    if standing == BEST:
        return row
    changes = contest.changed(metric, _pairs(ours, theirs))
    return _judged(row, _gaps(contest, metric, ours, theirs), changes)


def _judged(row: Row, gaps: np.ndarray, changes: int) -> Row:
    """Return the row with its standing. changes: items that differ; see `paired.FEW_CHANGES`."""
    interval = stats.percentile_interval(gaps)
    row = replace(row, gap_low=defined(interval.low), gap_high=defined(interval.high))
    if changes < FEW_CHANGES:
        return replace(row, standing=TIED)
    if row.gap_low is None or row.gap_high is None:
        return row
    return replace(row, standing=TIED if row.gap_low <= 0 <= row.gap_high else BEHIND)


def _cells(setting: Setting) -> dict[int, str]:
    """Return the cells' ids by seed, rising."""
    return dict(sorted((int(record["cell"]["seed"]), str(record["id"])) for record in setting.records))


def _stacked(contest: Contest, metric: str, cells: Mapping[int, str]) -> np.ndarray:
    return contest.spread(metric, [*cells.values()])


def _gaps(contest: Contest, metric: str, ours: Mapping[int, str], theirs: Mapping[int, str]) -> np.ndarray:
    """Return ours - theirs of the means over seeds on every resample, (draws,).

    Equal seeds split the data alike, so they are paired. Where the two sides have other seeds, each side's
    are resampled on their own.
    """
    if ours.keys() == theirs.keys():
        gaps = contest.differences(metric, _pairs(ours, theirs))
        return stats.nested_means(gaps, contest.seed + 1)
    mine = stats.nested_means(_stacked(contest, metric, ours), contest.seed + 1)
    out: np.ndarray = mine - stats.nested_means(_stacked(contest, metric, theirs), contest.seed + 2)
    return out


def _pairs(ours: Mapping[int, str], theirs: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return the cells of equal seeds beside each other, all with all where the seeds are others."""
    if ours.keys() == theirs.keys():
        return [(ours[seed], theirs[seed]) for seed in ours]
    return list(product(ours.values(), theirs.values()))


def cost_of(records: Sequence[Record]) -> Cost:
    """Return what the cells of one setting took, on average."""
    seconds = [record.get("timings", {}).get("seconds") for record in records]
    speeds = [_speed(record) for record in records]
    return Cost(_mean(seconds), _parameters(records[0]), _mean(speeds))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _parameters(record: Record) -> int | None:
    cell = record["cell"]
    protocol = {**defaults(), **cell["protocol"]}
    # The weights of a net that is not averaged over positions depend on the size of its input.
    if cell["regime"] != "frozen" and protocol["input_size"] != "native":
        return None
    try:
        parts = parts_of(cell["backbone"])
        features = width_of(parts, protocol)
    except BenchError:
        return None
    if features is None:
        return None
    # What compares two photos' features may be a rule without any, or a net: it is not counted.
    head = 0 if cell["kind"] == "verification" else (features + 1) * len(record["classes"])
    return sum(info.parameters for info in parts) + head


def _speed(record: Record) -> float | None:
    """Return training images per second: those of every epoch that was trained, and of the refit's."""
    protocol, counts = record["cell"]["protocol"], record.get("counts", {})
    seconds, best = record.get("timings", {}).get("training"), record.get("choices", {}).get("best_epoch")
    epochs, patience = protocol.get("epochs"), protocol.get("patience")
    if not seconds or not counts.get("train") or None in (best, epochs, patience):
        return None
    trained = min(epochs, best + patience) if patience else epochs
    images = counts["train"] * trained
    if protocol.get("refit"):
        images += (counts["train"] + (counts.get("val") or 0)) * best
    return float(images / seconds)


def _place(cell: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a grid is of: one stage of one version of a task on one data set."""
    data = cell["data"]
    return (cell["task"], cell["stage"], cell["task_version"], data["source"], data["fingerprint"])


def _holes(records: Iterable[Record]) -> dict[tuple[Any, ...], tuple[Hole, ...]]:
    """Return, by stage and data, the combinations of backbone, method and seed without a measured cell."""
    grids: dict[tuple[Any, ...], dict[tuple[str, str, int], str]] = {}
    for record in records:
        cell, grid = record["cell"], grids.setdefault(_place(record["cell"]), {})
        key = (str(cell["backbone"]), str(cell["method_text"]), int(cell["seed"]))
        if record["status"] == "ok":
            grid[key] = ""
        elif grid.get(key) != "":
            grid[key] = f"{record['status']}: {record.get('reason') or 'no reason is stored'}"
    out = {}
    for place, grid in grids.items():
        backbones, methods = (dict.fromkeys(key[axis] for key in grid) for axis in (0, 1))
        keys = product(map(str, backbones), map(str, methods), sorted({seed for _, _, seed in grid}))
        whys = {key: grid.get(key, NOT_STORED) for key in keys}
        out[place] = tuple(Hole(*key, why) for key, why in whys.items() if why)
    return out
