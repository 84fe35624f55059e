"""The types of a method's steps and the one table that holds them all.

A step belongs to one stage. The stages run in this order:

    labels    which labels are trained on, which are left out, doubted or replaced; sees training rows only
    sampling  which training rows are seen, how often; may add synthetic feature rows
    augment   changed views of the training images
    mix       mixtures of the training images and of their labels
    head      what stands on the backbone's features, where that is not one linear layer
    space     of pairs of photos: the space that they are compared in
    match     of pairs of photos: what says how alike two are; at most one
    mining    of pairs of photos: which pairs are trained on
    weight    one weight per class, or per attribute's yes and no, applied to each sample's loss
    loss      what is minimised; at most one
    posthoc   what is done to scores after training, fitted on validation alone

Adding a step is adding one entry here (`register`), with its function in the module of its stage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

from bench.spec import Value

STAGES = (
    *("labels", "sampling", "augment", "mix", "head", "space", "match", "mining"),
    *("weight", "loss", "posthoc"),
)


@dataclass(frozen=True)
class Param:
    """One argument of a step. `choices` closes the set of words; `low`/`high` bound numbers.

    `type` is int, float, str or bool; a float parameter may also take the words in `choices`
    (tau = 0.5 or tau = auto).
    """

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LossSpec:
    """A loss for one head, in numbers only, so that heads with different losses train side by side.

    family: key of `bench.methods.losses.FAMILIES`. params: that family's numbers.
    offset: (k,) float32 added to the logits during training only (log priors), or None.
    link: how logits become stored scores, `softmax` or `sigmoid`.
    bias: initial value of every class's bias.
    scale: of a classifier of cosines, see `bench.models.layers`, or 0 for a plain linear one.
    margins: (k,) float32, what a training row's own logit is lowered by, by its class, or None for nothing.
    late: the share of the epochs, the last ones, in which class weights count; 1 for all of them.
    """

    family: str = "softmax"
    params: Mapping[str, float] = field(default_factory=dict)
    offset: np.ndarray | None = None
    link: str = "softmax"
    bias: float = 0.0
    scale: float = 0.0
    margins: np.ndarray | None = None
    late: float = 1.0


@dataclass(frozen=True)
class Labelled:
    """What a labels step makes of n training rows.

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
    """What a labels step makes of the attributes of n training rows; k attributes, NaN for unknown.

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
    """What a sampling step makes of n training rows.

    rows: (m,) int64 positions among n + s rows, the first n real, the last s synthetic.
    synthetic: (s, d) float32 feature rows, labels: (s,) int32 their classes; both empty for most steps.
    """

    rows: np.ndarray
    synthetic: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class LinearHead:
    """The last layer: logits = features @ kernel + bias. kernel: (d, k), bias: (k,), float32.

    cuts: (k,) float32, the probability from which an attribute is a yes; None for one half.
    """

    kernel: np.ndarray
    bias: np.ndarray
    cuts: np.ndarray | None = None

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 for (n, d) float32."""
        out: np.ndarray = features @ self.kernel + self.bias
        return out


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
    """Fit on validation, or on training rows; return the new head and what was chosen (for the record).

    head: the trained head. features: (n, d) validation features as the head sees them (training features for
    a step that makes the head `anew`), y: (n,) truth, or (n, k) of 1, 0 and NaN, counts: (k,) rows per class
    that the loss saw (after resampling), or (2, k): the prior the head has learned.
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
    """A registered step: what it is called, where it runs, what it takes, where it comes from.

    stage: the stage, or a function of the resolved arguments that gives it.
    run: the step's function by stage, as "module:function", imported only when a cell trains.
    also: functions it brings to other stages besides, in the same form (a loss with weights of its own), or a
    function of the arguments that gives them; it then occupies those stages too.
    check: says why resolved arguments make no sense together, or None where they do.
    needs: an optional package that it imports, and the extra of ours that installs it; () for none; or a
    function of the arguments that says so.
    regimes: where it can be used. on_features: whether it must be given feature rows, which only a frozen
    backbone has, or a function of the arguments that says so. kinds: the task kinds that can use it.
    anew: whether a posthoc step makes the head anew, of the training rows that the loss saw; what it is given
    then gives it a shape alone. The others are given validation rows, and change what was trained.
    unfit: says why the step is of no use with these arguments in a regime, or None where it is.
    beside: by regime, the steps of which one must stand beside it there, as there is nothing to share else.
    A step of stage `augment`, `mix`, `head`, `space`, `match` or `mining` has no function: its arguments say
    what is built. place: its turn among the steps of a stage that takes several.
    """

    name: str
    stage: str | Callable[[Mapping[str, Any]], str]
    run: Mapping[str, str]
    summary: str
    paper: str
    params: tuple[Param, ...] = ()
    regimes: tuple[str, ...] = ("frozen", "scratch", "finetune")
    kinds: tuple[str, ...] = ("multiclass",)
    also: Mapping[str, str] | Callable[[Mapping[str, Any]], Mapping[str, str]] = field(default_factory=dict)
    check: Callable[[Mapping[str, Any]], str | None] | None = None
    needs: Needs | Callable[[Mapping[str, Any]], Needs] = ()
    on_features: bool | Callable[[Mapping[str, Any]], bool] = False
    anew: bool = False
    place: int = 0
    unfit: Callable[[Mapping[str, Any], str], str | None] | None = None
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def package(self, args: Mapping[str, Any]) -> Needs:
        """Return the optional package and its extra that the step needs with these arguments, or ()."""
        return self.needs(args) if callable(self.needs) else self.needs

    def needs_features(self, args: Mapping[str, Any]) -> bool:
        """Tell whether the step must be given feature rows with these arguments."""
        return self.on_features if isinstance(self.on_features, bool) else self.on_features(args)

    def brings(self, args: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the functions that the step brings to other stages with these arguments."""
        return self.also(args) if callable(self.also) else self.also

    def stage_of(self, args: Mapping[str, Any]) -> str:
        """Return the stage this step runs in with these arguments."""
        return self.stage if isinstance(self.stage, str) else self.stage(args)

    def functions(self, args: Mapping[str, Any]) -> dict[str, str]:
        """Return "module:function" by stage for every stage the step occupies with these arguments."""
        stage = self.stage_of(args)
        return {stage: self.run.get(stage, ""), **self.brings(args)}


STEPS: dict[str, StepInfo] = {}


def register(info: StepInfo) -> StepInfo:
    """Add a step to the table. Raises ValueError if its name is taken."""
    if info.name in STEPS:
        raise ValueError(f"step {info.name!r} is registered twice")
    STEPS[info.name] = info
    return info
