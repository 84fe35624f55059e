"""Runs a stored cell again from its record, and says whether it answers the same."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import env
from bench.errors import BenchError, DataError, StoreError
from bench.execute.local import Orders, execute
from bench.models.backbone_info import NO_WEIGHTS
from bench.models.backbones import parts_of, weights_of
from bench.plan import Plan, Request, make_plan, open_task
from bench.protocol import GIVEN, KEYS
from bench.spec import Cell, Predictions
from bench.staged import check_value
from bench.store import Store, Stored

if TYPE_CHECKING:
    import numpy as np

TOLERANCE = 1e-4
"""How far a score may be off and still count as the same, where nothing else is asked for.

Another processor or another version rounds sums differently, by some 1e-7 in each; training passes that on.
"""

EQUAL, WITHIN, DIFFERENT, FAILED = "equal", "within tolerance", "different", "failed"

PARTS = ("val", "test", "imputed")
"""The parts of a cell's predictions; a cell need not have all of them."""

DRAWN = "drawn-"
"""What the source of a drawn sample begins with; its size stands last."""

Event = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Place:
    """What a record does not hold: where things are on this machine. None is what the cell's command said.

    cache: of pixels and features; None computes all of them anew.
    """

    tasks: Sequence[Path]
    data: Path | None = None
    labels: str | None = None
    weights: str | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Difference:
    """How two answers differ. largest: of any two scores, None where they cannot be compared.

    items, changed: how many there are, and how many are decided otherwise. why: what cannot be compared.
    """

    equal: bool
    largest: float | None = None
    items: int = 0
    changed: int = 0
    why: str = ""


@dataclass(frozen=True)
class Reproduction:
    """What became of a cell's second run. verdict: of EQUAL, WITHIN, DIFFERENT, FAILED.

    changes: what is not as it was then, "numpy 2.4.0 -> 2.4.6".
    """

    cell: str
    verdict: str
    difference: Difference = field(default_factory=lambda: Difference(False))
    changes: tuple[str, ...] = ()


def reproduce(stored: Stored, place: Place, tolerance: float, on_event: Event) -> Reproduction:
    """Run a cell again in folders that are gone afterwards, and compare its predictions.

    Raises BenchError where it cannot be run: it was not measured, its data is elsewhere or not the same,
    its task or method is gone.
    """
    if not stored.ok:
        raise BenchError(f"cell {stored.id[:8]} was not measured, so there is nothing to reproduce")
    with tempfile.TemporaryDirectory(prefix="bench-reproduce-") as name:
        work = Path(name)
        cache = place.cache or work / "cache"
        request = request_of(stored, place)
        plan = _planned(stored, request, place, cache)
        (cell,) = plan.cells
        orders = Orders(request, place.tasks, cache, work / "results", str(stored.record.get("command", "")))
        execute(plan, plan.cells, orders, on_event)
        fresh = Store(work / "results").find(cell)
        then = stored.record.get("environment", {})
        changes = (*identity_changes(stored.record["cell"], cell), *environment_changes(then, env.record()))
        if fresh is None or not fresh.ok:
            why = "it left no result" if fresh is None else str(fresh.record["reason"])
            return Reproduction(stored.id, FAILED, Difference(False, why=why), changes)
        difference = compare_parts(stored, fresh)
    return Reproduction(stored.id, verdict(difference, tolerance), difference, changes)


def verdict(difference: Difference, tolerance: float) -> str:
    """Say in a word what a difference amounts to."""
    if difference.equal:
        return EQUAL
    near = difference.largest is not None and difference.largest <= tolerance
    return WITHIN if near else DIFFERENT


def request_of(stored: Stored, place: Place) -> Request:
    """Return the request for this one cell.

    All that decides its answer is in its record; where data, reviewed labels and weights lie is taken from
    `place`, or else from the command that the cell was run with. Raises BenchError where that is needed and
    not there.
    """
    cell, id8 = stored.record["cell"], stored.id[:8]
    said = options_of(str(stored.record.get("command", "")))
    settings = {key: check_value(key, value, f"cell {id8}") for key, value in cell["protocol"].items()}
    if settings.get("labels", GIVEN) != GIVEN:
        settings["labels"] = _labels(id8, place.labels, said)
    weights = cell["weights"]
    if "sha256:" in weights:
        weights = place.weights or said.get("weights")
        if not weights or not _files_there(cell["backbone"], weights):
            raise BenchError(f"cell {id8} was run with a weights file: name it with --weights FILE")
    source = cell["data"]["source"]
    drawn = source.startswith(DRAWN)
    return Request(
        task=cell["task"],
        data=None if drawn else _data(stored, place.data, said),
        sample=source.rsplit("-", 1)[-1] if drawn else None,
        backbones=(cell["backbone"],),
        methods=(cell["method_text"],),
        seeds=str(cell["seed"]),
        stages=(cell["stage"],),
        regime=cell["regime"],
        weights=weights,
        settings=settings,
    )


