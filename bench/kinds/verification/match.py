"""Methods of pairs: the space, the comparison of photos, the supervision, and what is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.core.cell import MethodSpec, Step
from bench.methods.registry import STEPS

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
"""Supervision of a match: none, which pairs are of one person, or who is on each photo."""

AUTO = "auto"
"""Marks a number of axes that is chosen on validation pairs."""

REDUCING = ("pca", "whiten")
"""Steps of the space that turn it onto its principal axes."""

ON_PIXELS = ("ssim", "emd")
"""Matches that read the photos themselves, with any backbone."""

ON_PAIRS = ("pair_logistic", "siamese")
"""Matches that judge a pair by features of the pair."""

EMBEDDINGS = ("contrastive", "triplet", "arcface", "cosface")
"""Matches that learn where a photo lies, and compare by the cosine there."""

TRAINED = (*ON_PAIRS, *EMBEDDINGS)
"""Matches that train for epochs."""


@dataclass(frozen=True)
class MatchShape:
    """Parts of a method of pairs.

    match: the step that compares. space: the steps before it in the order they are taken. mining, augment:
    the steps of that name, or None. supervision: `none`, `pairs` (the restricted setting of LFW) or
    `identities` (the unrestricted one).
    """

    match: Step
    space: tuple[Step, ...] = ()
    mining: Step | None = None
    augment: Step | None = None
    supervision: str = "none"


Scorer = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Positions of both photos of m pairs -> (m,) float32, their similarity."""


@dataclass(frozen=True, eq=False)
class Match:
    """A trained comparison of photos, valid until the next one is trained.

    found: for the record; `supervision` is always there. score: scores pairs of photos. arrays: returns
    everything but the backbone that scores other photos, by name.
    """

    found: Mapping[str, object]
    score: Scorer
    arrays: Callable[[], dict[str, np.ndarray]]

    @property
    def learns(self) -> bool:
        """Whether it has learned from the training pairs or people."""
        return self.found["supervision"] != "none"


def match_of(method: MethodSpec) -> MatchShape:
    """Return the parts of a method; without a match it compares by cosine.

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
