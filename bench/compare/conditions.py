"""Conditions of a number: two numbers are comparable if they agree in every stated condition.

A published baseline states some of them, or that they are unknown. Those of a stored run follow from its
method and its weights. The user declares the others, such as the alignment of photos.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, unknown
from bench.core.kind import get_kind

if TYPE_CHECKING:
    from bench.compare.side import Side

SUPERVISION, OUTSIDE_DATA, ALIGNMENT = "supervision", "outside_data", "alignment"

UNKNOWN = "unknown"

_NOT_TOLD = {UNKNOWN: "the source does not tell"}

CONDITIONS: Mapping[str, Mapping[str, str]] = {
    SUPERVISION: {
        "unsupervised": "trained without labels",
        "image-restricted": "trained on whether two photos show one person, not on who it is",
        "unrestricted": "trained on who is on each photo",
        "supervised": "trained on the labels that are scored",
        **_NOT_TOLD,
    },
    OUTSIDE_DATA: {
        "none": "trained on nothing but the task's own data",
        "imagenet": "weights pretrained on ImageNet",
        "other": "other outside data",
        **_NOT_TOLD,
    },
    ALIGNMENT: {
        "none": "photos as they were found",
        "funneled": "aligned by congealing, without landmarks",
        "deep-funneled": "aligned by congealing learned features",
        "landmarks": "aligned by landmarks",
        **_NOT_TOLD,
    },
}
"""Every condition and its values."""

UNLIKE_THEMSELVES = ("other", UNKNOWN)
"""Values that match nothing, not even themselves, because they stand for different things."""

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
            raise BenchError(f"--condition {name}: known from the run; declare only {ALIGNMENT}")
        if value == UNKNOWN:
            raise BenchError(f"--condition {text}: leave out what you do not know")
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
    """Return a text on the stated conditions that ours does not meet, "" if there are none.

    >>> disagreement({"supervision": "image-restricted"}, {"supervision": "unrestricted"})
    'supervision: unrestricted, published image-restricted'
    >>> disagreement({"alignment": "funneled"}, {})
    'alignment: not stated (--condition alignment=VALUE), published funneled'
    >>> disagreement({"outside_data": "unknown"}, {"outside_data": "imagenet"})
    'outside data: imagenet, published unknown'
    """
    parts = []
    for name, value in stated.items():
        if ours.get(name) != value or value in UNLIKE_THEMSELVES:
            # Nothing matches an unknown condition.
            unstated = "not stated" if value == UNKNOWN else _UNSTATED.format(name)
            parts.append(f"{_spaced(name)}: {ours.get(name, unstated)}, {whose} {value}")
    return "; ".join(parts)


def caveat(kind: str, stated: Mapping[str, str]) -> str:
    """Return a text on the kind's conditions that a published result leaves out, "" if there are none."""
    left_out = [_spaced(name) for name in get_kind(kind).conditions.names if name not in stated]
    return f"{' and '.join(left_out)} not stated by the baseline" if left_out else ""


def described(kind: str, every: Collection[Mapping[str, str]]) -> str:
    """Return a line on the conditions of published results: the values of each that the kind depends on.

    >>> described("multiclass", [{"supervision": "supervised"}])
    'Published conditions: supervision supervised; outside data not stated.'
    """
    parts = []
    for name in get_kind(kind).conditions.names:
        values = dict.fromkeys(stated.get(name, "not stated") for stated in every)
        parts.append(f"{_spaced(name)} {' or '.join(values)}")
    return f"Published conditions: {'; '.join(parts)}."


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def comparable_run(setting: Side, stated: Mapping[str, str]) -> str:
    """Return the command of a run that meets the stated conditions, "" if there is none.

    It is the setting's own command, with another method, regime or weights. No command changes how photos
    were aligned.
    """
    ours = conditions_of(setting)
    wanted = {name: value for name, value in stated.items() if ours.get(name) != value}
    options = {"--method": setting.method}
    if OUTSIDE_DATA in wanted:
        if wanted[OUTSIDE_DATA] in UNLIKE_THEMSELVES:
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
