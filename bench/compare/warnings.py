"""Warnings beside results: leaks, labels without signal, methods no better than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.core.kind import Kind, get_kind
from bench.core.plural import counted
from bench.metrics.registry import METRICS

if TYPE_CHECKING:
    from bench.compare.leaderboard import Board, Row
    from bench.compare.paired_bootstrap import PairedBootstrap
    from bench.store.read import Stored

ALPHA = 0.05
FEW_VALIDATED = 200
"""Number of validation items below which a choice among trials gets a warning."""

MOST_NAMED = 5
"""Maximum number of settings that one line names."""


def shown_metrics(kind: Kind) -> list[str]:
    """Return the metrics to compare with chance and with the trivial answers."""
    return list(dict.fromkeys([kind.headline[0], kind.selection]))


def warnings(
    cells: Sequence[Stored], found: Sequence[PairedBootstrap] | None = None, reassuring: bool = True
) -> list[str]:
    """Return a line for every warning about stored cells of one task.

    found: bootstraps of these cells, if available, made for `shown_metrics`. reassuring: whether to include
    lines if every class carries signal, or every setting is better than chance.
    """
    measured = [stored for stored in cells if stored.ok]
    if not measured:
        return []
    plain = (
        _leaks(measured),
        _copies(measured),
        _titles(measured),
        _signal(measured, reassuring),
        _tuning(measured),
    )
    return [line for lines in (*plain, _no_better(measured, found, reassuring)) for line in lines]


def _leaks(cells: Sequence[Stored]) -> list[str]:
    """Return a line per stage about test images that are also in train, for the cell with most of them."""
    worst: dict[str, tuple[float, str]] = {}
    for stored in cells:
        cell, counts = stored.record["cell"], stored.record.get("counts", {})
        leaked, near = counts.get("leaked") or 0, counts.get("leaked_near") or 0
        test, stage, nouns = counts.get("test") or 0, cell["stage"], get_kind(cell["kind"]).nouns
        if not leaked + near:
            continue
        if cell["protocol"].get("duplicates") == "drop":
            # The count of test images does not include them.
            test += leaked + near
            rest = "they were left out"
        else:
            rest = nouns.cure
        what = f"{leaked} of {test} {nouns.leaked}, byte for byte"
        more = f"{near} more nearly so: rescaled, recompressed, mirrored or slightly cropped"
        line = f"leak in {stage}: {what}" + (f", {more}" if near else "") + (f" ({rest})" if rest else "")
        worst[stage] = max(worst.get(stage, (0.0, "")), ((leaked + near) / test, line))
    return [line for _, line in worst.values()]


def _copies(cells: Sequence[Stored]) -> list[str]:
    """Return a line about duplicate and near-duplicate images for each group of cells with equal counts."""
    lines: dict[str, None] = {}
    for stored in cells:
        found, stage = stored.record.get("checks", {}).get("duplicates"), stored.record["cell"]["stage"]
        if not isinstance(found, Mapping):
            continue
        if found["same"]:
            lines[
                f"duplicates in {stage}: {_pictures(found['same'])} there more than once, byte for byte; "
                f"{found['same_torn']} of them carry labels that contradict each other"
            ] = None
        if found["near"]:
            lines[
                f"near duplicates in {stage}: {found['near']} pairs of images look nearly the same, "
                f"{found['near_across']} of them in train and in test; {found['near_torn']} contradict each "
                "other"
            ] = None
    return list(lines)


def _titles(cells: Sequence[Stored]) -> list[str]:
    """Return lines on how many titles contain the name of their class, and how many are empty."""
    lines: dict[str, None] = {}
    for stored in cells:
        found, stage = stored.record.get("checks", {}).get("titles"), stored.record["cell"]["stage"]
        if not isinstance(found, Mapping):
            continue
        sides = [found[part] for part in ("train", "test")]
        held = [_share(side["holding"], side["titles"]) for side in sides if side["holding"] is not None]
        if held:
            cure = "--set mask_class_words=true takes class words out"
            if found["masked"]:
                cure = "all words of class names were taken out before training"
            lines[
                f"titles in {stage}: {' and '.join(map('{} of the {}'.format, held, ('training', 'test')))} "
                f"titles hold the name of their own class ({cure})"
            ] = None
        for what, why in (
            ("empty", "have no word"),
            ("emptied", "have no word but those of class names"),
            ("unknown", "have no word that a training title has"),
        ):
            if any(side[what] for side in sides):
                counts = " and ".join(
                    f"{side[what]} of {side['titles']} {part}"
                    for side, part in zip(sides, ("training", "test"), strict=True)
                )
                lines[f"titles in {stage}: {counts} titles {why}{_masked(found)}"] = None
    return list(lines)


def _tuning(cells: Sequence[Stored]) -> list[str]:
    """Return a line per stage and number of trials on choices among trials by few validation items."""
    fewest: dict[tuple[str, int], tuple[int, int]] = {}
    for stored in cells:
        found, size = stored.record.get("choices", {}).get("tuning"), stored.record["counts"].get("val") or 0
        if found is not None and size < FEW_VALIDATED:
            key = stored.record["cell"]["stage"], found["trials"]
            fewest[key] = min(fewest.get(key, (size, found["splits"])), (size, found["splits"]))
    return [
        f"tuning in {stage}: the best of {trials} trials was chosen on {size} validation items"
        + (f", in {splits} random splits" if splits > 1 else "")
        + "; its validation score flatters, the more so the more trials there are"
        for (stage, trials), (size, splits) in fewest.items()
    ]


def _masked(found: Mapping[str, Any]) -> str:
    return ", class words taken out" if found["masked"] else ""


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "none"


def _signal(cells: Sequence[Stored], reassuring: bool) -> list[str]:
    lines: dict[tuple[str, str], str] = {}
    for stored in cells:
        cell = stored.record["cell"]
        found = stored.record.get("checks", {}).get("signal")
        if isinstance(found, Mapping) and (reassuring or not _all_carry_signal(found)):
            key = cell["stage"], cell["backbone"]
            kind = get_kind(cell["kind"])
            lines[key] = f"signal in {cell['stage']}, {cell['backbone']}: {_signal_found(found, kind)}"
    return list(lines.values())


def _carrying(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the classes or attributes that carry signal, with their q; none if all are tested together."""
    from bench.metrics.intervals import benjamini_hochberg

    named = found["attributes"]
    qs = benjamini_hochberg([one["p"] for one in named.values()])
    return {name: q for name, q in zip(named, qs, strict=True) if q is not None and q <= ALPHA}


