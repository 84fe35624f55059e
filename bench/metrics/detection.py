"""Detection of wrong labels, scored by the known truth."""

from __future__ import annotations

import numpy as np


def detection(wrong: np.ndarray, suspect: np.ndarray, doubt: np.ndarray) -> dict[str, float | int | None]:
    """Return metrics of the suspects and of their ranking; None where undefined.

    wrong: (n,) bool, the truth. suspect: (n,) bool, the answer. doubt: (n,), higher is more doubtful.
    `auprc` is the average precision; its chance value is the share of wrong labels (`wrong` / `n`).
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    hits, found, true = int((wrong & suspect).sum()), int(suspect.sum()), int(wrong.sum())
    both = 0 < true < len(wrong)
    return {
        "n": len(wrong),
        "wrong": true,
        "suspect": found,
        "hits": hits,
        "precision": hits / found if found else None,
        "recall": hits / true if true else None,
        "f1": 2 * hits / (found + true) if found + true else None,
        "auprc": float(average_precision_score(wrong, doubt)) if both else None,
        "auroc": float(roc_auc_score(wrong, doubt)) if both else None,
    }
