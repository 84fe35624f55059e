"""How methods are written and read: `oversample+class_weight`, `focal(gamma=1)`, `class_weight(inverse)`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import bench.methods.steps  # noqa: F401  (fills the registry)
from bench.errors import BenchError, nearest, unknown
from bench.methods.registry import STAGES, STEPS, Param, StepInfo
from bench.spec import MethodSpec, Step, Value
from bench.verification.methods import problem_together

MAX_TEXT = 300
"""Characters of one method."""

MAX_LIST = 20_000
"""Characters of a list of methods."""

NONE = MethodSpec(steps=(), text="none")
"""The method that does nothing about imbalance or wrong labels."""

MAX_SWEEP = 1_000
"""Methods that one text with alternatives may stand for."""

_SWEEP = re.compile(r"[^\s()=,|+]+(?:\|[^\s()=,|+]+)+")
MASK = "mask"
"""Another word for doing nothing: cells that are not known are never trained on unless a step says so."""

_STEP = re.compile(r"([^\s()=]+)\s*(?:\(([^()]*)\))?")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
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
    swept = [one for part in _split(text, ",") for one in _swept(part)]
    return list(dict.fromkeys(parse_method(one) for one in swept))


def _swept(text: str) -> list[str]:
    """Return a method once for every choice among values that `|` joins; the last one varies fastest."""
    match = _SWEEP.search(text)
    if match is None:
        return [text]
    values = match[0].split("|")
    found = [one for value in values for one in _swept(text[: match.start()] + value + text[match.end() :])]
    if len(found) > MAX_SWEEP:
        raise BenchError(f"method {_clip(text)!r} stands for {len(found)} methods; at most {MAX_SWEEP}")
    return found


def parse_method(text: str) -> MethodSpec:
    """Read one method: steps joined by `+`, each a name with optional arguments in parentheses.

    Arguments are given by position or by name; those left out take their default. The steps are put
    into canonical order, so that every spelling of a method gives an equal MethodSpec, and
    parse_method(spec.text) == spec. Raises BenchError with one line on anything illegal.

    >>> parse_method("class_weight + oversample(max)").text
    'oversample+class_weight'
    """
    _limit("method", text, MAX_TEXT)
    if text.strip() == "none":
        return NONE
    steps = [_step(part) for part in _split(text, "+") if part != MASK]
    if not steps:
        return NONE
    _check_together(steps)
    steps.sort(key=lambda step: (STAGES.index(stage_of(step)), STEPS[step.name].place, step.name))
    return MethodSpec(steps=tuple(steps), text="+".join(_step_text(step) for step in steps))


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
    for step in method.steps:
        info = STEPS[step.name]
        if kind not in info.kinds:
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
    """Tell whether a step works on feature rows, so that `resolve` must be given them."""
    return any(STEPS[step.name].needs_features(dict(step.args)) for step in method.steps)


def _limit(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise BenchError(f"a {what} of {len(text)} characters is too long; at most {most} are read")


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


def _step(text: str) -> Step:
    match = _STEP.fullmatch(text)
    if match is None:
        raise BenchError(f"cannot read the method step {_clip(text)!r}; write name or name(argument=value)")
    name, inside = match.groups()
    if name == "none":
        raise BenchError("'none' stands alone: it takes no arguments and no other steps")
    if name == MASK:
        raise BenchError("'mask' takes no arguments: cells that are not known are not trained on")
    if name not in STEPS:
        raise unknown("method step", _clip(name), [*STEPS, "none", MASK], _HINT)
    info = STEPS[name]
    args: dict[str, Value] = {param.name: param.default for param in info.params}
    args.update(_given(info, inside or ""))
    problem = info.check(args) if info.check else None
    if problem:
        raise BenchError(f"{name}: {problem}")
    return Step(name=name, args=tuple(sorted(args.items())))


def _given(info: StepInfo, inside: str) -> dict[str, Value]:
    """Read what stands between a step's parentheses."""
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
        elif name not in by_name:
            guess = nearest(name, by_name) or f"; {takes}"
            raise BenchError(f"{info.name} has no argument {_clip(name)!r}{guess}")
        if name in given:
            raise BenchError(f"{info.name}: {name} is given twice")
        named = named or bool(equals)
        given[name] = _value(f"{info.name}: {name}", by_name[name], raw)
    return given


def _value(where: str, param: Param, raw: str) -> Value:
    """Check one argument's text and turn it into its type."""
    if raw in param.choices:
        return raw
    if param.type is bool and raw in ("true", "false"):
        return raw == "true"
    if param.type is str and not param.choices and _WORD.fullmatch(raw):
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
    """Raise BenchError where two steps want the same stage or one is there twice."""
    taken: dict[str, str] = {}
    names: set[str] = set()
    for step in steps:
        if step.name in names:
            raise BenchError(f"{step.name} is there twice; one method takes each step once")
        names.add(step.name)
    filling, doubting = (
        {"assume_negative", "impute", "self_train", "drop_rows"} & names,
        {"large_loss", "splc"} & names,
    )
    if filling and doubting:
        why = "the loss is about unknown cells, and the other step leaves none"
        raise BenchError(f"{filling.pop()} and {doubting.pop()} cannot be combined: {why}")
    if {"conv", "augment"} <= names:
        raise BenchError("conv and augment cannot be combined: views are made of pooled features")
    changed = "smote" in names or any(step.name == "clean" and step["action"] == "relabel" for step in steps)
    if "conv" in names and changed:
        raise BenchError("conv works on maps of real images; smote and relabelling make rows of features")
    if "multitask" in names and (lone := sorted(names & {"co_teaching", "fallback"})):
        raise BenchError(f"multitask and {lone[0]} cannot be combined: {lone[0]} has two heads of its own")
    if {"co_teaching", "conv"} <= names:
        raise BenchError("co_teaching and conv cannot be combined: a net of convolutions has no second head")
    if "fallback" in names and (lone := sorted(names & {"mlp", "conv"})):
        raise BenchError(f"fallback and {lone[0]} cannot be combined: each of its heads is one linear layer")
    if "ldam" in names and (lone := sorted(names & {"tau_norm", "fallback"})):
        reasons = {
            "tau_norm": "the kernels of its cosines are all of one length already",
            "fallback": "its head takes rows of length one, and fallback trains two heads on parts of them",
        }
        raise BenchError(f"ldam and {lone[0]} cannot be combined: {reasons[lone[0]]}")
    mixing = {step.name for step in steps if stage_of(step) == "mix"}
    if mixing and (lone := sorted(names & {"co_teaching", "elr", "large_loss", "splc"})):
        raise BenchError(f"{min(mixing)} and {lone[0]} cannot be combined: {lone[0]} goes by single images")
    if (clash := problem_together(steps)) is not None:
        raise BenchError(clash)
    for step in steps:
        for stage in functions_of(step):
            # What is shared and what learns on it besides are two things.
            if stage in taken and stage != "space" and "multitask" not in (taken[stage], step.name):
                raise BenchError(f"{taken[stage]} and {step.name} cannot be combined: {_CLASH[stage]}")
            taken[stage] = step.name


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


def _step_text(step: Step) -> str:
    """Write a step with its defaults left out; leading words stand without their name."""
    written: list[str] = []
    bare = True
    for param in STEPS[step.name].params:
        value: Any = step[param.name]
        if value == param.default:
            bare = False
            continue
        bare = bare and param.type is str
        written.append(_shown(value) if bare else f"{param.name}={_shown(value)}")
    return f"{step.name}({','.join(written)})" if written else step.name


def _shown(value: Value) -> str:
    """Write a value in the shortest form that reads back to it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)
