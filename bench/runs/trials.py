"""Trials of a tuned cell: the default setting, and values drawn from search spaces. Imports nothing heavy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from bench.core.cell import Cell, MethodSpec, Value
from bench.core.errors import BenchError
from bench.core.protocol import AUTO
from bench.core.search import Search, draw
from bench.methods.search import Argument, search_space, with_arguments
from bench.runs.halving import HALVED

KEYS = ("tune", "tune_seed", "tuner")
"""The protocol keys of tuning."""

TPE = "tpe"
"""The value of `tuner` for Optuna's tree-structured Parzen estimator."""

SHARED = ("lr", "l2", "batch_size")
"""The protocol keys that every method's trials search."""


@dataclass(frozen=True)
class Trial:
    """One trial of a tuned cell. cell: what it trains, a cell that is not tuned; values: what it searched."""

    cell: Cell
    values: Mapping[str, Value]


def trial_count(setting: Mapping[str, Value]) -> int:
    """Return the number of trials of a cell with this protocol; 1: it is not tuned."""
    return int(setting.get("tune", 1) or 1)


def shared_space(setting: Mapping[str, Value], regime: str) -> dict[str, Search]:
    """Return the search spaces of SHARED, around the protocol's own values.

    The learning rate of nets goes up and down by a factor of 10; that of heads from a third, below which they
    hardly end within their epochs, to 30 times. A weight decay goes up and down by 100; one of 0 is searched
    from 1e-6 to 1e-2, and `auto`, which is a path of decays, over the range of that path. Batches are halved
    and doubled.
    """
    lr, size, l2 = float(setting["lr"] or 0), int(setting["batch_size"] or 1), setting["l2"]
    decays = Search(1e-6, 1e-2, log=True)
    if l2 == AUTO:
        decays = Search(1e-3, 1.0, log=True)
    elif l2:
        decays = Search(float(l2) / 100, float(l2) * 100, log=True)
    sizes = tuple(float(one) for one in sorted({max(1, size // 2), size, 2 * size}))
    down, up = (3, 30) if regime == "frozen" else (10, 10)
    return {"lr": Search(lr / down, lr * up, log=lr > 0), "l2": decays, "batch_size": Search(choices=sizes)}


def check_tuning(setting: Mapping[str, Value], methods: Sequence[MethodSpec], kind: str, regime: str) -> None:
    """Raise BenchError where cells with this protocol cannot be tuned."""
    count = trial_count(setting)
    if count == 1:
        return
    if setting["staged"] and regime == "finetune":
        raise BenchError(
            f"--tune {count}: with staged=true a stage begins with the net of the one before it; leave out "
            "one of the two"
        )
    if setting.get("tuner") == TPE and find_spec("optuna") is None:
        raise BenchError(
            "--set tuner=tpe needs Optuna, which is not installed: pip install 'messybench[tune]'"
        )
    for name, search in shared_space(setting, regime).items():
        if search.fault:
            raise BenchError(
                f"--tune {count}: the search space of {name} {search.fault}; set {name} to another value"
            )
    for method in methods:
        for one in search_space(method, kind, regime):
            if one.search.fault:
                raise BenchError(
                    f"--tune {count}: the search space of {one.step}'s {one.name} {one.search.fault}; "
                    "correct its `search`, or leave the method out"
                )


@dataclass(frozen=True)
class Space:
    """Values that a cell's trials search. plain: the cell without tuning; shared: the spaces of SHARED."""

    plain: Cell
    shared: Mapping[str, Search]
    arguments: Sequence[Argument]

    @classmethod
    def of(cls, cell: Cell) -> Space:
        """Return the space of a tuned cell."""
        plain = replace(cell, protocol=tuple(pair for pair in cell.protocol if pair[0] not in KEYS))
        arguments = search_space(cell.method, cell.kind, cell.regime)
        return cls(plain, shared_space(cell.setting, cell.regime), arguments)

    def first(self) -> Trial:
        """Return the trial of the default setting."""
        known = {name: self.plain.setting[name] for name in SHARED}
        steps = self.plain.method.steps
        return Trial(
            self.plain, {**known, **{name_of(one): steps[one.place][one.name] for one in self.arguments}}
        )

    def trial(self, shared: Sequence[Value], own: Sequence[Value]) -> Trial:
        """Return the trial of these values, in the order of `shared` and `arguments`."""
        setting = dict(zip(self.shared, shared, strict=True))
        method = with_arguments(self.plain.method, self.arguments, own)
        protocol = tuple(sorted({**self.plain.setting, **setting}.items()))
        named = {name_of(one): value for one, value in zip(self.arguments, own, strict=True)}
        return Trial(replace(self.plain, method=method, protocol=protocol), {**setting, **named})


def trials_of(cell: Cell, count: int | None = None) -> list[Trial]:
    """Return a cell's trials: the cell as it is, then values drawn from the search spaces.

    count: of all trials, the protocol's if None. The values of SHARED depend on the protocol and `tune_seed`
    alone, so that all methods and seeds try the same ones; those of a step's arguments depend on the step
    too. The first trials do not depend on how many there are.
    """
    count = trial_count(cell.setting) if count is None else count
    space, seed = Space.of(cell), tune_seed(cell.setting)
    whole = [name == "batch_size" for name in space.shared]
    shared = draw(list(space.shared.values()), whole, count - 1, stream(seed, "protocol"))
    places = dict.fromkeys(one.place for one in space.arguments)
    own = [_own(space.arguments, step, count - 1, seed) for step in places]
    trials = [space.first()]
    for number, values in enumerate(shared):
        trials.append(space.trial(values, [value for step in own for value in step[number]]))
    return trials


def tune_seed(setting: Mapping[str, Value]) -> int:
    """Return the seed of a tuned cell's trials."""
    return int(setting.get("tune_seed", 0) or 0)


def name_of(argument: Argument) -> str:
    """Return the name of a searched argument in tables: `focal.gamma`."""
    return f"{argument.step}.{argument.name}"


def _own(arguments: Sequence[Argument], place: int, count: int, seed: int) -> list[tuple[Any, ...]]:
    """Draw the values of one step's arguments."""
    own = [one for one in arguments if one.place == place]
    spaces, whole = [one.search for one in own], [one.whole for one in own]
    return draw(spaces, whole, count, stream(seed, own[0].step))


def stream(seed: int, name: str) -> int:
    """Return a seed of 32 bits for the values of one step, of the protocol, or of a tuner."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:4], "big")


def tuning_notes(cells: Sequence[Cell]) -> list[str]:
    """Return a note on what tuning costs, for each regime that trains whole nets."""
    counts: dict[tuple[str, int, bool], int] = {}
    for cell in cells:
        if cell.regime != "frozen" and (count := trial_count(cell.setting)) > 1:
            key = cell.regime, count, cell.setting.get("tuner") == TPE
            counts[key] = counts.get(key, 0) + 1
    return [
        f"--tune {count} trains {count + 1} nets for each of {number} cells ({regime}): about "
        f"{round(count * HALVED) + 2 if halves else count + 1} times as long"
        for (regime, count, halves), number in counts.items()
    ]
