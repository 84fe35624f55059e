"""Search space of a method: the arguments that tuning tries, and the method at other values of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.cell import MethodSpec, Value
from bench.core.errors import BenchError
from bench.core.search import Search
from bench.methods.grammar import parse_method, problems_for, step_text
from bench.methods.registry import STEPS


@dataclass(frozen=True)
class Argument:
    """One searched argument of one step of a method. place: of the step. whole: whether it is an integer."""

    place: int
    step: str
    name: str
    whole: bool
    search: Search


def search_space(method: MethodSpec, kind: str, regime: str) -> list[Argument]:
    """Return the arguments of a method that tuning tries, in the order of its steps.

    Arguments that the method sets to another value than their default stay as they are, and so do those
    that mean nothing beside its other arguments.
    """
    found = []
    for index, step in enumerate(method.steps):
        for param in STEPS[step.name].params:
            search = param.search
            if search is None or (search.regimes and regime not in search.regimes):
                continue
            argument = Argument(index, step.name, param.name, param.type is int, search)
            if step[param.name] == param.default and _usable(method, argument, kind, regime):
                found.append(argument)
    return found


def with_arguments(method: MethodSpec, arguments: Sequence[Argument], values: Sequence[Value]) -> MethodSpec:
    """Return the method with other values of some arguments. Raises BenchError where they are not legal."""
    steps = list(method.steps)
    for argument, value in zip(arguments, values, strict=True):
        step = steps[argument.place]
        args = {**dict(step.args), argument.name: value}
        steps[argument.place] = type(step)(step.name, tuple(sorted(args.items())))
    return parse_method("+".join(map(step_text, steps)) or "none")


def _usable(method: MethodSpec, argument: Argument, kind: str, regime: str) -> bool:
    """Whether the method can take both ends of an argument's search space."""
    for end in argument.search.ends:
        try:
            other = with_arguments(method, [argument], [int(end) if argument.whole else float(end)])
        except BenchError:
            return False
        if problems_for(other, kind, regime) is not None:
            return False
    return True
