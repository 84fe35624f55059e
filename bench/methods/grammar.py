"""Grammar of methods: `oversample+class_weight`, `focal(gamma=1)`, `class_weight(inverse)`."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import product
from typing import Any

import bench.methods.steps  # noqa: F401  (fills the registry)
from bench.core import plugins
from bench.core.cell import MethodSpec, Step, Value
from bench.core.errors import BenchError, nearest, unknown
from bench.core.kind import KINDS, get_kind
from bench.methods.registry import STAGES, STEPS, Param, StepInfo

MAX_TEXT = 300
"""Characters of one method."""

MAX_LIST = 20_000
"""Characters of a list of methods."""

NONE = MethodSpec(steps=(), text="none")
"""The method that does nothing about imbalance or wrong labels."""

MAX_SWEEP = 1_000
"""Methods that all texts with alternatives in one list may stand for."""

_SWEEP = re.compile(r"([^\s()=,|+]+(?:\|[^\s()=,|+]+)+)")
MASK = "mask"
"""Another name for doing nothing: unknown cells are masked unless a step fills them."""

_STEP = re.compile(r"([^\s()=]+)\s*(?:\(([^()]*)\))?")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_PATH = re.compile(r"[A-Za-z0-9_.]+:[A-Za-z0-9_]+")
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HINT = "see `bench list methods`"


def parse_methods(text: str) -> list[MethodSpec]:
    """Read a comma-separated list of methods; spellings of one method count once.

    Commas inside parentheses do not split. Values joined by `|` are tried one after the other. Raises
    BenchError with one line on anything illegal.

    >>> [method.text for method in parse_methods("none, logit_adjust(tau=1, form=posthoc)+class_weight")]
    ['none', 'class_weight+logit_adjust(form=posthoc)']
    >>> [method.text for method in parse_methods("focal(gamma=1|3)")]
    ['focal(gamma=1)', 'focal(gamma=3)']
    """
    _limit("list of methods", text, MAX_LIST)
    return list(dict.fromkeys(map(parse_method, _swept(text))))


def _swept(text: str) -> list[str]:
    """Return every method that the list stands for; of choices among values the last one varies fastest."""
    found: list[str] = []
    swept = 0
    for part in _split(text, ","):
        # Odd places hold values joined by `|`, even places the text around them.
        pieces = _SWEEP.split(part)
        choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
        many = math.prod(map(len, choices))
        swept += many if many > 1 else 0
        if swept > MAX_SWEEP:
            count = many if many.bit_length() < 40 else "far too many"
            raise BenchError(f"method {_clip(part)!r} stands for {count} methods; at most {MAX_SWEEP} in all")
        found += map("".join, itertools.product(*choices))
    return found


def parse_method(text: str, stored: bool = False) -> MethodSpec:
    """Read one method: steps joined by `+`, each a name with optional arguments in parentheses.

    Arguments are given by position or by name; those left out take their default. The steps are put
    into canonical order, so that every spelling of a method gives an equal MethodSpec, and
    parse_method(spec.text) == spec. stored: of a file that may be a stranger's: nothing it names is imported.
    Raises BenchError with one line on anything illegal.

    >>> parse_method("class_weight + oversample(max)").text
    'oversample+class_weight'
    """
    _limit("method", text, MAX_TEXT)
    if text.strip() == "none":
        return NONE
    steps = [_step(part, stored) for part in _split(text, "+") if part != MASK]
    if not steps:
        return NONE
    _check_together(steps)
    steps.sort(key=lambda step: (STAGES.index(stage_of(step)), STEPS[step.name].place, step.name))
    return MethodSpec(steps=tuple(steps), text="+".join(step_text(step) for step in steps))


def paths_in(texts: Iterable[str]) -> list[str]:
    """Return the package.module:name that methods name, Keras's losses left out: each is code to run.

    Nothing is imported, as reading a method does.

    >>> paths_in(["none,loss(function=mine:soft)+mixup", "loss(function=keras.losses:Poisson)"])
    ['mine:soft']
    """
    found = [path for text in texts for path in _PATH.findall(text)]
    return [path for path in found if path.partition(":")[0] != "keras.losses"]


def stage_of(step: Step) -> str:
    """Return the stage a step runs in."""
    return STEPS[step.name].stage_of(dict(step.args))


def functions_of(step: Step) -> dict[str, str]:
    """Return "module:function" by stage for every stage the step occupies."""
    return STEPS[step.name].functions(dict(step.args))


def problems_for(method: MethodSpec, kind: str, regime: str) -> str | None:
    """Return why a task of this kind cannot use the method in this regime, or None where it can.

    >>> problems_for(parse_method("smote"), "multiclass", "scratch")
    'smote works on features; the scratch regime has none'
    """
    steps_of = get_kind(kind).steps_of if kind in KINDS else kind
    for step in method.steps:
        info = STEPS[step.name]
        if steps_of not in info.kinds:
            return f"{step.name} is for {' and '.join(info.kinds)} tasks, not for {kind}"
        if info.unfit and (why := info.unfit(dict(step.args), regime)):
            return f"{step.name} {why}"
        if regime != "frozen" and info.needs_features(dict(step.args)):
            return f"{step.name} works on features; the {regime} regime has none"
        wanted = info.beside.get(regime, ())
        if wanted and not set(wanted) & {other.name for other in method.steps}:
            return (
                f"{step.name} needs {' or '.join(wanted)} beside it in the {regime} regime: "
                "a linear head shares nothing with others"
            )
        if regime not in info.regimes:
            return f"{step.name} runs in the {' and '.join(info.regimes)} regime, not in {regime}"
        if (needs := info.package(dict(step.args))) and find_spec(needs[0]) is None:
            package, extra = needs
            return f"{step.name} needs {package}, which is not installed: pip install 'messybench[{extra}]'"
    return None


def needs_features(method: MethodSpec) -> bool:
    """Return whether a step works on feature rows, which `resolve` then needs."""
    return any(STEPS[step.name].needs_features(dict(step.args)) for step in method.steps)


def _limit(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise BenchError(f"a {what} of {len(text)} characters is too long; at most {limit} are read")


def _clip(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside parentheses into stripped, non-empty parts."""
    parts, start, depth = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth not in (0, 1):
            problem = "a ')' without its '('" if depth < 0 else "parentheses inside parentheses"
            raise BenchError(f"method {_clip(text.strip())!r} has {problem}")
        if letter == separator and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    if depth:
        raise BenchError(f"method {_clip(text.strip())!r} has a '(' without its ')'")
    parts.append(text[start:].strip())
    if not all(parts):
        where = f" beside a {separator!r} in {_clip(text.strip())!r}" if len(parts) > 1 else ""
        raise BenchError(f"a method is empty{where}; write 'none' for no remedy ({_HINT})")
    return parts


