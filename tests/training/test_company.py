"""A head has the same bits in any company: drawn groups, numbers of classes, kinds of head, optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.core.protocol import OPTIMIZERS
from bench.training import head
from bench.training.fits import Auxiliary, Fit, Mixing, Trained, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.trainer import train_heads

ROWS, ALL = 60, 80

FAMILIES: tuple[tuple[str, dict[str, float]], ...] = (
    ("softmax", {}),
    ("softmax", {"smoothing": 0.1}),
    ("focal", {"gamma": 2.0, "alpha": 1.0}),
    ("sigmoid", {}),
    ("gce", {"q": 0.7}),
    ("sce", {"alpha": 0.1, "beta": 1.0, "log_zero": -4.0}),
    ("soft_bootstrap", {"beta": 0.9}),
    ("elr", {"beta": 0.7, "lam": 3.0}),
    ("co_teaching", {"forget": 0.2, "gradual": 2}),
)


@st.composite
def drawn_fits(draw: st.DrawFn, k: int, auxiliary: Auxiliary) -> list[Fit]:
    """Draw three to seven fits of one kind of head: linear or hidden, of cosines or not, mixed or not."""
    units = draw(st.sampled_from((0, 5, 16)))
    cosine = draw(st.booleans())
    mixing = draw(st.sampled_from((None, None, Mixing("mixup", 0.4))))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    fits = []
    for place in range(draw(st.integers(3, 7))):
        family, params = draw(st.sampled_from(FAMILIES))
        aside: dict[str, Any] = {"auxiliary": auxiliary} if units and place % 2 and not cosine else {}
        if aside and family == "co_teaching":
            family, params = "softmax", {}
        loss = LossSpec(
            family,
            params,
            offset=rng.normal(size=k).astype(np.float32) if draw(st.booleans()) else None,
            scale=8.0 + place if cosine else 0.0,
            margins=rng.random(k).astype(np.float32) if cosine else None,
        )
        weights = rng.random(k).astype(np.float32) + 0.1 if draw(st.booleans()) else None
        fits.append(
            Fit(
                *(np.arange(ROWS), np.arange(ROWS, ALL), loss, weights, draw(st.integers(0, 1)), 2),
                row_weights=rng.random(ROWS).astype(np.float32) if draw(st.booleans()) else None,
                units=units,
                mixing=mixing,
                **aside,
            )
        )
    return fits


def _bits(trained: Trained) -> bytes:
    assert trained.head is not None, trained.failed
    below = () if trained.hidden is None else (trained.hidden.kernel, trained.hidden.bias)
    arrays = (trained.head.kernel, trained.head.bias, *below)
    return b"".join(array.tobytes() for array in arrays) + repr(trained.history).encode()


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bits_do_not_depend_on_the_company(data: st.DataObject, fused: bool) -> None:
    k = data.draw(st.sampled_from((2, 3, 7, 8, 20, 41, 333, 1000)))
    d = data.draw(st.sampled_from((3, 33, 256)))
    setting = TrainSetting(
        data.draw(st.sampled_from((7, 32, 128))), 0.01, data.draw(st.sampled_from(OPTIMIZERS)), l2=0.01
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ALL, d)).astype(np.float32)
    y = rng.integers(0, k, ALL).astype(np.int32)
    auxiliary = Auxiliary(rng.integers(-1, 3, (ROWS, 2)).astype(np.int32), (3, 3), 0.7, 0.3)
    fits = data.draw(drawn_fits(k, auxiliary))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(head, "FUSED", 0.0 if fused else float("inf"))
        together = [_bits(one) for one in train_heads(x, y, k, fits, setting)]
        backwards = [_bits(one) for one in train_heads(x, y, k, fits[::-1], setting)][::-1]
        assert backwards == together
        for place in data.draw(st.lists(st.integers(0, len(fits) - 1), min_size=1, max_size=2, unique=True)):
            assert _bits(train_heads(x, y, k, [fits[place]], setting)[0]) == together[place]
