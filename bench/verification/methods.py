"""What a method says of pairs: the space photos are compared in, what compares them, what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.methods.registry import STEPS
from bench.spec import MethodSpec, Step

SUPERVISION: dict[str, str] = {
    "cosine": "none",
    "euclidean": "none",
    "manhattan": "none",
    "ssim": "none",
    "emd": "none",
    "pair_logistic": "pairs",
    "siamese": "pairs",
    "contrastive": "pairs",
    "triplet": "identities",
    "arcface": "identities",
    "cosface": "identities",
}
"""What a match is told while it trains: nothing, which pairs are of one person, or who is on each photo."""

ON_PIXELS = ("ssim", "emd")
"""Matches that look at the photos themselves, whatever the backbone."""

ON_PAIRS = ("pair_logistic", "siamese")
"""Matches that judge a pair by features of the pair."""

EMBEDDINGS = ("contrastive", "triplet", "arcface", "cosface")
"""Matches that learn where a photo lies, and compare by the cosine there."""

TRAINED = (*ON_PAIRS, *EMBEDDINGS)
"""Matches that train for epochs."""

REDUCING = ("pca", "whiten")
"""Steps of the space that turn it onto its principal axes."""

AUTO = "auto"


@dataclass(frozen=True)
class MatchShape:
    """What a method of pairs consists of.

    match: the step that compares. space: the steps before it in the order they are taken. mining, augment:
    the steps of that name, or None. supervision: `none`, `pairs` (the restricted setting of LFW) or
    `identities` (the unrestricted one).
    """

    match: Step
    space: tuple[Step, ...] = ()
    mining: Step | None = None
    augment: Step | None = None
    supervision: str = "none"


def match_of(method: MethodSpec) -> MatchShape:
    """Return what the steps of a method say; a method that names no match compares by cosine.

    >>> from bench.methods.grammar import parse_method
    >>> shape = match_of(parse_method("whiten(dims=64)"))
    >>> shape.match.name, shape.supervision
    ('cosine', 'none')
    """
    by_stage: dict[str, list[Step]] = {}
    for step in method.steps:
        by_stage.setdefault(STEPS[step.name].stage_of(dict(step.args)), []).append(step)
    match = by_stage.get("match", [Step("cosine")])[0]
    space = by_stage.get("space", [])
    mining = by_stage.get("mining", [None])[0]
    augment = by_stage.get("augment", [None])[0]
    return MatchShape(
        match, _with_own_axes(match, space), mining, augment, _supervision(match, mining is not None)
    )


def problem_together(steps: Sequence[Step]) -> str | None:
    """Return why steps of pairs make no sense beside each other, or None where they do."""
    by_name = {step.name: step for step in steps}
    matches = [name for name in by_name if _stage(by_name[name]) == "match"]
    match = matches[0] if matches else "cosine"
    spaces = [name for name in by_name if _stage(by_name[name]) == "space"]
    if {"pca", "whiten"} <= set(by_name):
        return "pca and whiten cannot be combined: whiten is pca and then one scale for all axes"
    if match in ON_PIXELS and spaces:
        return f"{spaces[0]} and {match} cannot be combined: {match} compares pixels, not features"
    if match == "joint_bayes" and set(REDUCING) & set(by_name) and by_name[match]["dims"] != AUTO:
        reducing = next(name for name in REDUCING if name in by_name)
        return f"joint_bayes(dims=..) and {reducing} cannot be combined: {reducing} already says how many"
    if match == "joint_bayes" and by_name[match]["parts"] == "each":
        mixing = next((name for name in REDUCING if name in by_name and by_name[name]["by"] == "all"), "")
        if mixing:
            return f"joint_bayes(parts=each) and {mixing} cannot be combined: say {mixing}(by=part)"
    if "pairs" in by_name and match not in (*ON_PAIRS, "contrastive"):
        return f"pairs and {match} cannot be combined: {match} does not train on pairs"
    if "pair_augment" in by_name and match not in TRAINED:
        return f"pair_augment and {match} cannot be combined: {match} does not train on single photos"
    return None


def _stage(step: Step) -> str:
    return STEPS[step.name].stage_of(dict(step.args))


def _supervision(match: Step, mined: bool) -> str:
    if mined:
        return "identities"
    by: Mapping[str, Any] = dict(match.args)
    return SUPERVISION[match.name] if match.name in SUPERVISION else str(by["by"])


def _with_own_axes(match: Step, space: Sequence[Step]) -> tuple[Step, ...]:
    """Return the space with the principal axes that joint Bayes asks for itself."""
    steps = list(space)
    if match.name == "joint_bayes" and not any(step.name in REDUCING for step in steps):
        by = "part" if match["parts"] == "each" else "all"
        steps.append(Step("pca", (("by", by), ("dims", match["dims"]))))
    return tuple(sorted(steps, key=lambda step: STEPS[step.name].place))