def _step(text: str, stored: bool) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise BenchError(f"cannot read the method step {_clip(text)!r}; write name or name(argument=value)")
    name, inside = match.groups()
    if name == "none":
        raise BenchError("'none' stands alone: it takes no arguments and no other steps")
    if name == MASK:
        raise BenchError("'mask' takes no arguments: cells that are not known are not trained on")
    if not plugins.find(STEPS, name):
        raise unknown("method step", _clip(name), [*STEPS, "none", MASK], _HINT)
    info = STEPS[name]
    args: dict[str, Value] = {param.name: param.default for param in info.params}
    args.update(_given(info, inside or ""))
    if info.complete is not None and not stored:
        args.update(info.complete(args))
    problem = info.check(args) if info.check else None
    if problem:
        raise BenchError(f"{name}: {problem}")
    return Step(name=name, args=tuple(sorted(args.items())))


def _given(info: StepInfo, inside: str) -> dict[str, Value]:
    """Parse the text between a step's parentheses."""
    by_name = {param.name: param for param in info.params}
    parts = [part.strip() for part in inside.split(",")] if inside.strip() else []
    takes = f"it takes {', '.join(by_name)}" if by_name else "it takes none"
    given: dict[str, Value] = {}
    named = False
    for position, part in enumerate(parts):
        name, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals:
            if named:
                raise BenchError(
                    f"{info.name}: name {_clip(part)!r} too, it comes after a named one ({takes})"
                )
            if position >= len(info.params):
                raise BenchError(f"{info.name}: {len(parts)} arguments are too many; {takes}")
            name, raw = info.params[position].name, name
        elif name not in by_name and info.complete is not None and name.isidentifier():
            given[name], named = _any_value(f"{info.name}: {name}", raw), True
            continue
        elif name not in by_name:
            guess = nearest(name, by_name) or f"; {takes}"
            raise BenchError(f"{info.name} has no argument {_clip(name)!r}{guess}")
        if name in given:
            raise BenchError(f"{info.name}: {name} is given twice")
        named = named or bool(equals)
        given[name] = _value(f"{info.name}: {name}", by_name[name], raw)
    return given


