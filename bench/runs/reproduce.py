"""Reproduction of a stored cell from its record."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.backbones.info import JOIN, NO_WEIGHTS, OWN_WEIGHTS
from bench.backbones.names import Parts, cli_name, stored_parts
from bench.backbones.registry import weights_of
from bench.core import environment, plugins
from bench.core.cell import Cell
from bench.core.errors import BenchError, DataError, StoreError
from bench.core.paths import user_path
from bench.core.processor import same_processor
from bench.core.protocol import GIVEN, KEYS
from bench.core.stage_values import check_value
from bench.data.examples import Examples
from bench.data.layout import parse_label, parse_roles
from bench.data.sources import sample_size
from bench.data.task_card import TaskCard
from bench.methods.grammar import paths_in
from bench.runs.launch import WorkOrder, execute
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from bench.store.answers import AnswerDifference, compare_parts
from bench.store.write import Store, Stored

TOLERANCE = 1e-4
"""Default tolerance of scores.

Processors and library versions round sums differently, by some 1e-7; training amplifies that.
"""

EQUAL, WITHIN, DIFFERENT, FAILED = "equal", "within tolerance", "different", "failed"

OTHER_PROCESSOR = "other processor"
"""Verdict on scores that differ beyond the tolerance on another kind of processor: rounding errors accumulate
in nets that are trained end to end."""

Event = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class LocalPaths:
    """Local paths, which a record does not hold. None: those of the cell's command.

    cache: of pixels and features; None recomputes them. follow_links: whether to follow links that leave the
    data folder; False: as in the cell's command. allow_code: whether code of the cell's backbone may run.
    plugins: files and modules to load.
    """

    tasks: Sequence[Path]
    data: Path | None = None
    labels: str | None = None
    weights: str | None = None
    cache: Path | None = None
    follow_links: bool = False
    allow_code: bool = False
    plugins: Sequence[str] = ()


@dataclass(frozen=True)
class Reproduction:
    """Result of a cell's second run. verdict: of EQUAL, WITHIN, DIFFERENT, OTHER_PROCESSOR, FAILED.

    changes: differences of the environment, "numpy 2.4.0 -> 2.4.6".
    """

    cell: str
    verdict: str
    difference: AnswerDifference = field(default_factory=lambda: AnswerDifference(False))
    changes: tuple[str, ...] = ()


def reproduce(
    stored: Stored, place: LocalPaths, tolerance: float, on_event: Event, options: Mapping[str, Any]
) -> Reproduction:
    """Run a cell again in temporary folders and compare its predictions.

    options: of the cell's command. Raises BenchError for a cell that was not measured, for missing or
    different data, and for a task or method that no longer exists.
    """
    if not stored.ok:
        raise BenchError(f"cell {stored.id[:8]} was not measured, so there is nothing to reproduce")
    with tempfile.TemporaryDirectory(prefix="bench-reproduce-") as name:
        work = Path(name)
        cache = place.cache or work / "cache"
        request = request_of(stored, place, options)
        plan = _planned(stored, request, place, cache)
        (cell,) = plan.cells
        order = WorkOrder(
            request, place.tasks, cache, work / "results", str(stored.record.get("command", ""))
        )
        execute(plan, plan.cells, order, on_event)
        fresh = Store(work / "results").find(cell)
        then = stored.record.get("environment", {})
        today = environment.record(str(cell.setting["precision"]))
        changes = (*identity_changes(stored.record["cell"], cell), *environment_changes(then, today))
        if fresh is None or not fresh.ok:
            why = "it left no result" if fresh is None else str(fresh.record["reason"])
            return Reproduction(stored.name, FAILED, AnswerDifference(False, why=why), changes)
        difference = compare_parts(stored, fresh)
    found = verdict(difference, tolerance, same_processor(then, today))
    return Reproduction(stored.name, found, difference, changes)


def verdict(difference: AnswerDifference, tolerance: float, one_processor: bool = True) -> str:
    """Return the verdict on a difference. one_processor: whether both runs used one kind of processor.

    Different items, classes or truth are DIFFERENT on any processor.
    """
    if difference.equal:
        return EQUAL
    if difference.largest is None:
        return DIFFERENT
    if difference.largest <= tolerance:
        return WITHIN
    return DIFFERENT if one_processor else OTHER_PROCESSOR


def request_of(stored: Stored, place: LocalPaths, options: Mapping[str, Any]) -> Request:
    """Return the request for one cell.

    Paths of data, reviewed labels and weights come from `place`, or else from the options of the cell's
    command; all else is in its record. Raises BenchError for a missing path.
    """
    cell, id8 = stored.record["cell"], stored.id[:8]
    settings = {key: check_value(key, value, f"cell {id8}") for key, value in cell["protocol"].items()}
    if settings.get("labels", GIVEN) != GIVEN:
        settings["labels"] = _labels(id8, place.labels, options)
    weights = cell["weights"]
    files = [text for text in (place.weights, *(options.get("backbone") or ())) if text]
    parts = stored_parts(cell["backbone"], weights, files, allow_code=place.allow_code)
    ids = zip(parts, weights.split(JOIN), strict=True)
    if any("sha256:" in one and info.origin is None for info, one in ids):
        weights = place.weights or options.get("weights")
        if not weights or not _files_exist(parts, weights):
            raise BenchError(f"cell {id8} was run with a weights file: name it with --weights FILE")
    elif any(info.origin is not None for info in parts):
        weights = None
    if not place.allow_code and (code := paths_in([cell["method_text"]])):
        raise BenchError(f"the cell's method runs {code[0]}: --allow-code runs it, if you trust it")
    size = sample_size(cell["data"]["source"])
    # The command holds the options of data without a card.
    without_card = bool(options.get("data")) and not options.get("task") and size is None
    return Request(
        task="" if without_card else cell["task"],
        data=_data(stored, place.data, options) if size is None else None,
        sample=size,
        backbones=(cli_name(parts),),
        methods=(cell["method_text"],),
        seeds=str(cell["seed"]),
        stages=(cell["stage"],),
        regime=cell["regime"],
        weights=weights,
        settings=settings,
        follow_links=place.follow_links or bool(options.get("follow_links")),
        plugins=_plugins(stored, place),
        allow_code=place.allow_code,
        label=parse_label(options["label"]) if without_card else (),
        kind=options["kind"] if without_card else None,
        columns=parse_roles(options["columns"]) if without_card else {},
    )


def _plugins(stored: Stored, place: LocalPaths) -> tuple[str, ...]:
    """Return the plug-ins to load. Raises BenchError for a missing one.

    Plug-ins that only the cell's command names are not loaded: a stored cell is not trusted.
    """
    names = set(stored.record["cell"].get("plugins", ()))
    known = {Path(one).stem if one.endswith(".py") else one for one in place.plugins}
    if names - known:
        plugins.load_known()
        known |= {plugin.name for plugin in plugins.loaded()}
    if lacking := sorted(names - known):
        what = f"cell {stored.id[:8]} was run with the plug-in {', '.join(lacking)}"
        raise BenchError(f"{what}: name it with --plugin FILE.py")
    return tuple(place.plugins)


def _files_exist(parts: Parts, weights: str) -> bool:
    """Return whether all weights that are paths exist."""
    words = ("imagenet", "random", NO_WEIGHTS, OWN_WEIGHTS)
    return all(text in words or Path(text).is_file() for text in weights_of(parts, weights))


def _labels(id8: str, given: str | None, options: Mapping[str, Any]) -> str:
    named = [text.partition("=")[2] for text in options.get("sets") or () if re.match(r"\s*labels\s*=", text)]
    path = given or (named[0].strip() if named else "")
    if not path or not user_path(path).is_file():
        raise BenchError(f"cell {id8} was run on reviewed labels: name their table with --labels FILE")
    return path


def _data(stored: Stored, given: Path | None, options: Mapping[str, Any]) -> Path:
    folder = given
    if folder is None and options.get("data"):
        folder = user_path(options["data"]).resolve()
        if not folder.exists():
            folder = None
    if folder is None:
        source = stored.record["cell"]["data"]["source"]
        raise DataError(f"cell {stored.id[:8]} was run on a folder of {source} data: name it with --data DIR")
    return folder


def open_data(
    stored: Stored, request: Request, tasks: Sequence[Path], cache: Path
) -> tuple[TaskCard, Examples]:
    """Read the card and the data of a cell. Raises BenchError if the data has changed."""
    card, examples = open_task(request, tasks, cache)
    then, id8 = stored.record["cell"]["data"], stored.id[:8]
    if (examples.source, examples.fingerprint) != (then["source"], then["fingerprint"]):
        now = f"{examples.source} {examples.fingerprint[:12]}"
        raise DataError(
            f"the data is not what cell {id8} was run on: {then['source']} {then['fingerprint'][:12]} then, "
            f"{now} now"
        )
    return card, examples


def _planned(stored: Stored, request: Request, place: LocalPaths, cache: Path) -> Plan:
    """Return a plan of one cell. Raises BenchError if it cannot run, or its data has changed."""
    card, examples = open_data(stored, request, place.tasks, cache)
    id8 = stored.id[:8]
    plan = make_plan(card, request, examples)
    for skip in plan.skipped:
        raise BenchError(f"cell {id8} cannot be run here: {skip.reason}")
    if len(plan.cells) != 1:
        raise StoreError(f"cell {id8}: its record names {len(plan.cells)} cells, so it was edited")
    (cell,) = plan.cells
    if cell.weights != stored.record["cell"]["weights"]:
        raise BenchError(f"cell {id8} was run with other weights: name the same file with --weights FILE")
    return plan


def identity_changes(then: Mapping[str, Any], now: Cell) -> tuple[str, ...]:
    """Return the changes in a cell's identity, mostly of versions.

    A protocol key that is new and has its default is not a change.
    """
    before, after = dict(then), now.identity()
    before.pop("method_text", None)
    defaults = {key: KEYS[key].default for key in after["protocol"] if key in KEYS}
    before["protocol"] = {**defaults, **before["protocol"]}
    return _changes(before, after)


def environment_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the differences of two environment records."""
    return _changes(then, now)


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = _flat(then), _flat(now)
    keys = [*after, *(key for key in before if key not in after)]
    return tuple(
        f"{key} {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in keys
        if before.get(key) != after.get(key)
    )


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested tables; the keys of inner tables stay unprefixed."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        out |= _flat(value) if isinstance(value, Mapping) else {key: value}
    return out
