"""Trained method of pairs as plain arrays, to score photos outside training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.kinds.verification.similarity.joint_bayes import Ratio
from bench.kinds.verification.similarity.pixels import PHOTO_RULES, grey
from bench.kinds.verification.similarity.scoring import (
    Cosine,
    Euclidean,
    Head,
    LikelihoodRatio,
    Manhattan,
    Rule,
)
from bench.kinds.verification.similarity.transforms import Affine, FeatureSpace, Map, Power, Unit
from bench.training.fits import Hidden
from bench.training.linear_head import LinearHead

FORM = "form"
"""The array that describes the others, as JSON in bytes."""

_PLAIN: dict[str, Callable[[], Rule]] = {"cosine": Cosine, "euclidean": Euclidean, "manhattan": Manhattan}


@dataclass(frozen=True, eq=False)
class Matcher:
    """Compares rows of features: both go through the space, then by the rule."""

    space: FeatureSpace
    rule: Rule

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32 scores of (m, d) float32 features of either photo."""
        return self.rule(self.space(first), self.space(second))


@dataclass(frozen=True)
class PhotoMatcher:
    """Compares photos by their pixels. rule: of PHOTO_RULES."""

    rule: str

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32 scores of (m, height, width, 3) uint8 photos."""
        own = PHOTO_RULES[self.rule]
        return np.array([own(*pair) for pair in zip(grey(first), grey(second), strict=True)], np.float32)


def to_arrays(matcher: Matcher | PhotoMatcher) -> dict[str, np.ndarray]:
    """Return all of a matcher as arrays by name: numbers, and JSON in bytes that says what they are."""
    arrays: dict[str, np.ndarray] = {}
    if isinstance(matcher, PhotoMatcher):
        form: dict[str, Any] = {"photos": matcher.rule}
    else:
        maps = [_map_form(one, f"space_{place}", arrays) for place, one in enumerate(matcher.space.maps)]
        form = {"space": maps, "widths": list(matcher.space.widths), "rule": _rule_form(matcher.rule, arrays)}
    text = json.dumps(form, allow_nan=False).encode("ascii")
    return {FORM: np.frombuffer(text, np.uint8), **arrays}


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Matcher | PhotoMatcher:
    """Return the matcher that `to_arrays` wrote; ValueError, KeyError or TypeError for anything else."""
    form = json.loads(arrays[FORM].tobytes().decode("ascii"))
    if "photos" in form:
        if form["photos"] not in PHOTO_RULES:
            raise ValueError("an unknown rule for pixels")
        return PhotoMatcher(form["photos"])
    for name, array in arrays.items():
        if name != FORM and not (array.dtype.kind == "f" and np.isfinite(array).all()):
            raise ValueError(f"{name} has NaN or infinite values")
    maps = [_map(one, f"space_{place}", arrays) for place, one in enumerate(form["space"])]
    widths = tuple(int(width) for width in form["widths"])
    return Matcher(FeatureSpace(tuple(maps), widths), _rule(form["rule"], arrays))


def _map_form(one: Map, name: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if isinstance(one, Power):
        return {"power": one.exponent}
    if isinstance(one, Unit):
        return {"unit": list(one.widths)}
    for place, (mean, kernel) in enumerate(zip(one.means, one.kernels, strict=True)):
        arrays[f"{name}_mean_{place}"], arrays[f"{name}_kernel_{place}"] = mean, kernel
    return {"affine": len(one.means)}


def _map(form: Mapping[str, Any], name: str, arrays: Mapping[str, np.ndarray]) -> Map:
    if "power" in form:
        return Power(float(form["power"]))
    if "unit" in form:
        return Unit(tuple(int(width) for width in form["unit"]))
    places = range(int(form["affine"]))
    means = tuple(arrays[f"{name}_mean_{place}"] for place in places)
    kernels = tuple(arrays[f"{name}_kernel_{place}"] for place in places)
    for mean, kernel in zip(means, kernels, strict=True):
        if mean.ndim != 1 or kernel.shape[0] != len(mean) or kernel.ndim not in (1, 2):
            raise ValueError(f"{name}: a mean of {mean.shape} beside a kernel of {kernel.shape}")
    return Affine(means, kernels)


def _rule_form(rule: Rule, arrays: dict[str, np.ndarray]) -> str:
    if isinstance(rule, Head):
        arrays |= {"mean": rule.mean, "scale": rule.scale, "kernel": rule.last.kernel, "bias": rule.last.bias}
        if rule.hidden is not None:
            arrays |= {"hidden_kernel": rule.hidden.kernel, "hidden_bias": rule.hidden.bias}
        return "head"
    if isinstance(rule, LikelihoodRatio):
        own, cross, constant = rule.ratio
        arrays |= {"mean": rule.mean, "own": own, "cross": cross, "constant": np.array([constant])}
        return "likelihood_ratio"
    return next(name for name, made in _PLAIN.items() if isinstance(rule, made))  # type: ignore[arg-type]


def _rule(name: str, arrays: Mapping[str, np.ndarray]) -> Rule:
    if name == "head":
        hidden = None
        if "hidden_kernel" in arrays:
            hidden = Hidden(arrays["hidden_kernel"], arrays["hidden_bias"])
        last = LinearHead(arrays["kernel"], arrays["bias"])
        return Head(arrays["mean"], arrays["scale"], last, hidden)
    if name == "likelihood_ratio":
        ratio = Ratio(arrays["own"], arrays["cross"], float(arrays["constant"][0]))
        return LikelihoodRatio(arrays["mean"], ratio)
    if name not in _PLAIN:
        raise ValueError("an unknown rule")
    return _PLAIN[name]()
