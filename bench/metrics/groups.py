"""Groups of classes by number of training images: many, medium, few."""

from __future__ import annotations

MANY, FEW = 100, 20
"""Classes with more than MANY training images are `many`, with fewer than FEW `few`, the rest `medium`
(Liu et al. 2019)."""

GROUPS = ("many", "medium", "few")


def group_of(train_support: int) -> str:
    """Return `many`, `medium` or `few` for a number of training images.

    >>> [group_of(n) for n in (101, 100, 20, 19)]
    ['many', 'medium', 'medium', 'few']
    """
    if train_support > MANY:
        return "many"
    return "few" if train_support < FEW else "medium"
