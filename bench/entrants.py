"""Finds what a user names to be compared: cells, settings, baselines, answers that look at no image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.baselines import Baseline, PublishedResult, find_baselines
from bench.comparison import Setting, settings_of
from bench.errors import BenchError, nearest
from bench.kinds.base import get_kind
from bench.sides import pinned_setting, trivial_setting
from bench.store import Stored


@dataclass(frozen=True)
class Entrant:
    """One side of one comparison: a setting of which every answer is known, or published numbers.

    name: as tables call it. baseline: that it is of, if any.
    """

    name: str
    stage: str
    setting: Setting | None = None
    published: PublishedResult | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Stock:
    """All that can be named. cells: measured, of one task. folders: where baselines are looked for."""

    task: str
    root: Path
    cells: Sequence[Stored]
    folders: Sequence[Path]

    @property
    def kind(self) -> str:
        """The kind of the task, as its cells say."""
        return str(self.cells[0].record["cell"]["kind"]) if self.cells else "multiclass"

    @property
    def settings(self) -> list[Setting]:
        """The settings of all cells."""
        return settings_of(self.cells, self.task)

    @property
    def trivials(self) -> Sequence[str]:
        """The names of answers that look at no image."""
        return get_kind(self.kind).trivial_names


def both_sides(stock: Stock, ours: str, theirs: str) -> tuple[list[Entrant], list[Entrant]]:
    """Return what two texts name. Raises BenchError for one that names nothing, or several things.

    A text is the beginning of a cell's id, `backbone/method`, the name of a baseline, of a pinned one also
    `name:backbone/method`, or the name of an answer that looks at no image, which is given on the items of
    the other side.
    """
    names = {ours, theirs} & {*stock.trivials}
    sides = [[] if text in names else entrants(stock, text) for text in (ours, theirs)]
    for place, text in enumerate((ours, theirs)):
        if text in names:
            others = [entrant.setting for entrant in sides[1 - place] if entrant.setting is not None]
            sides[place] = _trivial(others or _one_of_each_stage(stock), text)
    return sides[0], sides[1]


def entrants(stock: Stock, text: str) -> list[Entrant]:
    """Return what a text names that is no trivial answer. Raises BenchError."""
    name, _, choice = text.partition(":")
    found = {key[1]: path for key, path in find_baselines(stock.folders, stock.task).items()}
    if name in found:
        return _of_baseline(stock, found[name], choice)
    if "/" in text and (settings := _named(stock.settings, text)):
        return [Entrant(_called(setting), setting.stage, setting) for setting in settings]
    wanted = text.rstrip("/").rsplit("-", 1)[-1].lower()
    cells = [cell for cell in stock.cells if wanted and cell.id.startswith(wanted)]
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
    (setting,) = settings_of(cells, stock.task)
    return [
        Entrant(f"{_called(setting)}, seed {setting.seeds[0]} ({cells[0].id[:8]})", setting.stage, setting)
    ]


def _named(settings: Sequence[Setting], text: str) -> list[Setting]:
    """Return the settings of a backbone and method. Raises BenchError where protocols tell several apart."""
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
    places: dict[tuple[str, str, str], list[Setting]] = {}
    for setting in found:
        places.setdefault((setting.stage, setting.fingerprint, setting.regime), []).append(setting)
    for place, several in places.items():
        if len(several) > 1:
            shown = "; ".join(setting.differs for setting in several[:4])
            raise BenchError(
                f"{text!r} was run {len(several)} times for {place[0]} ({shown}): name a cell by its id, as "
                "`bench results` lists it"
            )
    return found


def _of_baseline(stock: Stock, path: Path, choice: str) -> list[Entrant]:
    from bench.baseline_files import read_baseline

    baseline = read_baseline(path)
    if baseline.pinned is None:
        results = [result for result in baseline.published if choice in ("", result.label, _of(result))]
        if not results and choice:
            known = [_of(result) for result in baseline.published]
            raise BenchError(f"baseline {baseline.name} has no {choice!r}{nearest(choice, known)}")
        return [
            Entrant(_joined(baseline.name, _of(result), result.label), result.stage, None, result, baseline)
            for result in results
        ]
    settings = [pinned_setting(stock.task, baseline.pinned, result) for result in baseline.pinned.results]
    chosen = _named(settings, choice) if choice else settings
    if not chosen:
        known = [f"{setting.backbone}/{setting.method}" for setting in settings]
        raise BenchError(f"baseline {baseline.name} has no {choice!r}{nearest(choice, known)}")
    return [
        Entrant(_joined(baseline.name, _called(setting)), setting.stage, setting, None, baseline)
        for setting in chosen
    ]


def _of(result: PublishedResult) -> str:
    return f"{result.backbone}/{result.method}"


def _trivial(settings: Sequence[Setting], name: str) -> list[Entrant]:
    return [Entrant(name, setting.stage, trivial_setting(setting, name)) for setting in settings]


def _one_of_each_stage(stock: Stock) -> list[Setting]:
    if not stock.cells:
        raise BenchError(f"a trivial answer needs items: no measured cell of {stock.task} is in {stock.root}")
    stages: Mapping[str, Setting] = {setting.stage: setting for setting in reversed(stock.settings)}
    return list(stages.values())


def _called(setting: Setting) -> str:
    return _joined(f"{setting.backbone} {setting.method}", setting.differs)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
