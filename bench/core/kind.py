"""A kind of task, and the table of kinds.

A kind is a light object; its facets are modules that are imported on first use. Planning reads only the light
attributes and so imports neither numpy nor Keras. Plug-ins add kinds, see `bench.core.plugins`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

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

    def __get__(self, kind: Kind, owner: type) -> F:
        """Import the facet and cache it on the kind."""
        module, _, made = (self.place or f".{self.name}").partition(":")
        found = import_module(module, kind.package)
        facet: Any = getattr(found, made)(kind) if made else found
        vars(kind)[self.name] = facet
        return cast("F", facet)


class Kind:
    """Everything that differs by kind of task; a subclass for each.

    package: holds the modules of its facets. name: in task cards. headline: the metrics in tables of results,
    most important first. subgroup_metrics: those in tables of subgroups, () for those of `headline`.
    selection: the metric for choices on validation. trivial_notes: descriptions of the trivial answers, by
    their names in results, the main one first. label_column: whether a card names the column of the labels;
    otherwise the data lists the attributes. split_rule: the one that only this kind has, or "". supports:
    optional features of its tasks: `auxiliary` columns, few-shot `episodes`, `rehearsal`, `review`. steps_of:
    the kind whose steps and predictions format it uses: its own, unless only its metrics differ.
    plain_method: the method that `none` stands for, or `none`. first_methods: the grid of a new card, a plain
    one first.
    """

    package: str
    name: str
    headline: tuple[str, ...]
    selection: str
    trivial_notes: Mapping[str, str]
    label_column: bool
    steps_of: str
    columns: Columns
    nouns: Nouns
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
    pairing = Facet[Any]("bench.compare.pairing:Pairing")
    pinning = Facet[Any]("bench.kinds.pinning")
    """A `bench.compare.baselines.pinning.Pinning`."""
    published = Facet[Any]("bench.kinds.published")
    """A `bench.compare.published.Published`."""
    tables = Facet[Tables]("bench.kinds.tables:ClassTables")
    description = Facet[Description]()
    sections = Facet[Sections]()
    predictor = Facet[Predictor]()
    confusion: Facet[Confusion] | None = None
    """None for a kind without confusion tables, see `Nouns.no_confusion`."""


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
    """Return whether a kind has this name; plug-ins may register some."""
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
    """Return the kind, made once per plug-in. owner: its plug-in, a new one if its file has changed."""
    module, _, attribute = place.partition(":")
    kind: Kind = getattr(import_module(module), attribute)()
    return kind
