"""Resolution of names in a comparison: cells, settings, baselines, trivial answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.compare.baselines.find import find_baselines
from bench.compare.baselines.types import Baseline, PublishedResult
from bench.compare.references import pinned_side, trivial_side
from bench.compare.side import Side, sides_of
from bench.core.errors import BenchError, nearest
from bench.store.settings import kind_of, trivial_answers
from bench.store.write import Stored


@dataclass(frozen=True)
class Candidate:
    """One side of a comparison: a setting with known answers, or published numbers.

    name: shown in tables. baseline: its baseline, if any. one_cell: whether it was named by a cell's id.
    """

    name: str
    stage: str
    setting: Side | None = None
    published: PublishedResult | None = None
    baseline: Baseline | None = None
    one_cell: bool = False


@dataclass(frozen=True)
class Stock:
    """Everything that can be named.

    cells: measured cells of one task. further: their further answers, which do not count. folders: to search
    for baselines. declared: conditions of the cells that are not recorded; see `bench.compare.conditions`.
    """

    task: str
    root: Path
    cells: Sequence[Stored]
    folders: Sequence[Path]
    declared: Mapping[str, str] = field(default_factory=dict)
    further: Sequence[Stored] = ()

    @property
    def settings(self) -> list[Side]:
        """The settings of all cells."""
        return sides_of(self.cells, self.task, self.declared)

    @property
    def trivials(self) -> Sequence[str]:
        """The names of trivial answers: of the task's kind, or of any kind without a cell."""
        if not self.cells:
            return tuple(trivial_answers())
        return tuple(kind_of(self.cells[0].record).trivial_notes)


def find_candidates(stock: Stock, ours: str, theirs: str) -> tuple[list[Candidate], list[Candidate]]:
    """Resolve two texts. Raises BenchError for an unknown or ambiguous name.

    A text is the beginning of a cell's id, `backbone/method`, the name of a baseline (of a pinned one also
    `name:backbone/method`), or the name of a trivial answer, computed on the items of the other side.
    """
    names = {ours, theirs} & {*stock.trivials}
    sides = [[] if text in names else candidates(stock, text) for text in (ours, theirs)]
    for index, text in enumerate((ours, theirs)):
        if text in names:
            others = [one.setting for one in sides[1 - index] if one.setting is not None]
            sides[index] = _trivial(others or _one_of_each_stage(stock), text)
    return sides[0], sides[1]


def candidates(stock: Stock, text: str) -> list[Candidate]:
    """Resolve a text that is not the name of a trivial answer. Raises BenchError."""
    name, _, choice = text.partition(":")
    found = {key[1]: path for key, path in find_baselines(stock.folders, stock.task).items()}
    if name in found:
        return _of_baseline(stock, found[name], choice)
    if "/" in text and (settings := _named(stock.settings, text)):
        return [Candidate(_called(setting), setting.stage, setting) for setting in settings]
    wanted, _, number = text.rstrip("/").rsplit("-", 1)[-1].lower().partition(".")
    named = [cell for cell in stock.further if cell.name.endswith(f".{number}")] if number else stock.cells
    cells = [cell for cell in named if wanted and cell.id.startswith(wanted)]
    if len(cells) > 1:
        shown = ", ".join(cell.id[: len(wanted) + 4] for cell in cells[:5])
        raise BenchError(f"{text!r} begins {len(cells)} cells ({shown}, ...): give more of the id")
    if not cells:
        runs = [f"{setting.backbone}/{setting.method}" for setting in stock.settings]
        guess = nearest(text, [*found, *runs, *stock.trivials])
        raise BenchError(
            f"{text!r} names no measured cell of {stock.task} in {stock.root}, no backbone/method that was "
            f"run, no baseline and no trivial answer ({', '.join(stock.trivials)}){guess}"
        )
    (setting,) = sides_of(cells, stock.task, stock.declared)
    name = f"{_called(setting)}, seed {setting.seeds[0]} ({cells[0].name})"
    return [Candidate(name, setting.stage, setting, one_cell=True)]


def _named(settings: Sequence[Side], text: str) -> list[Side]:
    """Return the settings of a backbone and method. Raises BenchError for several protocols."""
    from bench.methods.grammar import parse_methods

    backbone, _, method = text.partition("/")
    found = [setting for setting in settings if setting.backbone == backbone]
    if not found:
        return []
    try:
        methods = {spec.text for spec in parse_methods(method)}
    except BenchError:
        methods = {method}
    found = [setting for setting in found if setting.method in methods]
    places: dict[tuple[str, str, str], list[Side]] = {}
    for setting in found:
        places.setdefault((setting.stage, setting.fingerprint, setting.regime), []).append(setting)
    for place, several in places.items():
        if len(several) > 1:
            shown = "; ".join(setting.differs or "default" for setting in several[:4])
            raise BenchError(
                f"{text!r} was run {len(several)} times for {place[0]} ({shown}): name a cell by its id, as "
                "`bench results` lists it"
            )
    return found


def _of_baseline(stock: Stock, path: Path, choice: str) -> list[Candidate]:
    from bench.compare.baselines.read import read_baseline

    baseline = read_baseline(path)
    if baseline.pinned is None:
        results = [result for result in baseline.published if choice in ("", result.label, _of(result))]
        if not results and choice:
            known = [_of(result) for result in baseline.published]
            raise BenchError(f"baseline {baseline.name} has no {choice!r}{nearest(choice, known)}")
        return [
            Candidate(_joined(baseline.name, _of(result), result.label), result.stage, None, result, baseline)
            for result in results
        ]
    settings = [pinned_side(stock.task, baseline.pinned, result) for result in baseline.pinned.results]
    chosen = _named(settings, choice) if choice else settings
    if not chosen:
        known = [f"{setting.backbone}/{setting.method}" for setting in settings]
        raise BenchError(f"baseline {baseline.name} has no {choice!r}{nearest(choice, known)}")
    return [
        Candidate(_joined(baseline.name, _called(setting)), setting.stage, setting, None, baseline)
        for setting in chosen
    ]


def _of(result: PublishedResult) -> str:
    return f"{result.backbone}/{result.method}"


def _trivial(settings: Sequence[Side], name: str) -> list[Candidate]:
    return [Candidate(name, setting.stage, trivial_side(setting, name)) for setting in settings]


def _one_of_each_stage(stock: Stock) -> list[Side]:
    if not stock.cells:
        raise BenchError(f"a trivial answer needs items: no measured cell of {stock.task} is in {stock.root}")
    stages: Mapping[str, Side] = {setting.stage: setting for setting in reversed(stock.settings)}
    return list(stages.values())


def _called(setting: Side) -> str:
    return _joined(f"{setting.backbone} {setting.method}", setting.differs)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
