"""Shape of a method: what it builds on a frozen backbone, as its steps declare it. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.core.cell import MethodSpec
from bench.methods.registry import STEPS

if TYPE_CHECKING:
    from bench.data.augmentation import Recipe
    from bench.training.fits import Mixing


@dataclass(frozen=True)
class Shape:
    """Head, views and mixtures of a method. 0, empty and None for none.

    units: of a hidden layer; filters: of convolutions on the backbone's unpooled map; views: how many changed
    views of each image, made by recipe; minority: of images of minority classes alone; mixing: how
    minibatches are mixed; shared: factors of the loss of the class and of each auxiliary column; two_heads:
    one head on images and one on titles, instead of one on both.
    """

    units: int = 0
    filters: tuple[int, ...] = ()
    recipe: Recipe | None = None
    views: int = 0
    minority: bool = False
    mixing: Mixing | None = None
    shared: tuple[float, float] | None = None
    two_heads: bool = False


def shape_of(method: MethodSpec) -> Shape:
    """Return the shape that the steps of a method declare together."""
    fields: dict[str, Any] = {}
    for step in method.steps:
        fields |= STEPS[step.name].shaped(dict(step.args))
    return Shape(**fields)


def calibration_shares(method: MethodSpec) -> tuple[tuple[str, float], ...]:
    """Return the steps that take a calibration part each, in their order, with its share of the rest."""
    shares = ((step.name, STEPS[step.name].calibration_share(dict(step.args))) for step in method.steps)
    return tuple((name, share) for name, share in shares if share > 0)


def step_with(method: MethodSpec, fields: Iterable[str]) -> str | None:
    """Return the name of the first step that declares one of these fields of the shape, or None."""
    wanted = set(fields)
    return next((s.name for s in method.steps if wanted & set(STEPS[s.name].shaped(dict(s.args)))), None)
