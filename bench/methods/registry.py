"""The types of a method's steps and the one table that holds them all.

A step belongs to one stage. The stages run in this order:

    labels    which labels are trained on, which are left out, doubted or replaced; sees training rows only
    sampling  which training rows are seen, how often; may add synthetic feature rows
    augment   changed views of the training images
    mix       mixtures of the training images and of their labels
    head      the classifier on the backbone's features, if it is not one linear layer
    space     of pairs of photos: the space that they are compared in
    match     of pairs of photos: what says how alike two are; at most one
    mining    of pairs of photos: which pairs are trained on
    weight    one weight per class, or per attribute's yes and no, applied to each sample's loss
    loss      what is minimised; at most one
    posthoc   what is done to scores after training, fitted on validation, or on a calibration part of its own

Adding a step is adding one entry here (`register`), with its function in the module of its stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

from bench.core import plugins
from bench.core.cell import Value
from bench.core.search import Search
from bench.training.linear_head import LinearHead, LossSpec

STAGES = (
    *("labels", "sampling", "augment", "mix", "head", "space", "match", "mining"),
    *("weight", "loss", "posthoc"),
)


@dataclass(frozen=True)
class Param:
    """One argument of a step. `choices` closes the set of words; `low`/`high` bound numbers.

    `type` is int, float, str or bool; a float parameter may also take the words in `choices`
    (tau = 0.5 or tau = auto). path: whether the word is package.module:name. search: the numbers that tuning
    tries; None: tuning leaves the argument as it is.
    """

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    path: bool = False
    search: Search | None = None


@dataclass(frozen=True)
class Labelled:
    """Result of a labels step on n training rows.

    rows: (m,) int64 rising positions of the rows that are kept. labels: (n,) int32, the class each row is
    trained as. weights: (n,) float32 factor of each row's loss, or None for all ones. found: what goes
    into the cell's record ({"suspect": 12}).
    """

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None = None
    found: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Filled:
    """Result of a labels step on n training rows of k attributes, NaN for unknown.

    targets: (n, k) float32 what each cell is trained as: 1, 0, a share between, or NaN: not trained on.
    fills: (n, k) float32, the step's estimate of yes for the cells that were unknown to it, NaN elsewhere;
    None for a step that estimates nothing. rows: (m,) int64 rising positions of the rows that are kept.
    found: what goes into the cell's record, numbers by name.
    """

    targets: np.ndarray
    fills: np.ndarray | None
    rows: np.ndarray
    found: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Resampled:
    """Result of a sampling step on n training rows.

    rows: (m,) int64 positions among n + s rows, the first n real, the last s synthetic.
    synthetic: (s, d) float32 feature rows, labels: (s,) int32 their classes; both empty for most steps.
    """

    rows: np.ndarray
    synthetic: np.ndarray
    labels: np.ndarray


class LabelsStep(Protocol):
    """y: (n,) int32 classes below k; features: (n, d) float32, or None outside the frozen regime.

    groups: n ids of what belongs together (photos of one listing), or None where nothing is known. prices: n
    numbers as text, "" for unknown, or None where the data has none.
    """

    def __call__(
        self,
        args: Mapping[str, Any],
        y: np.ndarray,
        features: np.ndarray | None,
        groups: Sequence[str] | None,
        k: int,
        seed: int,
        prices: Sequence[str] | None = None,
    ) -> Labelled: ...


class FillStep(Protocol):
    """targets: (n, k) float32, 1, 0 or NaN for unknown; features: (n, d) float32, or None without them."""

    def __call__(
        self, args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int
    ) -> Filled: ...


class SamplingStep(Protocol):
    """y: (n,) int32; features: (n, d) float32, or None outside the frozen regime."""

    def __call__(
        self, args: Mapping[str, Any], y: np.ndarray, features: np.ndarray | None, seed: int
    ) -> Resampled: ...


class WeightStep(Protocol):
    """counts: (k,) training images per class, cleaned but not resampled -> (k,) float32 weights.

    Of attributes: (2, k) known no and yes -> (2, k).
    """

    def __call__(self, args: Mapping[str, Any], counts: np.ndarray) -> np.ndarray: ...


class LossStep(Protocol):
    """counts: (k,) rows per class that the loss will see (after resampling), or (2, k) -> the loss."""

    def __call__(self, args: Mapping[str, Any], counts: np.ndarray) -> LossSpec: ...


class PosthocStep(Protocol):
    """Fit on validation, training or calibration rows; return the new head and the choices (for the record).

    head: the trained head. features: (n, d) validation features as the head sees them (training features for
    a step that has `replaces_head`, those of its own part for one that `calibrates`), y: (n,) truth, or
    (n, k) of 1, 0 and NaN, counts: (k,) rows per class that the loss saw (after resampling), or (2, k): the
    prior the head has learned.
    """

    def __call__(
        self,
        args: Mapping[str, Any],
        head: LinearHead,
        features: np.ndarray,
        y: np.ndarray,
        counts: np.ndarray,
    ) -> tuple[LinearHead, dict[str, Any]]: ...


Needs = tuple[()] | tuple[str, str]
"""An optional package and the extra that installs it, or nothing."""


@dataclass(frozen=True)
class StepInfo:
    """A registered step: its name, stage, arguments and source.

    helps: when it helps: the end of a sentence that begins so.
    stage: the stage, or a function of the resolved arguments that gives it.
    run: the step's function by stage, as "module:function", imported only when a cell trains.
    also: further functions for other stages, in the same form (a loss with weights of its own), or a
    function of the arguments that returns them; the step then occupies those stages too.
    check: returns why resolved arguments do not fit together, or None.
    needs: an optional package that it imports, and the extra that installs it; () for none; or a function
    of the arguments.
    regimes: where it can be used. on_features: whether it needs feature rows, which only a frozen backbone
    has, or a function of the arguments. kinds: the task kinds that can use it.
    replaces_head: whether a posthoc step fits a new head to the training rows of the loss; the given head is
    then only a shape. The other steps receive validation rows and change the trained head.
    calibrates: of a posthoc step that is fitted on a calibration part of its own: the part's share of the
    training rows, from the arguments; 0 where these need none. Neither training nor any choice sees the part.
    unfit: returns why the step is useless with these arguments in a regime, or None.
    beside: by regime, steps; the method must have one of them too, as nothing is shared otherwise.
    traits: properties that other steps' conflicts and requirements can name. conflicts: names or traits of
    steps that cannot be combined with it, each with the reason, in which {other} is the other step.
    requires: names or traits; another step of the method must have one of them. traits and conflicts may be
    functions of the arguments. shares_stage: whether another step may take the same stage.
    shape: from the arguments to fields of `bench.methods.shape.Shape`. backbones: the only ones it works on;
    reads: what the parts of its backbone must read, each of these; empty for any.
    A step of stage `augment`, `mix`, `head`, `space`, `match` or `mining` has no function: its arguments say
    what is built. place: its turn among the steps of a stage that takes several. complete: of a step that
    takes arguments of any other name too, for what it calls: fills in arguments that follow from those given.
    """

    name: str
    stage: str | Callable[[Mapping[str, Any]], str]
    run: Mapping[str, str]
    summary: str
    paper: str
    helps: str = ""
    params: tuple[Param, ...] = ()
    regimes: tuple[str, ...] = ("frozen", "scratch", "finetune")
    kinds: tuple[str, ...] = ("multiclass",)
    also: Mapping[str, str] | Callable[[Mapping[str, Any]], Mapping[str, str]] = field(default_factory=dict)
    check: Callable[[Mapping[str, Any]], str | None] | None = None
    needs: Needs | Callable[[Mapping[str, Any]], Needs] = ()
    on_features: bool | Callable[[Mapping[str, Any]], bool] = False
    replaces_head: bool = False
    calibrates: Callable[[Mapping[str, Any]], float] | None = None
    place: int = 0
    unfit: Callable[[Mapping[str, Any], str], str | None] | None = None
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    traits: tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]] = ()
    conflicts: Mapping[str, str] | Callable[[Mapping[str, Any]], Mapping[str, str]] = field(
        default_factory=dict
    )
    requires: tuple[str, ...] = ()
    shares_stage: bool = False
    shape: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    backbones: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    complete: Callable[[Mapping[str, Any]], Mapping[str, Value]] | None = None

    def package(self, args: Mapping[str, Any]) -> Needs:
        """Return the optional package and its extra that the step needs with these arguments, or ()."""
        return self.needs(args) if callable(self.needs) else self.needs

    def needs_features(self, args: Mapping[str, Any]) -> bool:
        """Return whether the step needs feature rows with these arguments."""
        return self.on_features if isinstance(self.on_features, bool) else self.on_features(args)

    def brings(self, args: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the functions that the step brings to other stages with these arguments."""
        return self.also(args) if callable(self.also) else self.also

    def is_a(self, args: Mapping[str, Any]) -> frozenset[str]:
        """Return the step's name and its traits with these arguments."""
        return frozenset((self.name, *(self.traits(args) if callable(self.traits) else self.traits)))

    def conflict(self, args: Mapping[str, Any], other: str, is_a: frozenset[str]) -> str | None:
        """Return why the step cannot be combined with another of this name and these traits, or None."""
        conflicts = self.conflicts(args) if callable(self.conflicts) else self.conflicts
        return next((why.format(other=other) for key, why in conflicts.items() if key in is_a), None)

    def calibration_share(self, args: Mapping[str, Any]) -> float:
        """Return the share of the training rows that the step is calibrated on; 0 for none."""
        return 0.0 if self.calibrates is None else self.calibrates(args)

    def shaped(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields of the method's shape that the step decides with these arguments."""
        return {} if self.shape is None else self.shape(args)

    def stage_of(self, args: Mapping[str, Any]) -> str:
        """Return the stage this step runs in with these arguments."""
        return self.stage if isinstance(self.stage, str) else self.stage(args)

    def functions(self, args: Mapping[str, Any]) -> dict[str, str]:
        """Return "module:function" by stage for every stage the step occupies with these arguments."""
        stage = self.stage_of(args)
        return {stage: self.run.get(stage, ""), **self.brings(args)}


STEPS: dict[str, StepInfo] = {}


_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def register(info: StepInfo) -> StepInfo:
    """Add a step to the table. Raises ValueError if its name is taken or none, or its stage is unknown."""
    # A plug-in may come first; the package's own names are taken all the same.
    import_module("bench.methods.steps")
    if not _NAME.fullmatch(info.name) or info.name in ("none", "mask"):
        raise ValueError(f"{info.name!r} cannot be a step's name: use letters, digits, _ . -")
    if isinstance(info.stage, str) and info.stage not in STAGES:
        raise ValueError(f"step {info.name!r} has an unknown stage {info.stage!r}: {', '.join(STAGES)}")
    plugins.register("step", STEPS, info.name, info)
    return info