def _all_carry_signal(found: Mapping[str, Any]) -> bool:
    """Return whether nothing needs a warning."""
    return bool(found["p"] <= ALPHA and len(_carrying(found)) == len(found["attributes"]))


def _signal_found(found: Mapping[str, Any], kind: Kind) -> str:
    """Describe a permutation test; classes or attributes with signal are named with their q."""
    noun, (present, absent) = kind.columns.classes[0].title, kind.nouns.signal
    score = (
        f"features predict the labels with AUC {found['auc']:.3f} out of fold, shuffled labels with "
        f"{found['chance_mean']:.3f} (95% of {found['permutations']} below {found['chance_high']:.3f}), "
        f"p = {found['p']:.3f}"
    )
    named = found["attributes"]
    if not named:
        return f"{score}: {present if found['p'] <= ALPHA else absent}"
    above = [f"{name} (q = {q:.3f})" for name, q in _carrying(found).items()]
    if not above and found["p"] > ALPHA:
        return f"{score}: no {noun} can be predicted from these features"
    if len(above) == len(named):
        return f"{score}: every {noun} carries signal"
    return f"{score}; of {counted(len(named), noun)} these carry signal: {_some(above)}"


def _no_better(
    cells: Sequence[Stored], found: Sequence[PairedBootstrap] | None, reassuring: bool
) -> list[str]:
    """Return lines, by stage, on settings no better than chance or than trivial answers."""
    from bench.compare.leaderboard import boards
    from bench.compare.stored_cells import read_bootstraps

    kind = get_kind(cells[0].record["cell"]["kind"])
    if found is None:
        found, _ = read_bootstraps(cells, shown_metrics(kind))
    records = [stored.record for stored in cells]
    ranked = {metric: boards(records, found, metric) for metric in shown_metrics(kind)}
    lines = [line for board in ranked[kind.selection] for line in _chance(board, reassuring)]
    lines += [line for metric in ranked for board in ranked[metric] for line in _trivial(board, kind)]
    return lines


