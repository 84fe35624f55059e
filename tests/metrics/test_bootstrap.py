"""Corrections of the bootstrap for few units, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.bootstrap import inflation


@pytest.mark.parametrize(
    ("sizes", "factor"),
    [
        ([5], 1.0),
        # P / (P - 1) = 2, leverage 1/2: 1 / (1 - 1/2)^2 = 4.
        ([1, 1], 8.0),
        # Leverage 2/3 counts as 1/2, 1/3 as it is: 2 (2 x 4 + 1 x 9/4) / 3.
        ([2, 1], 2 * (8 + 9 / 4) / 3),
        ([1, 1, 1], 3 / 2 * 9 / 4),
        ([1] * 1000, 1000 / 999 / (1 - 1 / 1000) ** 2),
    ],
)
def test_few_units_inflate_the_variance(sizes: list[int], factor: float) -> None:
    assert inflation(np.array(sizes), sum(sizes)) == pytest.approx(factor)
