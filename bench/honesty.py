"""What readers of results must be told unasked: leaks, labels without signal, methods as good as chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.kinds.base import get_kind
from bench.metrics.registry import METRICS

if TYPE_CHECKING:
    from bench.leaderboard import Row
    from bench.stored import Stored

ALPHA = 0.05
MOST_NAMED = 5
"""Settings that a line names, at most."""


def warnings(cells: Sequence[Stored]) -> list[str]:
    """Return a line for everything that stored cells of one task say against themselves, or for them.

    Leaks are of any kind of task; chance of those whose choices go by a metric with a chance value.
    """
    measured = [stored for stored in cells if stored.ok]
    if not measured:
        return []
    found = (_leaks(measured), _copies(measured), _titles(measured), _signal(measured), _chance(measured))
    return [line for lines in found for line in lines]


def _leaks(cells: Sequence[Stored]) -> list[str]:
    """Tell of test images that train holds too, per stage of the cell with the largest share of them."""
    worst: dict[str, tuple[float, str]] = {}
    for stored in cells:
        cell, counts = stored.record["cell"], stored.record.get("counts", {})
        leaked, test, stage = counts.get("leaked") or 0, counts.get("test") or 0, cell["stage"]
        if not leaked:
            continue
        if cell["protocol"].get("duplicates") == "drop":
            # They are no longer among the test images that are counted.
            test += leaked
            rest = "they were left out"
        else:
            rest = "--set duplicates=drop leaves them out"
        what = f"{leaked} of {test} test images are also in train, byte for byte ({rest})"
        if cell["kind"] == "verification":
            what = f"{leaked} of {test} test pairs have a photo that is also in train, byte for byte"
        line = f"leak in {stage}: {what}"
        worst[stage] = max(worst.get(stage, (0.0, "")), (leaked / test, line))
    return [line for _, line in worst.values()]


def _copies(cells: Sequence[Stored]) -> list[str]:
    """Tell of pictures that are there more than once, or nearly so, once for all cells that say the same."""
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
                f"near twins in {stage}: {found['near']} pairs of images look nearly the same, "
                f"{found['near_across']} of them in train and in test; {found['near_torn']} contradict each "
                "other"
            ] = None
    return list(lines)


def _titles(cells: Sequence[Stored]) -> list[str]:
    """Tell how often titles that were read hold the name of their own class, and how many say nothing."""
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


def _masked(found: Mapping[str, Any]) -> str:
    return ", class words taken out" if found["masked"] else ""


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "none"


def _signal(cells: Sequence[Stored]) -> list[str]:
    lines: dict[tuple[str, str], str] = {}
    for stored in cells:
        cell = stored.record["cell"]
        found = stored.record.get("checks", {}).get("signal")
        if isinstance(found, Mapping):
            key = cell["stage"], cell["backbone"]
            lines[key] = f"signal in {cell['stage']}, {cell['backbone']}: {_told(found)}"
    return list(lines.values())


def _told(found: Mapping[str, Any]) -> str:
    """Say what a permutation test found, attributes that stand out named with their corrected p."""
    from bench.stats import benjamini_hochberg

    score = (
        f"labels reach AUC {found['auc']:.3f} out of fold, {found['permutations']} permutations of them "
        f"{found['chance_mean']:.3f} (95% below {found['chance_high']:.3f}), p = {found['p']:.3f}"
    )
    named = found["attributes"]
    qs = benjamini_hochberg([one["p"] for one in named.values()])
    above = [
        f"{name} (q = {q:.3f})" for name, q in zip(named, qs, strict=True) if q is not None and q <= ALPHA
    ]
    if not above and found["p"] > ALPHA:
        return f"{score}: no attribute says anything that these features show"
    if len(above) == len(named):
        return f"{score}: every attribute carries signal"
    return f"{score}; of {len(named)} attributes these carry signal: {_some(above)}"


def _chance(cells: Sequence[Stored]) -> list[str]:
    kind = get_kind(cells[0].record["cell"]["kind"])
    info = METRICS[kind.selection]
    if info.chance is None:
        return []
    from bench.leaderboard import boards
    from bench.outcomes import contests

    found, _ = contests(cells, [info.name])
    lines = []
    for board in boards([stored.record for stored in cells], found, info.name):
        rows = [row for row in board.rows if row.low is not None and row.high is not None]
        above = [row for row in rows if row.low is not None and row.low > info.chance]
        stage, many = board.cell["stage"], f"{len(rows)} setting{'s' if len(rows) > 1 else ''}"
        if rows and not above:
            lines.append(
                f"chance in {stage}: no method beats it; of {many} none has a 95% interval of {info.title} "
                f"on test above {info.chance:g}"
            )
        elif rows:
            qs = _corrected(rows, board.contest, info.name, info.chance)
            named = [f"{_name(row)} (q = {qs[id(row)]:.3f})" for row in above]
            count = "all" if len(above) == len(rows) else str(len(above))
            lines.append(
                f"chance in {stage}: of {many} {count} have a 95% interval of {info.title} on test above "
                f"{info.chance:g}: {_some(named)}"
            )
    return lines


def _corrected(rows: Sequence[Row], contest: Any, metric: str, chance: float) -> dict[int, float]:
    """Return by row the p of being as good as chance, corrected over all rows (Benjamini-Hochberg)."""
    from bench import stats

    ps = []
    for row in rows:
        ids = [str(record["id"]) for record in row.setting.records]
        draws = stats.nested_means(contest.spread(metric, ids), contest.seed + 1)
        ps.append(stats.bootstrap_p(draws - chance))
    qs = stats.benjamini_hochberg(ps)
    return {id(row): 1.0 if q is None else q for row, q in zip(rows, qs, strict=True)}


def _name(row: Row) -> str:
    return f"{row.setting.cell['backbone']} {row.setting.cell['method_text']}"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"