def options_of(command: str) -> Mapping[str, Any]:
    """Return the options of a stored `bench run ...`; none where it is not one. Nothing of it is run."""
    import click

    from bench.commands.run_ import command as run

    try:
        words = shlex.split(command)
        if words[:2] != ["bench", "run"]:
            return {}
        return run.make_context("run", words[2:], resilient_parsing=True).params
    except (ValueError, click.ClickException, BenchError):
        return {}


def _files_there(backbone: str, weights: str) -> bool:
    """Tell whether the weights that are no words are files, for every part of a backbone."""
    owns = weights_of(parts_of(backbone), weights)
    return all(own in ("imagenet", "random", NO_WEIGHTS) or Path(own).is_file() for own in owns)


def _labels(id8: str, given: str | None, said: Mapping[str, Any]) -> str:
    named = [text.partition("=")[2] for text in said.get("sets") or () if re.match(r"\s*labels\s*=", text)]
    path = given or (named[0].strip() if named else "")
    if not path or not Path(path).expanduser().is_file():
        raise BenchError(f"cell {id8} was run on reviewed labels: name their table with --labels FILE")
    return path


def _data(stored: Stored, given: Path | None, said: Mapping[str, Any]) -> Path:
    folder = given
    if folder is None and said.get("data"):
        folder = Path(said["data"]).expanduser().resolve()
        if not folder.is_dir():
            folder = None
    if folder is None:
        source = stored.record["cell"]["data"]["source"]
        raise DataError(f"cell {stored.id[:8]} was run on a folder of {source} data: name it with --data DIR")
    return folder


def _planned(stored: Stored, request: Request, place: Place, cache: Path) -> Plan:
    """Return a plan of the one cell. Raises BenchError where it cannot run, or not on the same data."""
    card, examples = open_task(request, place.tasks, cache)
    then, id8 = stored.record["cell"]["data"], stored.id[:8]
    if (examples.source, examples.fingerprint) != (then["source"], then["fingerprint"]):
        now = f"{examples.source} {examples.fingerprint[:12]}"
        raise DataError(
            f"the data is not what cell {id8} was run on: {then['source']} {then['fingerprint'][:12]} then, "
            f"{now} now"
        )
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
    """Return what the cell's identity says differently now: versions above all.

    A protocol value that was not there then is as its default, and so it is no change.
    """
    before, after = dict(then), now.identity()
    before.pop("method_text", None)
    defaults = {key: KEYS[key].default for key in after["protocol"] if key in KEYS}
    before["protocol"] = {**defaults, **before["protocol"]}
    return _changes(before, after)


def environment_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what differs between two environment records."""
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
    """Return nested tables as one; a package goes by its own name."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        out |= _flat(value) if isinstance(value, Mapping) else {key: value}
    return out


def compare_parts(then: Stored, now: Stored) -> Difference:
    """Compare every part of two cells' predictions. Raises FileFault for a part that cannot be read."""
    found = [
        (
            name,
            compare_predictions(then.predictions(name), now.predictions(name), then.record["cell"]["kind"]),
        )
        for name in PARTS
    ]
    for name, part in found:
        if part.why:
            return Difference(False, why=f"{name}: {part.why}")
    return Difference(
        equal=all(part.equal for _, part in found),
        largest=max(part.largest or 0.0 for _, part in found),
        items=sum(part.items for _, part in found),
        changed=sum(part.changed for _, part in found),
    )


def compare_predictions(then: Predictions, now: Predictions, kind: str) -> Difference:
    """Compare two answers to the same items: bit by bit, by the largest difference, by what is decided."""
    import numpy as np

    if then.classes != now.classes:
        return Difference(False, why="the classes are not the same")
    if then.items != now.items or then.groups != now.groups:
        return Difference(
            False, why=f"the items are not the same ({len(then.items)} then, {len(now.items)} now)"
        )
    for what in ("truth", "train_support", "known"):
        before, after = getattr(then, what), getattr(now, what)
        if (before is None) != (after is None) or (before is not None and not np.array_equal(before, after)):
            return Difference(False, why=f"{what} is not the same")
    cuts = _cuts(then), _cuts(now)
    equal = then.scores.tobytes() == now.scores.tobytes() and np.array_equal(*cuts)
    gap = np.abs(then.scores.astype(np.float64) - now.scores.astype(np.float64))
    if kind == "multiclass":
        otherwise = then.scores.argmax(axis=1) != now.scores.argmax(axis=1)
    else:
        otherwise = ((then.scores >= cuts[0]) != (now.scores >= cuts[1])).any(axis=1)
    largest = max(float(gap.max(initial=0.0)), float(np.abs(cuts[0] - cuts[1]).max(initial=0.0)))
    return Difference(equal, largest, len(then.items), int(otherwise.sum()))


def _cuts(pred: Predictions) -> np.ndarray:
    """Return the cuts of attributes, (k,), or of pairs, (n, 1)."""
    import numpy as np

    if pred.pairs is not None:
        return np.asarray(pred.pairs.cuts, np.float64)[:, None]
    half = np.full(len(pred.classes), 0.5)
    return half if pred.cuts is None else np.asarray(pred.cuts, np.float64)
