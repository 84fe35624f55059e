"""From a request to cells, the reasons for what cannot run, and jobs. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.cards import REGIMES, TaskCard, load_card
from bench.data.examples import Examples
from bench.data.pair_files import which_pairs
from bench.data.parts import Parts
from bench.data.rules import check_plan
from bench.errors import BenchError, DataError, nearest, unknown
from bench.methods.grammar import parse_methods, problems_for
from bench.models.backbones import JOIN, no_maps, parts_of, problem_with, weights_ids
from bench.protocol import CARD, GIVEN, KEYS, check_together, resolve
from bench.spec import Cell, DataId, MethodSpec, Value
from bench.staged import of_stage
from bench.text.fit import check_titles, unfit

FINETUNE = frozenset({"train_from", "norms", "backbone_rate", "staged", "unfreeze"})
"""Protocol keys that no other regime looks at."""

FROZEN = frozenset({"layers", "pool", "unit_fields", "mirror"})
"""Likewise, of the frozen regime."""

PAIRS = ("pairs", "train_pairs", "test_pairs", "pair_balance")
"""Protocol keys that tasks of pairs alone look at."""

MADE = ("train_pairs", "test_pairs", "pair_balance", "test_fraction", "split_seed")
"""Likewise, where pairs are made: lists of pairs say themselves who and what is paired."""

NOT_PAIRS = ("noise", "hide", "labels", "duplicates", "split", "split_column", "staged", "unfreeze")
"""Protocol keys that mean nothing to tasks of pairs."""


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
        _check_regime(name, regime, {**layers[2], **layers[3]})
        own = {stage: of_stage(protocol, stage, _before(card, stage, regime, protocol)) for stage in stages}
        for stage, setting in own.items():
            check_together(setting)
            _check_kind(card, setting, examples, regime)
            _check_rehearsal(card, stage, setting, examples)
        if card.kind == "verification":
            _check_made(protocol, dict(resolve(*card.layers(regime, {}))), examples)
        check_titles(card, parts, protocol, examples)
        check_plan(examples, Parts(card, examples, protocol).plan)
        reason = problem_with(parts, regime, weights, protocol)
        runnable = []
        for method in methods:
            why = reason or problems_for(method, card.kind, regime) or unfit(method, parts)
            why = why or _no_auxiliary(method, card, examples)
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


def _no_auxiliary(method: MethodSpec, card: TaskCard, examples: Examples) -> str | None:
    """Return why a method has no auxiliary columns to train on, or None where it has, or needs none."""
    if all(step.name != "multitask" for step in method.steps):
        return None
    if not card.auxiliary:
        return f"multitask trains on auxiliary columns; the card of {card.name} names none (auxiliary = [])"
    missing = [column for column in card.auxiliary if column not in examples.columns]
    return f"multitask: the data has no column {missing[0]!r}, which the card names" if missing else None


def _before(card: TaskCard, stage: str, regime: str, protocol: Mapping[str, Value]) -> list[str]:
    """Return the stages that this one goes on from, the last one first."""
    if regime != "finetune" or not protocol["staged"]:
        return []
    names = [one.name for one in card.stages]
    return names[: names.index(stage)][::-1]


def _check_regime(name: str, regime: str, given: Mapping[str, Value]) -> None:
    """Raise BenchError for a value that the regime would not look at. given: as users write it."""
    told = [(key.rpartition(".")[2], value) for key, value in given.items()]
    for only, keys in (("finetune", FINETUNE), ("frozen", FROZEN)):
        idle = sorted(key for key, value in told if key in keys and value != KEYS[key].default)
        if regime != only and idle:
            raise BenchError(f"--set {idle[0]} is for --regime {only}; {name} would run {regime}")


def _check_kind(card: TaskCard, setting: Mapping[str, Value], examples: Examples, regime: str) -> None:
    """Raise BenchError for values that the kind does not know, DataError for a missing column or list."""
    many, of_pairs = not card.label, card.kind == "verification"
    for key in NOT_PAIRS if of_pairs else PAIRS:
        if setting[key] != KEYS[key].default:
            raise BenchError(
                f"--set {key}={setting[key]} means nothing to {card.kind} tasks like {card.name}"
            )
    for key in ("hide",) if not many else ("noise",):
        if setting[key] != "none":
            what = "hides cells of tasks with many labels" if key == "hide" else "plants wrong classes"
            raise BenchError(f"--set {key}={setting[key]} {what}; {card.name} is {card.kind}")
    # Frozen pairs are judged by their order, as a score has no cut yet; a net answers one of two classes.
    scores = (
        ("val_f1", "val_auc") if many else ("val_auc",) if of_pairs and regime == "frozen" else ("val_top1",)
    )
    if setting["stop_by"] not in ("auto", "last", "val_loss", *scores):
        raise BenchError(f"--set stop_by={setting['stop_by']} is not known to {card.kind} tasks, {regime}")
    if of_pairs:
        which_pairs(examples, str(setting["pairs"]))
    by = str(setting["hide_by"])
    if by and by not in examples.columns:
        guess = nearest(by, examples.columns)
        raise DataError(f"the data has no column {by!r}, which hide_by names{guess}")


def _check_rehearsal(card: TaskCard, stage: str, setting: Mapping[str, Value], examples: Examples) -> None:
    """Raise BenchError where a stage cannot rehearse another one, DataError for a missing column."""
    other, by = str(setting["rehearse"]), str(setting["rehearse_by"])
    if not other:
        return
    if card.kind != "multiclass":
        raise BenchError(f"--set rehearse={other} counts images of classes; {card.name} is {card.kind}")
    names = [one.name for one in card.stages]
    if other not in names:
        raise unknown("stage", other, names, f"--set rehearse: {card.name} has {', '.join(names)}")
    if other == stage:
        rest = ", ".join(name for name in names if name != other)
        raise BenchError(f"--set rehearse={other}: a stage does not rehearse itself; add --stage {rest}")
    if by and by not in examples.columns:
        raise DataError(
            f"the data has no column {by!r}, which rehearse_by names{nearest(by, examples.columns)}"
        )


def _check_made(protocol: Mapping[str, Value], usual: Mapping[str, Value], examples: Examples) -> None:
    """Raise BenchError for a value that lists of pairs leave without effect. usual: the card's own values."""
    view = which_pairs(examples, str(protocol["pairs"]))
    idle = [key for key in MADE if protocol[key] != usual[key]]
    if view != "made" and idle:
        raise BenchError(
            f"--set {idle[0]} is for pairs that are made; pairs={view} are the data's own lists: "
            "leave it out, or add --set pairs=made"
        )


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
