"""A linear head, the loss it was trained with, and the link from its logits to scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class LossSpec:
    """A loss for one head, in numbers only, so that heads with different losses train side by side.

    family: a loss's name in `bench.training.losses.families`. params: that family's numbers.
    offset: (k,) float32 added to the logits during training only (log priors), or None.
    link: how logits become stored scores, `softmax` or `sigmoid`.
    bias: initial value of every class's bias.
    scale: factor of a classifier of cosines, see `bench.training.head`; 0 for a plain linear one.
    margins: (k,) float32, subtracted from the logit of a training row's own class, or None for zeros.
    late: share of the epochs, the last ones, with class weights; 1 for all of them.
    """

    family: str = "softmax"
    params: Mapping[str, float] = field(default_factory=dict)
    offset: np.ndarray | None = None
    link: str = "softmax"
    bias: float = 0.0
    scale: float = 0.0
    margins: np.ndarray | None = None
    late: float = 1.0


@dataclass(frozen=True)
class LinearHead:
    """The last layer: logits = features @ kernel + bias. kernel: (d, k), bias: (k,), float32.

    cuts: (k,) float32, the probability from which an attribute is a yes, None for one half; of one class per
    image, the probability from which a class is in the prediction set, None for no sets. link: how logits
    become probabilities.
    """

    kernel: np.ndarray
    bias: np.ndarray
    cuts: np.ndarray | None = None
    link: str = "softmax"

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 for (n, d) float32."""
        out: np.ndarray = features @ self.kernel + self.bias
        return out


def link(name: str, logits: np.ndarray) -> np.ndarray:
    """Turn (n, k) logits into scores: `softmax` probabilities, or one `sigmoid` per class; float32."""
    import numpy as np

    wide = logits.astype(np.float64)
    if name == "sigmoid":
        return (1.0 / (1.0 + np.exp(-np.clip(wide, -500.0, 500.0)))).astype(np.float32)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)
