"""Conditions of a number: two numbers are comparable if they agree in every stated condition.

A published baseline states some of them. Those of a stored run follow from its method and its weights. The
user declares what no record holds, such as how photos were aligned.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, unknown
from bench.core.kind import get_kind

if TYPE_CHECKING:
    from bench.compare.side import Side

SUPERVISION, OUTSIDE_DATA, ALIGNMENT = "supervision", "outside_data", "alignment"

CONDITIONS: Mapping[str, Mapping[str, str]] = {
    SUPERVISION: {
        "unsupervised": "trained without labels",
        "image-restricted": "trained on whether two photos show one person, not on who it is",
        "unrestricted": "trained on who is on each photo",
        "supervised": "trained on the labels that are scored",
    },
    OUTSIDE_DATA: {
        "none": "trained on nothing but the task's own data",
        "imagenet": "weights pretrained on ImageNet",
        "other": "other outside data",
    },
    ALIGNMENT: {
        "none": "photos as they were found",
        "funneled": "aligned by congealing, without landmarks",
        "deep-funneled": "aligned by congealing learned features",
        "landmarks": "aligned by landmarks",
    },
}
"""Every condition and its values."""

UNLIKE_ITSELF = "other"
"""The value that equals nothing, not even itself: it stands for different things."""

_UNSTATED = "not stated (--condition {}=VALUE)"

OWN_WEIGHTS = ("random", "none")
"""Weights trained on no image outside the task."""


def check_condition(name: str, value: str, where: str) -> None:
    """Raise BenchError for an unknown condition or value, naming the nearest."""
    if name not in CONDITIONS:
        raise unknown("condition", name, CONDITIONS, where)
    if value not in CONDITIONS[name]:
        raise unknown(f"value of {name}", value, CONDITIONS[name], where)


def declared(texts: tuple[str, ...]) -> dict[str, str]:
    """Read `NAME=VALUE` texts. Raises BenchError for a faulty one and for a condition given twice."""
    out: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise BenchError(f"--condition {text!r}: write NAME=VALUE, for example alignment=funneled")
        check_condition(name, value, "--condition")
        if name in (SUPERVISION, OUTSIDE_DATA):
            raise BenchError(f"--condition {name}: what was run says it; declare {ALIGNMENT} alone")
        if name in out:
            raise BenchError(f"--condition {name} is given twice")
        out[name] = value
    return out


def conditions_of(setting: Side) -> dict[str, str]:
    """Return the conditions of a stored or pinned setting, declared ones included.

    A method that this version cannot read leaves its supervision unstated.
    """
    known = {OUTSIDE_DATA: _outside_data(setting.weights), **setting.declared}
    try:
        return {SUPERVISION: get_kind(setting.kind).conditions.supervision(setting.method), **known}
    except BenchError:
        return known


def _outside_data(weights: str) -> str:
    seen = {*weights.split("+")} - {*OWN_WEIGHTS}
    if not seen:
        return "none"
    return "imagenet" if seen == {"imagenet"} else "other"


def disagreement(stated: Mapping[str, str], ours: Mapping[str, str], whose: str = "published") -> str:
    """Return a text that names the stated conditions ours does not meet, or an empty one.

    >>> disagreement({"supervision": "image-restricted"}, {"supervision": "unrestricted"})
    'supervision: unrestricted, published image-restricted'
    >>> disagreement({"alignment": "funneled"}, {})
    'alignment: not stated (--condition alignment=VALUE), published funneled'
    """
    parts = [
        f"{name.replace('_', ' ')}: {ours.get(name, _UNSTATED.format(name))}, {whose} {value}"
        for name, value in stated.items()
        if ours.get(name) != value or value == UNLIKE_ITSELF
    ]
    return "; ".join(parts)


def comparable_run(setting: Side, stated: Mapping[str, str]) -> str:
    """Return the command of a run that meets the stated conditions, or "" if none can.

    It is the setting's own command, with another method, regime or weights. No command changes how photos
    were aligned.
    """
    ours = conditions_of(setting)
    wanted = {name: value for name, value in stated.items() if ours.get(name) != value}
    options = {"--method": setting.method}
    if OUTSIDE_DATA in wanted:
        if wanted[OUTSIDE_DATA] == UNLIKE_ITSELF:
            return ""
        seen = wanted[OUTSIDE_DATA] != "none"
        regime = ("finetune" if setting.regime == "scratch" else setting.regime) if seen else "scratch"
        options |= {"--regime": regime, "--weights": "imagenet" if seen else "random"}
    if SUPERVISION in wanted:
        kind, regime = get_kind(setting.kind), options.get("--regime", setting.regime)
        method = (
            kind.conditions.method_with(setting.method, wanted[SUPERVISION], regime)
            if SUPERVISION in ours
            else None
        )
        if method is None:
            return ""
        options["--method"] = method
    if not wanted.keys() & {OUTSIDE_DATA, SUPERVISION}:
        return ""
    return shlex.join(
        [*_without(_typed(setting), options), *(word for own in options.items() for word in own)]
    )


def _typed(setting: Side) -> list[str]:
    """Return the words of the setting's `bench run` command, a default one if it is not stored."""
    try:
        words = shlex.split(str(setting.results()[0].get("command") or ""))
    except ValueError:
        words = []
    if words[:2] == ["bench", "run"]:
        return words
    return ["bench", "run", "--task", setting.task, "--backbone", setting.backbone]


def _without(words: list[str], options: Mapping[str, str]) -> list[str]:
    """Return the words of a command without these options and their values."""
    out, skip = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        if skip:
            skip = False
        elif name in options:
            skip = not equals
        else:
            out.append(word)
    return out
