"""Protocol of a kind of task, and the table of kinds.

A kind is a light object; its facets are modules that are imported on first use. Planning reads only the light
attributes and so imports neither numpy nor Keras. Plug-ins add kinds, see `bench.core.plugins`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar, cast

from bench.core import plugins
from bench.core.errors import unknown
from bench.core.facets import Checks, Conditions, Metrics, OwnData, Packing, Predictor, Runner, Split
from bench.core.shown_facets import Confusion, Description, Sections, Tables
from bench.core.table import Column


@dataclass(frozen=True)
class Average:
    """One row below a table of classes. columns: column -> overall metric.

    role: `average`, or `group` for an average over the classes whose row has `name` as its `group`. trivial:
    whether the trivial answer's value is also shown.
    """

    name: str
    columns: Mapping[str, str]
    role: str = "average"
    trivial: bool = False


@dataclass(frozen=True)
class Columns:
    """Layout of a table of a cell's classes.

    classes: columns of `Metrics.per_class` rows, the class's name first. averages: rows below the classes.
    """

    classes: tuple[Column, ...]
    averages: tuple[Average, ...]


@dataclass(frozen=True)
class Nouns:
    """Nouns for messages, in the singular.

    resampled: the units that intervals resample, in the plural. no_confusion: () for a kind with confusion
    tables, else two clauses for the error message: why its tasks have none, and what to use instead. leaked:
    the end of a sentence about the number of leaked test items. cure: a clause on how to leave them out, or
    "". signal: the verdicts with signal and without, where features are tested as a whole, not by label.
    """

    item: str
    label: str
    group: str
    resampled: str = "test items"
    no_confusion: tuple[str, str] | tuple[()] = ()
    leaked: str = "test images are also in train"
    cure: str = "--set duplicates=drop leaves them out"
    signal: tuple[str, str] = ("features carry signal", "features carry no signal")


class Kind(Protocol):
    """Everything that differs by kind of task.

    The properties from `metrics` on are facets, imported on first use; see `bench.core.facets`.
    """

    @property
    def name(self) -> str:
        """Its name in task cards."""
        ...

    @property
    def headline(self) -> Sequence[str]:
        """The metrics in tables of results, most important first."""
        ...

    @property
    def subgroup_metrics(self) -> Sequence[str]:
        """The metrics in tables of subgroups, () for those of `headline`."""
        ...

    @property
    def selection(self) -> str:
        """The metric for choices on validation."""
        ...

    @property
    def trivial_notes(self) -> Mapping[str, str]:
        """Descriptions of the trivial answers, by their names in results, the main one first."""
        ...

    @property
    def label_column(self) -> bool:
        """Whether a card names the column of the labels; otherwise the data lists the attributes."""
        ...

    @property
    def split_rule(self) -> str:
        """The split rule that only this kind has, or ""."""
        ...

    @property
    def supports(self) -> Set[str]:
        """Optional features of its tasks: `auxiliary` columns, few-shot `episodes`, `rehearsal`, `review`."""
        ...

    @property
    def steps_of(self) -> str:
        """The kind whose steps and predictions format it uses: its own, unless only its metrics differ."""
        ...

    @property
    def plain_method(self) -> str:
        """The method that `none` stands for, or `none`."""
        ...

    @property
    def first_methods(self) -> Sequence[str]:
        """The methods in the grid of a new card: a plain one first."""
        ...

    @property
    def columns(self) -> Columns:
        """Layout of tables of classes."""
        ...

    @property
    def nouns(self) -> Nouns:
        """Nouns for messages."""
        ...

    @property
    def metrics(self) -> Metrics:
        """Metrics of predictions."""
        ...

    @property
    def packing(self) -> Packing:
        """Predictions on disk."""
        ...

    @property
    def own_data(self) -> OwnData:
        """Data without a card as a task of the kind."""
        ...

    @property
    def split(self) -> Split:
        """The split into training and test set."""
        ...

    @property
    def checks(self) -> Checks:
        """Checks of a plan."""
        ...

    @property
    def conditions(self) -> Conditions:
        """Conditions under which methods are comparable."""
        ...

    @property
    def runner(self) -> Runner:
        """Training of the cells of one stage."""
        ...

    @property
    def pairing(self) -> Any:
        """Paired comparison on test items: a `bench.compare.pairing.Pairing`."""
        ...

    @property
    def pinning(self) -> Any:
        """Answers in pinned baselines: a `bench.compare.baselines.pinning.Pinning`."""
        ...

    @property
    def published(self) -> Any:
        """Comparison with published numbers: a `bench.compare.published.Published`."""
        ...

    @property
    def tables(self) -> Tables:
        """Rows, columns and notes of tables of results."""
        ...

    @property
    def confusion(self) -> Confusion | None:
        """Confusion tables, None if the kind has none."""
        ...

    @property
    def description(self) -> Description:
        """Description of its data."""
        ...

    @property
    def sections(self) -> Sections:
        """Sections of a report."""
        ...

    @property
    def predictor(self) -> Predictor:
        """Predictions of saved models."""
        ...


F = TypeVar("F")


class Facet(Generic[F]):
    """A facet of a kind, imported on first use.

    place: a module, or "module:name" of a factory that takes the kind; a leading dot stands for the kind's
    `package`. Default: the package's module with the facet's name.
    """

    def __init__(self, place: str = "") -> None:
        self.place = place

    def __set_name__(self, owner: type, name: str) -> None:
        """Store the facet's name."""
        self.name = name

    def __get__(self, kind: LazyKind, owner: type) -> F:
        """Import the facet and cache it on the kind."""
        module, _, made = (self.place or f".{self.name}").partition(":")
        found = import_module(module, kind.package)
        facet: Any = getattr(found, made)(kind) if made else found
        vars(kind)[self.name] = facet
        return cast("F", facet)


