"""From a request to cells, the reasons for what cannot run, and jobs. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.cards import REGIMES, TaskCard, load_card
from bench.data.examples import Examples
from bench.data.parts import Parts
from bench.data.rules import check_plan
from bench.errors import BenchError, unknown
from bench.methods.grammar import parse_methods, problems_for
from bench.models.backbones import JOIN, no_maps, parts_of, problem_with, weights_ids
from bench.plan_checks import check_kind, check_made, check_regime, check_rehearsal, no_auxiliary
from bench.protocol import CARD, GIVEN, check_together, resolve
from bench.spec import Cell, DataId, Value
from bench.staged import of_stage
from bench.text.fit import check_titles, unfit


@dataclass(frozen=True)
class Request:
    """What the command line asked for; None and empty mean "as the card says".

    data: a data folder, or None for the drawn sample of size `sample`.
    """

    task: str
    data: Path | None = None
    sample: str | None = None
    backbones: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: str | None = None
    stages: tuple[str, ...] = ()
    regime: str | None = None
    weights: str | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON data."""
        return {**asdict(self), "data": None if self.data is None else str(self.data)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Request:
        """Return the request that `to_json` wrote."""
        lists = {key: tuple(raw[key]) for key in ("backbones", "methods", "stages")}
        return cls(**{**raw, **lists, "data": None if raw["data"] is None else Path(raw["data"])})


@dataclass(frozen=True)
class Skipped:
    """A combination that was asked for and cannot run."""

    backbone: str
    regime: str
    method: str
    reason: str


@dataclass(frozen=True)
class Job:
    """Cells that share one backbone's pixels and features. `weights` is as the user wrote it."""

    backbone: str
    regime: str
    weights: str
    cells: tuple[Cell, ...]

    def only(self, ids: Set[str]) -> Job:
        """Return the job with just the cells of these ids."""
        return replace(self, cells=tuple(cell for cell in self.cells if cell.id in ids))


@dataclass(frozen=True)
class Plan:
    """Everything that would run, grouped into jobs, and everything that cannot."""

    card: TaskCard
    jobs: tuple[Job, ...]
    skipped: tuple[Skipped, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, job by job."""
        return tuple(cell for job in self.jobs for cell in job.cells)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read a seed list such as `0-2,7`.

    >>> parse_seeds("0-2,7")
    (0, 1, 2, 7)

    Raises BenchError for anything else, a seed named twice, or more than 1,000 seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?", part)
        if not match:
            raise BenchError(f"--seed {text!r}: write whole numbers and ranges, for example 0-2 or 0,3,5")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low or high - low >= 1000:
            raise BenchError(f"--seed {text!r}: the range {part.strip()} is empty or longer than 1,000")
        seeds += range(low, high + 1)
    if len(set(seeds)) != len(seeds):
        raise BenchError(f"--seed {text!r}: a seed is named twice")
    if len(seeds) > 1000:
        raise BenchError(f"--seed {text!r}: at most 1,000 seeds")
    return tuple(seeds)


def open_task(request: Request, tasks: Sequence[Path], cache: Path) -> tuple[TaskCard, Examples]:
    """Read the task's card and open its data. Raises BenchError (unknown task) or DataError (bad data)."""
    from bench.data.sources import open_source

    card = load_card(request.task, tasks)
    sample = request.sample or card.grids["drawn"].sample
    asked = str(request.settings.get("source", CARD))
    if asked not in (CARD, *card.sources):
        raise unknown("source", asked, card.sources, f"{card.name} has {', '.join((CARD, *card.sources))}")
    needed = tuple(name for name in (card.label, card.split_column) if name)
    examples = open_source(card.sources.get(asked, card.source), request.data, sample, cache, needed)
    reviewed = str(request.settings.get("labels", GIVEN))
    if reviewed != GIVEN:
        if card.kind != "multiclass":
            raise BenchError(
                f"--set labels={reviewed}: {card.name} is {card.kind}; no class is there to review"
            )
        from bench.data.corrections import corrected

        examples = corrected(examples, card.label, Path(reviewed).expanduser())
    return card, examples


def make_plan(card: TaskCard, request: Request, examples: Examples) -> Plan:
    """Expand a request into cells.

    Names are checked before anything else, so that a typing error costs nothing. A combination that is
    legal in itself but cannot run (a method the regime cannot use, say) is skipped with its reason.
    Raises BenchError for unknown names, faulty seeds and an unknown stage.
    """
    grid = card.grids["drawn" if request.data is None else "data"]
    backbones = _unique(request.backbones or grid.backbones, "backbone")
    asked = [method for text in request.methods or grid.methods for method in parse_methods(text)]
    methods = tuple(dict.fromkeys(asked))
    seeds = parse_seeds(request.seeds or grid.seeds)
    stages = _stages(card, request.stages)
    if request.regime is not None and request.regime not in REGIMES:
        raise unknown("regime", request.regime, REGIMES, f"one of {', '.join(REGIMES)}")
    data = DataId(examples.source, examples.fingerprint)
    jobs, skipped = [], []
    for name in dict.fromkeys(JOIN.join(info.name for info in parts_of(text)) for text in backbones):
        parts = parts_of(name)
        regime = request.regime or (parts[0].regime if len(parts) == 1 else "frozen")
        weights = request.weights or ("random" if regime == "scratch" else "imagenet")
        layers = card.layers(regime, request.settings)
        protocol = dict(resolve(*layers, _place_free(request.settings)))
        check_regime(name, regime, *layers[2:])
        own = {stage: of_stage(protocol, stage, _before(card, stage, regime, protocol)) for stage in stages}
        for stage, setting in own.items():
            check_together(setting)
            check_kind(card, setting, examples, regime)
            check_rehearsal(card, stage, setting, examples)
        if card.kind == "verification":
            check_made(protocol, dict(resolve(*card.layers(regime, {}))), examples)
        check_titles(card, parts, protocol, examples)
        check_plan(examples, Parts(card, examples, protocol).plan)
        reason = problem_with(parts, regime, weights, protocol)
        runnable = []
        for method in methods:
            why = reason or problems_for(method, card.kind, regime) or unfit(method, parts)
            why = why or no_auxiliary(method, card, examples)
            if not why and any(step.name == "conv" for step in method.steps):
                why = no_maps(parts, protocol)
            if why:
                skipped.append(Skipped(name, regime, method.text, why))
            else:
                runnable.append(method)
        if not runnable:
            continue
        identity = weights_ids(parts, weights)
        cells = tuple(
            Cell(
                card.name,
                card.version,
                card.kind,
                stage,
                regime,
                name,
                identity,
                method,
                seed,
                tuple(sorted(own[stage].items())),
                data,
            )
            for stage in stages
            for method in runnable
            for seed in seeds
        )
        jobs.append(Job(name, regime, weights, cells))
    return Plan(card, tuple(jobs), tuple(skipped))


def _before(card: TaskCard, stage: str, regime: str, protocol: Mapping[str, Value]) -> list[str]:
    """Return the stages that this one goes on from, the last one first."""
    if regime != "finetune" or not protocol["staged"]:
        return []
    names = [one.name for one in card.stages]
    return names[: names.index(stage)][::-1]


def _place_free(settings: Mapping[str, Value]) -> dict[str, Value]:
    """Return what stands in a cell for settings that name a file; the data's fingerprint has its content."""
    return {"labels": "reviewed"} if settings.get("labels", GIVEN) != GIVEN else {}


def _unique(names: Sequence[str], what: str) -> tuple[str, ...]:
    split = [part.strip() for name in names for part in name.split(",")]
    if "" in split:
        raise BenchError(f"--{what}: a name is empty")
    return tuple(dict.fromkeys(split))


def _stages(card: TaskCard, asked: Sequence[str]) -> tuple[str, ...]:
    known = [stage.name for stage in card.stages]
    for name in asked:
        if name not in known:
            raise unknown("stage", name, known, f"{card.name} has {', '.join(known)}")
    return tuple(name for name in known if not asked or name in asked)
