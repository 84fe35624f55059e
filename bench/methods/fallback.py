"""Two heads, one on images and one on titles: the second answers where the first is unsure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.training.linear_head import LinearHead, link


@dataclass(frozen=True)
class TwoHeads(LinearHead):
    """A head on the first `images` features, those of images, and one on the rest, those of titles.

    kernel: (d, k), one head's rows above the other's. bias: (k,) of the images' head, title_bias: (k,) of the
    titles'. threshold: the titles' head answers where the images' head gives its likeliest class less than
    this; None: the surer head answers.
    """

    images: int = 0
    title_bias: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    threshold: float | None = 0.0

    def both(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (n, k) logits of the images' head and those of the titles'."""
        one = features[:, : self.images] @ self.kernel[: self.images] + self.bias
        return one, features[:, self.images :] @ self.kernel[self.images :] + self.title_bias

    def falls_back(self, features: np.ndarray) -> np.ndarray:
        """Return (n,) bool: where the titles' head answers."""
        return self._falls_back(*self.both(features))

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Return the (n, k) logits of the head that answers."""
        one, other = self.both(features)
        out: np.ndarray = np.where(self._falls_back(one, other)[:, None], other, one)
        return out

    def _falls_back(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        sure = sureness(self.link, one)
        return sure < (sureness(self.link, other) if self.threshold is None else self.threshold)


def sureness(name: str, logits: np.ndarray) -> np.ndarray:
    """Return (n,) float64, the probability of the likeliest class; name: of the link."""
    sure: np.ndarray = link(name, logits).max(axis=1).astype(np.float64)
    return sure


def two_heads(images: LinearHead, titles: LinearHead, link: str) -> TwoHeads:
    """Return two trained heads as one, on features that stand side by side."""
    kernel = np.concatenate([images.kernel, titles.kernel])
    return TwoHeads(kernel, images.bias, images=len(images.kernel), title_bias=titles.bias, link=link)


def fallback(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Choose on validation when the titles' head answers, see `TwoHeads`. A single head is unchanged.

    by=threshold takes the threshold with the most validation rows right, the lowest of equally good ones: 0
    is never to fall back, 2 always. Raises BenchError for it without validation rows.
    """
    if not isinstance(head, TwoHeads):
        return head, {}
    if args["by"] == "confidence":
        chosen = replace(head, threshold=None)
    elif "threshold" in args:
        return replace(head, threshold=float(args["threshold"])), {}
    elif len(y):
        chosen = replace(head, threshold=_best_threshold(head, features, y))
    else:
        raise BenchError("the threshold of fallback is chosen on validation, which has no images")
    choices: dict[str, Any] = {} if chosen.threshold is None else {"threshold": chosen.threshold}
    if len(y):
        right = chosen.logits(features).argmax(axis=1) == y
        choices |= {
            "fell_back": float(chosen.falls_back(features).mean()),
            "val_top1": float(right.mean()),
        }
    return chosen, choices


NEVER_FALL, ALWAYS_FALL = 0.0, 2.0


def _best_threshold(head: TwoHeads, features: np.ndarray, y: np.ndarray) -> float:
    """Return the threshold with the most rows right, of those between sure rows and at both ends."""
    one, other = head.both(features)
    sure = sureness(head.link, one)
    order = np.argsort(sure, kind="stable")
    sure = sure[order]
    first, second = (answer.argmax(axis=1)[order] == y[order] for answer in (one, other))
    # With the first m rows given to the titles' head, for m = 0 ... n.
    right = np.concatenate([[0], np.cumsum(second)]) + np.concatenate([np.cumsum(first[::-1])[::-1], [0]])
    # A threshold cannot separate rows with equal probability.
    cuttable = np.concatenate([[True], sure[1:] > sure[:-1], [True]])
    best = int(np.argmax(np.where(cuttable, right, -1)))
    if best in (0, len(y)):
        return NEVER_FALL if best == 0 else ALWAYS_FALL
    return float((sure[best - 1] + sure[best]) / 2)
