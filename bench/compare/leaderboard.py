"""Leaderboard: settings ranked by a test metric, marking those not distinguishable from the best."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bench.backbones.names import parts_of
from bench.backbones.registry import width_of
from bench.compare.estimates import Contrast
from bench.compare.paired_bootstrap import FEW_CHANGES, PairedBootstrap
from bench.compare.verdict import SAME, called
from bench.core.errors import BenchError
from bench.core.kind import get_kind
from bench.core.protocol import defaults
from bench.metrics.registry import get_metric
from bench.store.settings import Record, Setting, choice_of, settings_of, trivial_values

BEST, TIED, BEHIND = "best", "tied", "behind"
NOT_BETTER = "not better than trivial"
"""Replaces BEST and TIED if a trivial answer is as good or better."""

NOT_STORED = "not stored"


@dataclass(frozen=True)
class Cost:
    """Cost of a setting's cells, means over seeds, None where unknown.

    seconds: of a whole cell. parameters: weights of backbone and head; of pairs, of the backbone.
    images_per_second: training images (frozen: their features) per second, counted in each epoch.
    """

    seconds: float | None = None
    parameters: int | None = None
    images_per_second: float | None = None


@dataclass(frozen=True)
class Row:
    """One setting on a board.

    rank: 1 is the best; None where the metric is undefined. value: mean over seeds. low..high: its
    interval. gap: value - the best's; gap_low..gap_high: its interval. standing: BEST, TIED (not
    distinguishable from the best), BEHIND or NOT_BETTER, or None without a bootstrap. chosen: whether it
    has the board's best mean on validation, in the metric for choices.
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
    chosen: bool = False


@dataclass(frozen=True)
class Hole:
    """A combination of the grid that has no measured cell; why: NOT_STORED, or how it failed."""

    backbone: str
    method: str
    seed: int
    why: str


@dataclass(frozen=True)
class Board:
    """Settings of one stage scored on the same test items, best first.

    holes: combinations missing from the grid of backbones, methods and seeds, over all boards of this stage
    and data.
    """

    bootstrap: PairedBootstrap
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

    @property
    def choice(self) -> Row | None:
        """The setting chosen on validation, None without validation scores."""
        return next((row for row in self.rows if row.chosen), None)

    def name(self, setting: Setting) -> str:
        """Return the shortest name of a setting that is unique on the board."""
        several = len({row.setting.cell["regime"] for row in self.rows}) > 1
        return f"{setting.name}, {setting.cell['regime']}" if several else setting.name


def boards(
    records: Sequence[Record],
    bootstraps: Iterable[PairedBootstrap],
    metric: str,
    left_out: Set[str] = frozenset(),
) -> list[Board]:
    """Rank the cells of each bootstrap by the mean over seeds of a test metric, large stages first.

    records: all stored cells, failed ones too. bootstraps: of these cells, made for this metric. Cells that
    differ in more than their seed are separate; missing cells are holes and never imputed. left_out: ids of
    measured cells that `front` left out; validation may choose one of them, and then no row is chosen. Raises
    BenchError for an unknown metric.
    """
    get_metric(metric)
    settings, holes = settings_of(records), _holes(records)
    unread = [setting for setting in settings if {record["id"] for record in setting.measured} & left_out]
    out = []
    for bootstrap in bootstraps:
        inside = set(bootstrap.cells)
        rows = [_row(part, metric) for setting in settings for part in _inside(setting, inside)]
        ranked = _ranked(rows, metric)
        rivals = [setting for setting in unread if _items(setting) == _items(ranked[0].setting)]
        known = [*(row.setting for row in ranked), *rivals]
        choice = choice_of(known, get_kind(bootstrap.kind).selection)
        judged = tuple(
            replace(
                _beside_trivial(_against(row, ranked[0], bootstrap, metric), metric),
                chosen=row.setting is choice,
            )
            for row in ranked
        )
        out.append(Board(bootstrap, metric, judged, holes[_place(judged[0].setting.cell)]))
    sizes: dict[tuple[str, str], int] = {}
    for board in out:
        stage, n = (board.cell["task"], board.cell["stage"]), len(board.bootstrap.items.ids)
        sizes[stage] = max(n, sizes.get(stage, 0))

    def order(board: Board) -> tuple[Any, ...]:
        task, stage = board.cell["task"], board.cell["stage"]
        return (task, -sizes[task, stage], _place(board.cell), -len(board.bootstrap.items.ids))

    return sorted(out, key=order)