class LazyKind:
    """A `Kind` whose facets are modules of the package `package`.

    Subclasses override facets from elsewhere; `tests/kinds/plugin` has one that takes most from another kind.
    """

    package: str
    supports: frozenset[str] = frozenset()
    split_rule: str = ""
    plain_method: str = "none"
    subgroup_metrics: tuple[str, ...] = ()
    first_methods: tuple[str, ...] = ("none",)
    metrics = Facet[Metrics]()
    packing = Facet[Packing]()
    own_data = Facet[OwnData]("bench.kinds.own_data:ClassData")
    split = Facet[Split]()
    checks = Facet[Checks]()
    conditions = Facet[Conditions]("bench.kinds.supervised")
    runner = Facet[Runner]()
    pairing = Facet[Any]("bench.kinds.pairing:ItemPairing")
    pinning = Facet[Any]("bench.kinds.pinning")
    published = Facet[Any]("bench.kinds.published")
    tables = Facet[Tables]("bench.kinds.tables:ClassTables")
    description = Facet[Description]()
    sections = Facet[Sections]()
    predictor = Facet[Predictor]()
    confusion: Any = None
    """A facet, or None for a kind without confusion tables, see `Nouns.no_confusion`."""


KINDS: dict[str, str] = {
    "multiclass": "bench.kinds.multiclass:Multiclass",
    "multilabel": "bench.kinds.multilabel:Multilabel",
    "verification": "bench.kinds.verification:Verification",
}
"""The class of each kind as "module:class", imported on first use; plug-ins `register` theirs."""

UNNAMED = next(iter(KINDS))
"""The kind of pinned files without one."""


def register(name: str, place: str) -> None:
    """Add a kind. place: "module:class". Raises ValueError if its name is taken by another one."""
    if KINDS.get(name) != place:
        plugins.register("kind", KINDS, name, place)


def is_kind(name: str) -> bool:
    """Whether a kind has this name; plug-ins may register some."""
    return plugins.find(KINDS, name)


def get_kind(name: str) -> Kind:
    """Return a kind by name. Raises BenchError that names the nearest one if there is none."""
    if not is_kind(name):
        raise unknown("kind", name, KINDS)
    return _kind(KINDS[name], plugins.owner_of("kind", name))


def supporting(feature: str) -> str:
    """Return the kinds that support an optional feature, for messages."""
    return " and ".join(name for name in KINDS if feature in get_kind(name).supports)


@cache
def _kind(place: str, owner: plugins.Plugin | None) -> Kind:
    """Return the kind, made once. owner: its plug-in, which is another one where its file has changed."""
    module, _, attribute = place.partition(":")
    kind: Kind = getattr(import_module(module), attribute)()
    return kind
