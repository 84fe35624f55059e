"""How the logits of a head become scores."""

from __future__ import annotations

import numpy as np


def link(name: str, logits: np.ndarray) -> np.ndarray:
    """Turn (n, k) logits into scores: `softmax` probabilities, or one `sigmoid` per class; float32."""
    wide = logits.astype(np.float64)
    if name == "sigmoid":
        return (1.0 / (1.0 + np.exp(-np.clip(wide, -500.0, 500.0)))).astype(np.float32)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)