def _chance(board: Board, reassuring: bool) -> list[str]:
    """Return a line on the number of settings of a board that are better than uninformative scores."""
    info = METRICS[board.metric]
    chance = info.chance_of(board.records[0]["metrics"].get("test", {}))
    rows = [row for row in board.rows if row.low is not None and row.high is not None]
    if chance is None or not rows:
        return []
    above = [row for row in rows if row.low is not None and row.low > chance]
    where, many, value = f"chance in {board.cell['stage']}", counted(len(rows), "setting"), _number(chance)
    if not above:
        return [
            f"{where}: no method beats it; of {many} none has a 95% interval of {info.title} on test above "
            f"{value}"
        ]
    if len(above) == len(rows) and not reassuring:
        return []
    qs = _corrected(rows, board.bootstrap, info.name, chance)
    named = _some([f"{board.name(row.setting)} (q = {qs[id(row)]:.3f})" for row in above])
    count = "all" if len(above) == len(rows) else str(len(above))
    return [f"{where}: of {many} {count} have a 95% interval of {info.title} on test above {value}: {named}"]


def _trivial(board: Board, kind: Kind) -> list[str]:
    """Return a line on the settings of a board that do not beat a trivial answer, if any."""
    from bench.compare.leaderboard import best_trivial

    info, rows = METRICS[board.metric], [row for row in board.rows if row.value is not None]
    trivial = best_trivial(board.rows[0].setting, board.metric)
    if trivial is None or not rows:
        return []
    name, value = trivial
    chance = info.chance_of(board.records[0]["metrics"].get("test", {}))
    if board.metric == kind.selection and chance is not None and math.isclose(value, chance):
        # The line about chance covers it.
        return []
    where, many = f"trivial answer in {board.cell['stage']}", counted(len(rows), "setting")
    beside = f"the {info.title} of `{name}` on test, {_number(value)}"
    if not any(_beyond(row, value, info.direction) for row in rows):
        best = f"{board.name(rows[0].setting)} has {_number(rows[0].value)}"
        return [f"{where}: no method beats it; of {many} none is beyond {beside}: {best}"]
    below = [
        f"{board.name(row.setting)} ({_number(row.value)})"
        for row in rows
        if not info.better(row.value, value)
    ]
    if not below:
        return []
    return [f"{where}: of {many} {len(below)} are not better than {beside}: {_some(below)}"]


def _beyond(row: Row, value: float, direction: str) -> bool:
    """Return whether a setting is better than a value, by its whole interval if it has one."""
    up = direction == "higher"
    end = row.low if up else row.high
    reached = row.value if end is None else end
    return reached is not None and (reached > value if up else reached < value)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"


def _corrected(
    rows: Sequence[Row], bootstrap: PairedBootstrap, metric: str, chance: float
) -> dict[int, float]:
    """Return the p of each row under chance, corrected over all rows (Benjamini-Hochberg)."""
    from bench.compare.estimates import Contrast
    from bench.metrics.intervals import benjamini_hochberg

    found = [
        bootstrap.estimate(metric, Contrast.mean(str(r["id"]) for r in row.setting.records), chance)
        for row in rows
    ]
    qs = benjamini_hochberg([None if one is None else one.p for one in found])
    return {id(row): 1.0 if q is None else q for row, q in zip(rows, qs, strict=True)}


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"
