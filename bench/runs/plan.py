"""Plan of a request: cells, jobs, and reasons for combinations that cannot run. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.backbones.engine_choice import with_engine
from bench.backbones.external import functions_in
from bench.backbones.info import BackboneInfo
from bench.backbones.names import joined_name, resolve_backbones
from bench.backbones.problems import feature_map_problem, problem_with
from bench.backbones.registry import weights_ids
from bench.core import plugins
from bench.core.cell import Cell, DataId, Value
from bench.core.errors import BenchError, unknown
from bench.core.kind import get_kind
from bench.core.protocol import CARD, GIVEN, identified, resolve
from bench.core.protocol_checks import check_together
from bench.core.stage_values import stage_values
from bench.data.examples import Examples
from bench.data.labels import Parts
from bench.data.split_rules import REGISTERED, check_plan
from bench.data.task_card import REGIMES, TaskCard
from bench.methods.grammar import parse_methods, paths_in, problems_for
from bench.methods.shape import shape_of
from bench.runs.plan_checks import (
    auxiliary_problem,
    check_decay,
    check_regime,
    check_rehearsal,
    check_vectors,
    check_weights,
)
from bench.runs.title_checks import check_titles, method_problem
from bench.runs.trials import check_tuning


@dataclass(frozen=True)
class Request:
    """Request of the command line; None and empty mean the card's value.

    task: "" for data without a card, which `label`, `kind` and `columns` describe: see
    `bench.data.survey.DataQuery`. data: a data folder, or None for the synthetic sample of size `sample`.
    follow_links: whether links that leave it are followed; no part of a cell's identity, which holds the
    content of what was read. plugins: files and modules to load, see `bench.core.plugins`. allow_code:
    whether code in a model's file may run.
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
    follow_links: bool = False
    plugins: tuple[str, ...] = ()
    allow_code: bool = False
    label: tuple[str, ...] = ()
    kind: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the request as JSON data."""
        return {**asdict(self), "data": None if self.data is None else str(self.data)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Request:
        """Return the request that `to_json` wrote."""
        lists = {key: tuple(raw[key]) for key in ("backbones", "methods", "stages", "label", "plugins")}
        return cls(**{**raw, **lists, "data": None if raw["data"] is None else Path(raw["data"])})


@dataclass(frozen=True)
class Skipped:
    """A requested combination that cannot run."""

    backbone: str
    regime: str
    method: str
    reason: str


@dataclass(frozen=True)
class Job:
    """Cells that share one backbone's pixels and features. `weights` is as the user wrote it."""

    parts: tuple[BackboneInfo, ...]
    regime: str
    weights: str
    cells: tuple[Cell, ...]

    @property
    def backbone(self) -> str:
        """The backbone's name, as the cells have it."""
        return joined_name(self.parts)

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


