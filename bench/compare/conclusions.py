"""Conclusions from the stored cells of a stage, as sentences: validation's choice, and effects of methods."""

from __future__ import annotations

from collections.abc import Sequence

from bench.compare.effects import Effect
from bench.compare.estimates import Contrast
from bench.compare.leaderboard import BEHIND, NOT_BETTER, TIED, Board, Row, best_trivial
from bench.compare.verdict import BETTER, SAME, WORSE
from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.metrics.registry import get_metric
from bench.store.settings import rehearses

MOST_NAMED = 6
"""Maximum number of methods that one clause names."""


def concluding_metrics(kind: str) -> list[str]:
    """Return the metrics of conclusions: the selection metric, and the first in tables."""
    known = get_kind(kind)
    return list(dict.fromkeys([known.selection, known.headline[0]]))


def conclusions(board: Board, found: Sequence[Effect]) -> list[str]:
    """Return the conclusions of a board: the setting chosen on validation, its rank, the effects of methods.

    found: the effects of its methods in `concluding_metrics`. "Beyond chance" is the verdict of
    `bench.compare.verdict.called`: the 95% interval excludes 0, and q <= .05 over all methods.
    """
    metrics = concluding_metrics(board.bootstrap.kind)
    lines = _choice(board, metrics)
    if len({row.setting.cell["method_text"] for row in board.rows}) < 2:
        return lines
    if not found:
        return [*lines, "No method was run beside the same setting without it, so effects are unknown."]
    return lines + [line for metric in metrics if (line := on_effects(found, metric))]


def conclusion(board: Board, found: Sequence[Effect]) -> str:
    """Return the main conclusion: the effects of methods, or else the rank of validation's choice.

    found: the effects of the board's methods in its metric.
    """
    if len(board.rows) == 1:
        return "Only one setting was run, so there is nothing to compare it with."
    if line := on_effects(found, board.metric):
        return line
    if board.choice is None or board.choice.rank is None:
        return "No setting has validation scores, so none is chosen."
    chosen = f"Validation chooses {board.name(board.choice.setting)}."
    return f"{chosen} {_place(board, board.choice, _where(board))}"


def _choice(board: Board, metrics: Sequence[str]) -> list[str]:
    row, where = board.choice, _where(board)
    if row is None:
        return ["No setting has validation scores, so none is chosen."]
    scores = [score for metric in metrics if (score := _score(board, row, metric))]
    seeds = counted(len(row.setting.measured), "seed")
    lead = "Validation chooses" if len(board.rows) > 1 else "The only setting is"
    name = board.name(row.setting)
    if not scores:
        return [f"{lead} {name}; it has no score on {where}."]
    lines = [f"{lead} {name}: {' and '.join(scores)} on {where} (95% intervals, {seeds})."]
    if len(board.rows) > 1 and row.rank is not None:
        lines.append(_place(board, row, where))
    trivial = best_trivial(row.setting, board.metric)
    if trivial is not None and row.standing == NOT_BETTER:
        title, value = get_metric(board.metric).title, f"{trivial[1]:.3f}"
        lines.append(f"It is not better than an answer that ignores the image: {title} {value}.")
    return lines


def _where(board: Board) -> str:
    return "held-out training data" if rehearses(board.cell) else "test"


def _score(board: Board, row: Row, metric: str) -> str:
    """Return a metric's mean over seeds with its interval, "" if it is undefined."""
    values = row.setting.values("test", metric)
    if not values or len(values) < len(row.setting.records):
        return ""
    text = f"{get_metric(metric).title} {sum(values) / len(values):.3f}"
    ids = [str(record["id"]) for record in row.setting.records]
    found = board.bootstrap.estimate(metric, Contrast.mean(ids))
    if found is None or found.low is None or found.high is None:
        return text
    return f"{text} [{found.low:.3f}, {found.high:.3f}]"


def _place(board: Board, row: Row, where: str) -> str:
    """Return the rank of validation's choice among all settings."""
    title, best, many = get_metric(board.metric).title, board.rows[0], len(board.rows)
    if row is best:
        tied = sum(other.standing == TIED for other in board.rows)
        rest = f"; {counted(tied, 'other')} cannot be distinguished from it" if tied else ""
        return f"It is also the first of {many} settings by {title} on {where}{rest}."
    place = f"It is number {row.rank} of {many} settings by {title} on {where}"
    gap = f"{board.name(best.setting)} is {abs(row.gap or 0.0):.3f} better"
    return f"{place}: {gap}{_beyond(row)}."


def _beyond(row: Row) -> str:
    """Return whether a setting's difference to the best is beyond chance, "" if unknown."""
    standing = row.standing
    # A setting that is behind the best is not called NOT_BETTER.
    if standing == NOT_BETTER and row.gap_low is not None:
        standing = TIED
    return {BEHIND: ", beyond chance", TIED: ", not beyond chance"}.get(standing or "", "")


def on_effects(found: Sequence[Effect], metric: str) -> str:
    """Return one sentence about the effects of all methods on a metric, "" without any."""
    own = [effect for effect in found if effect.metric == metric]
    title = get_metric(metric).title
    clauses, object_ = [], f"{title} relative to {own[0].base}" if own else ""
    for verdict, verb in ((BETTER, "improve"), (WORSE, "worsen")):
        if some := [effect for effect in own if effect.verdict == verdict]:
            clauses.append(f"{_named(some)} {verb}{'s' if len(some) == 1 else ''} {object_}")
            object_ = "it"
    same = [effect for effect in own if effect.verdict == SAME]
    if same and clauses:
        effect, is_ = ("effect", "is") if len(same) == 1 else ("effects", "are")
        clauses.append(f"the {effect} of {_named(same)} {is_} not beyond chance")
    elif same:
        clauses.append(f"No method's effect on {title} is beyond chance: {_named(same)}")
    if unknown := [effect for effect in own if effect.verdict is None]:
        clauses.append(f"without interval: {_named(unknown)} for {title}")
    sentence = "; ".join(clauses)
    return f"{sentence}." if sentence else ""


def _named(some: Sequence[Effect]) -> str:
    """Return methods with their effects, largest first."""
    ranked = sorted(some, key=lambda effect: (-abs(effect.value), effect.method))
    names = [f"{effect.method} ({effect.value:+.3f})" for effect in ranked[:MOST_NAMED]]
    if len(some) > MOST_NAMED:
        names.append(f"{len(some) - MOST_NAMED} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