def _any_value(where: str, raw: str) -> Value:
    """Convert an undeclared argument's text to a number, true or false, or a word."""
    if raw in ("true", "false"):
        return raw == "true"
    if _INT.fullmatch(raw):
        return int(raw)
    if _FLOAT.fullmatch(raw):
        return float(raw)
    if _WORD.fullmatch(raw):
        return raw
    raise BenchError(f"{where} must be a number, true, false or a word, not {_clip(raw)!r}")


def _value(where: str, param: Param, raw: str) -> Value:
    """Check one argument's text and convert it to its type."""
    if raw in param.choices:
        return raw
    if param.type is bool and raw in ("true", "false"):
        return raw == "true"
    word = _PATH if param.path else _WORD
    if param.type is str and not param.choices and word.fullmatch(raw):
        return raw
    if param.type is int and _INT.fullmatch(raw):
        return _in_range(where, param, int(raw))
    if param.type is float and _FLOAT.fullmatch(raw):
        return _in_range(where, param, float(raw) + 0.0)
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[param.type]
    if param.choices:
        wanted = " or ".join(param.choices if param.type is str else (wanted, *param.choices))
    raise BenchError(f"{where} must be {wanted}, not {_clip(raw)!r}{nearest(raw, param.choices)}")


def _in_range(where: str, param: Param, value: float) -> float:
    low = -math.inf if param.low is None else param.low
    high = math.inf if param.high is None else param.high
    if math.isfinite(value) and low <= value <= high:
        return value
    if math.isfinite(low) and math.isfinite(high):
        wanted = f"between {_shown(low)} and {_shown(high)}"
    elif math.isfinite(low):
        wanted = f"at least {_shown(low)}"
    else:
        wanted = f"at most {_shown(high)}" if math.isfinite(high) else "finite"
    raise BenchError(f"{where} must be {wanted}, not {_clip(_shown(value))}")


def _check_together(steps: list[Step]) -> None:
    """Raise BenchError for steps that, by their own declaration, cannot be combined."""
    infos = [(STEPS[step.name], dict(step.args)) for step in steps]
    names = [info.name for info, _ in infos]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BenchError(f"{twice} appears twice; one method takes each step once")
    kinds = {info.name: info.is_a(args) for info, args in infos}
    for (info, args), other in product(infos, names):
        why = None if other == info.name else info.conflict(args, other, kinds[other])
        if why is not None:
            raise BenchError(f"{info.name} and {other} cannot be combined: {why}")
    for info, _ in infos:
        others = frozenset[str]().union(*(kinds[name] for name in names if name != info.name))
        if info.requires and not others & set(info.requires):
            raise BenchError(f"{info.name} needs another step with it: {' or '.join(_with(info.requires))}")
    taken: dict[str, StepInfo] = {}
    for info, args in infos:
        for stage in () if info.shares_stage else info.functions(args):
            before = taken.setdefault(stage, info)
            if before is not info:
                raise BenchError(f"{before.name} and {info.name} cannot be combined: {_CLASH[stage]}")


def _with(traits: tuple[str, ...]) -> list[str]:
    """Return the names of the steps that have one of these traits with their default arguments."""
    defaults = ((info, {param.name: param.default for param in info.params}) for info in STEPS.values())
    return [info.name for info, args in defaults if info.is_a(args) & set(traits)]


_CLASH: Mapping[str, str] = {
    "labels": "a method cleans or completes its labels in one way",
    "sampling": "a method samples in one way",
    "augment": "a method changes its images in one way",
    "mix": "a method mixes its images in one way",
    "head": "a method has one head",
    "match": "a method compares in one way",
    "mining": "a method chooses its pairs in one way",
    "weight": "both weight the classes",
    "loss": "a method has one loss",
    "posthoc": "a method changes the trained head once",
}


def step_text(step: Step) -> str:
    """Write a step with its defaults left out; leading words stand without their name."""
    written: list[str] = []
    bare, params = True, STEPS[step.name].params
    for param in params:
        value: Any = step[param.name]
        if value == param.default:
            bare = False
            continue
        bare = bare and param.type is str
        written.append(_shown(value) if bare else f"{param.name}={_shown(value)}")
    declared = {param.name for param in params}
    written += [f"{name}={_shown(value)}" for name, value in step.args if name not in declared]
    return f"{step.name}({','.join(written)})" if written else step.name


def _shown(value: Value) -> str:
    """Write a value in the shortest form that reads back to it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