def make_plan(card: TaskCard, request: Request, examples: Examples) -> Plan:
    """Expand a request into cells.

    Names are checked before anything else, so that a typing error costs nothing. A combination that is
    legal in itself but cannot run (a method the regime cannot use, say) is skipped with its reason.
    Raises BenchError for unknown names, faulty seeds and an unknown stage.
    """
    grid = card.grids["drawn" if request.data is None else "data"]
    refuse_code(card, request, request.backbones or grid.backbones, request.methods or grid.methods)
    backbones = resolve_backbones(request.backbones or grid.backbones, request.allow_code)
    asked = [method for text in request.methods or grid.methods for method in parse_methods(text)]
    methods = tuple(dict.fromkeys(asked))
    seeds = parse_seeds(request.seeds or grid.seeds)
    stages = _stages(card, request.stages)
    if request.regime is not None and request.regime not in REGIMES:
        raise unknown("regime", request.regime, REGIMES, f"one of {', '.join(REGIMES)}")
    data = DataId(examples.source, examples.fingerprint)
    jobs, skipped = [], []
    for parts in backbones:
        name = joined_name(parts)
        regime = request.regime or (parts[0].regime if len(parts) == 1 else "frozen")
        weights = request.weights or ("random" if regime == "scratch" else "imagenet")
        layers = card.layers(regime, request.settings)
        protocol = with_engine(parts, regime, dict(resolve(*layers, _place_free(request.settings))))
        check_regime(name, regime, *layers[3:])
        own = {
            stage: stage_values(protocol, stage, _before(card, stage, regime, protocol)) for stage in stages
        }
        kind, usual = get_kind(card.kind), dict(resolve(*card.layers(regime, {})))
        for stage, setting in own.items():
            check_together(setting)
            check_decay(setting, regime)
            kind.checks.check_setting(card, setting, usual, examples, regime)
            check_rehearsal(card, stage, setting, examples)
            check_tuning(setting, methods, card.kind, regime)
        check_titles(card, parts, protocol, examples)
        check_vectors(parts, examples)
        parted = Parts(card, examples, protocol)
        check_plan(examples, parted.plan)
        lacking = {one: why for one in stages if (why := kind.checks.no_class(card, one, parted)) is not None}
        skipped += [Skipped(name, regime, "every method", why) for why in lacking.values()]
        check_weights(parts, request.weights, weights, protocol)
        reason = problem_with(parts, regime, weights, protocol)
        if reason and any(info.origin is not None for info in parts):
            # It is a fault of what the user named, not of a combination with a method.
            raise BenchError(reason)
        runnable = []
        for method in methods:
            why = reason or problems_for(method, card.kind, regime) or method_problem(method, parts)
            why = why or auxiliary_problem(method, card, examples)
            if not why and shape_of(method).filters:
                why = feature_map_problem(parts, protocol)
            if why:
                skipped.append(Skipped(name, regime, method.text, why))
            else:
                runnable.append(method)
        if not runnable or len(lacking) == len(stages):
            continue
        identity = weights_ids(parts, weights)
        source, rule = str(protocol["source"]), str(protocol["split"])
        shared = [
            *(("backbone", info.name) for info in parts),
            ("kind", card.kind),
            ("source", card.sources.get(source, card.source)),
            (REGISTERED, card.split_rule if rule == CARD else rule),
        ]
        owners = {
            method: plugins.owners_of([*shared, *(("step", step.name) for step in method.steps)])
            for method in runnable
        }
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
                identified(own[stage]),
                data,
                owners[method],
            )
            for stage in stages
            if stage not in lacking
            for method in runnable
            for seed in seeds
        )
        jobs.append(Job(parts, regime, weights, cells))
    return Plan(card, tuple(jobs), tuple(skipped))


def refuse_code(
    card: TaskCard, request: Request, backbones: Sequence[str], methods: Sequence[str] = ()
) -> None:
    """Raise BenchError if the card, which may be a stranger's, names code that the user does not.

    backbones, methods: those to be used, of the request or, where it names none, of the card.
    """
    code = [
        *(() if request.backbones else functions_in(backbones)),
        *(() if request.methods else paths_in(methods)),
    ]
    if code and not request.allow_code:
        raise BenchError(
            f"the card of {card.name} runs code, {code[0]!r}: give --allow-code, if you trust it, or name "
            "that with --backbone or --method"
        )


def _before(card: TaskCard, stage: str, regime: str, protocol: Mapping[str, Value]) -> list[str]:
    """Return the stages that this one builds on, the last one first."""
    if regime != "finetune" or not protocol["staged"]:
        return []
    names = [one.name for one in card.stages]
    return names[: names.index(stage)][::-1]


def _place_free(settings: Mapping[str, Value]) -> dict[str, Value]:
    """Return a cell's value for settings that name a file; the data's fingerprint covers the content."""
    return {"labels": "reviewed"} if settings.get("labels", GIVEN) != GIVEN else {}


def _stages(card: TaskCard, asked: Sequence[str]) -> tuple[str, ...]:
    known = [stage.name for stage in card.stages]
    for name in asked:
        if name not in known:
            raise unknown("stage", name, known, f"{card.name} has {', '.join(known)}")
    return tuple(name for name in known if not asked or name in asked)