def front(records: Sequence[Record], metric: str, top: int) -> tuple[set[str], int]:
    """Return the cells of the best settings of each stage, and the number of settings omitted.

    top: how many settings of one stage, one data set and one number of test items. Uses only the stored
    means, so that the predictions of the others need not be read.
    """
    places: dict[tuple[Any, ...], list[Row]] = {}
    for setting in settings_of([record for record in records if record["status"] == "ok"]):
        places.setdefault(_items(setting), []).append(_row(setting, metric))
    ranked = [_ranked(rows, metric) for rows in places.values()]
    kept = {record["id"] for rows in ranked for row in rows[:top] for record in row.setting.records}
    return kept, sum(max(0, len(rows) - top) for rows in ranked)


def _items(setting: Setting) -> tuple[Any, ...]:
    """Return the key of settings scored on the same test items, as far as their records show."""
    return (*_place(setting.cell), setting.measured[0]["metrics"].get("test", {}).get("n"))


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
    for index, (value, _) in enumerate(known, 1):
        places.setdefault(value, index)
    ranked = [replace(rows[i], rank=places[value]) for value, i in known]
    return ranked + [row for row in rows if row.value is None]


def _against(row: Row, best: Row, bootstrap: PairedBootstrap, metric: str) -> Row:
    """Return the row with the intervals of its value and of its difference to the best, and its standing."""
    if row.value is None or best.value is None:
        return row
    standing = BEST if row is best else None
    row = replace(row, gap=row.value - best.value, standing=standing)
    ours, theirs = _cells(row.setting), _cells(best.setting)
    own = bootstrap.estimate(metric, Contrast.mean(ours.values()))
    contrast = _contrast(ours, theirs)
    if own is None or not contrast.cells <= bootstrap.drawn(metric).keys():
        return row
    row = replace(row, low=own.low, high=own.high)
    if standing == BEST:
        return row
    gap = bootstrap.estimate(metric, contrast)
    assert gap is not None
    row = replace(row, gap_low=gap.low, gap_high=gap.high)
    if gap.changed < FEW_CHANGES:
        return replace(row, standing=TIED)
    if gap.low is None or gap.high is None:
        return row
    return replace(row, standing=TIED if called(metric, gap.low, gap.high, gap.p) == SAME else BEHIND)


def best_trivial(setting: Setting, metric: str) -> tuple[str, float] | None:
    """Return the name and value of the best trivial answer in a metric.

    None where none is stored.
    """
    best, better = None, get_metric(metric).better
    for name, values in trivial_values(setting, [metric]).items():
        value = values[metric]
        if value is not None and better(value, best[1] if best else None):
            best = name, value
    return best


def _beside_trivial(row: Row, metric: str) -> Row:
    trivial = best_trivial(row.setting, metric)
    if row.standing == BEHIND or row.value is None or trivial is None:
        return row
    if get_metric(metric).better(row.value, trivial[1]):
        return row
    return replace(row, standing=NOT_BETTER)


def _cells(setting: Setting) -> dict[int, str]:
    """Return the cells' ids by seed, rising."""
    return dict(sorted((int(record["cell"]["seed"]), str(record["id"])) for record in setting.records))


def _contrast(ours: Mapping[int, str], theirs: Mapping[int, str]) -> Contrast:
    """Return ours - theirs of the means over seeds.

    Equal seeds give equal splits, so they are paired; different seeds are resampled independently.
    """
    if ours.keys() == theirs.keys():
        return Contrast.paired({seed: (ours[seed], theirs[seed]) for seed in ours})
    return Contrast.apart([*ours.values()], [*theirs.values()])


def cost_of(records: Sequence[Record]) -> Cost:
    """Return the mean cost of a setting's cells."""
    seconds = [record.get("timings", {}).get("seconds") for record in records]
    speeds = [_speed(record) for record in records]
    return Cost(_mean(seconds), _parameters(records[0]), _mean(speeds))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _parameters(record: Record) -> int | None:
    cell = record["cell"]
    protocol = {**defaults(), **cell["protocol"]}
    # Without pooling over positions, a net's parameters depend on its input size.
    if cell["regime"] != "frozen" and protocol["input_size"] != "native":
        return None
    try:
        parts = parts_of(cell["backbone"])
        features = width_of(parts, protocol)
    except BenchError:
        return None
    if features is None:
        return None
    head = get_kind(cell["kind"]).tables.head_parameters(features, len(record["classes"]))
    return sum(info.parameters for info in parts) + head


def _speed(record: Record) -> float | None:
    """Return training images per second over all epochs, the refit's included."""
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
    """Return the key of a grid: one stage of one version of a task on one data set."""
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
