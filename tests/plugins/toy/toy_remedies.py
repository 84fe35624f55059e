"""A plug-in with one thing of each sort, as small as they can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones import registry as backbones
from bench.backbones.info import BackboneInfo
from bench.core import kind
from bench.data import sources, split_rules
from bench.data.examples import Examples
from bench.data.split_rules import SplitPlan, SplitRule
from bench.kinds.multiclass import Multiclass
from bench.methods.registry import Param, Resampled, StepInfo
from bench.methods.registry import register as register_step
from bench.metrics import registry as metrics
from bench.metrics.registry import MetricInfo
from bench.training.linear_head import LinearHead, LossSpec
from bench.training.losses import families
from bench.training.losses.families import Family

HERE = __name__


def cooled(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Divide the logits by a temperature (Guo et al. 2017, section 4.2)."""
    t = np.float32(args["t"])
    return LinearHead(head.kernel / t, head.bias / t), {}


def twice(args: Mapping[str, Any], y: np.ndarray, features: np.ndarray | None, seed: int) -> Resampled:
    """Show every row twice."""
    width = 0 if features is None else features.shape[1]
    rows = np.tile(np.arange(len(y), dtype=np.int64), 2)
    return Resampled(rows, np.zeros((0, width), np.float32), np.zeros(0, np.int32))


def brier(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Return the loss `toy_brier`."""
    return LossSpec(family="toy_brier", params={"scale": args["scale"]})


def toy_brier(logits: Any, labels: Any, scale: Any = 1.0) -> Any:
    """Squared error of softmax probabilities (Brier 1950)."""
    from keras import ops

    truth = ops.one_hot(labels, logits.shape[-1])
    return scale * ops.sum(ops.square(ops.softmax(logits) - truth), axis=-1)


families.register("toy_brier", Family(HERE, ("scale",)))
register_step(
    StepInfo(
        name="toy_cooled",
        stage="posthoc",
        run={"posthoc": f"{HERE}:cooled"},
        summary="divide the logits by a temperature",
        paper="Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599",
        params=(Param("t", float, 2.0, "what logits are divided by", low=0.01, high=100.0),),
    )
)
register_step(
    StepInfo(
        name="toy_twice",
        stage="sampling",
        run={"sampling": f"{HERE}:twice"},
        summary="show every row twice",
        paper="a toy, 2026",
    )
)
register_step(
    StepInfo(
        name="toy_brier",
        stage="loss",
        run={"loss": f"{HERE}:brier"},
        summary="squared error of probabilities",
        paper="Brier 1950, Verification of forecasts expressed in terms of probability",
        params=(Param("scale", float, 1.0, "factor of the loss", low=0.1, high=10.0),),
    )
)


def grid_net(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    """Return a net that gives the mean of each of 4 x 4 fields of an image."""
    import keras

    images = keras.Input(shape)
    fields = keras.layers.AveragePooling2D((shape[0] // 4, shape[1] // 4))(images)
    return keras.Model(images, keras.layers.Flatten()(fields), name=info.name)


backbones.register(
    BackboneInfo(
        name="toy_grid",
        family="toy",
        summary="mean colours of 4 x 4 fields",
        source="plugin",
        builder=f"{HERE}:grid_net",
        input_size=(32, 32),
        min_size=8,
        preprocess="unit",
        features=48,
        parameters=0,
        weights=("random",),
        multiple=4,
    )
)


def sample(size: str) -> Examples:
    """Return the fashion sample under another name."""
    from bench.data.synthetic.fashion import fashion_sample

    return replace(fashion_sample(size), source=f"drawn-toy-{size}")


def opened(data: Path, cache: Path, needed: Sequence[str], follow_links: bool = False) -> Examples:
    """Return the tiny sample, whatever the folder holds."""
    return replace(sample("tiny"), source="toy")


sources.register("toy", sources.Source(f"{HERE}:opened", f"{HERE}:sample"))


def by_turns(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Train on every row but each third one."""
    turns: np.ndarray = np.arange(len(labels)) % 3 != 2
    return turns


split_rules.register("toy_turns", SplitRule(f"{HERE}:by_turns"))

metrics.register(MetricInfo("toy_luck", "luck", "a number that nothing computes", kinds=("toy_kind",)))


class ToyKind(Multiclass):
    """One class per image, by another name."""

    name = "toy_kind"


kind.register("toy_kind", f"{HERE}:ToyKind")
