"""The table of metrics is complete, and says what it must of each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.core.errors import BenchError
from bench.core.kind import KINDS, get_kind
from bench.metrics.registry import COUNTS, METRICS, MetricInfo, get_metric, metrics_of, register


@pytest.mark.parametrize("info", METRICS.values(), ids=list(METRICS))
def test_every_metric_is_described(info: MetricInfo) -> None:
    assert info.name == info.name.lower() and info.name.replace("_", "").isalnum()
    assert info.title and info.summary and (info.title != info.name or "_" not in info.name)
    assert info.direction in ("higher", "lower")
    assert info.best is not None
    if info.chance is not None:
        assert info.low <= info.chance <= (info.high or info.chance)


@pytest.mark.parametrize("info", METRICS.values(), ids=list(METRICS))
def test_every_metric_is_some_kinds(info: MetricInfo) -> None:
    assert info.kinds and set(info.kinds) <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_chooses_by_is_its_own(kind: str) -> None:
    assert {*get_kind(kind).headline, get_kind(kind).selection} <= set(metrics_of(kind)) <= set(METRICS)


def test_no_kind_has_no_metrics() -> None:
    assert metrics_of("no such kind") == ()


def test_titles_tell_metrics_apart() -> None:
    assert len({info.title for info in METRICS.values()}) == len(METRICS)


def test_counts_are_no_metrics() -> None:
    assert not set(COUNTS) & set(METRICS)


def test_better_follows_the_direction() -> None:
    higher, lower = METRICS["top1_micro"], METRICS["log_loss"]
    assert higher.better(0.6, 0.5) and not higher.better(0.5, 0.6)
    assert lower.better(0.5, 0.6) and not lower.better(0.6, 0.5)


@pytest.mark.parametrize("info", METRICS.values(), ids=list(METRICS))
def test_undefined_never_wins(info: MetricInfo) -> None:
    assert info.better(0.5, None)
    assert not info.better(None, 0.5)
    assert not info.better(None, None)
    assert not info.better(0.5, 0.5)


def test_unknown_name_names_the_nearest() -> None:
    assert get_metric("f1_macro") is METRICS["f1_macro"]
    with pytest.raises(BenchError, match="did you mean 'top1_macro'"):
        get_metric("top1_makro")


def test_a_name_cannot_be_taken_twice() -> None:
    for name in ("top1_micro", "n"):
        with pytest.raises(ValueError, match="twice"):
            register(MetricInfo(name, "again", "the same"))


def test_reading_the_table_needs_no_numpy() -> None:
    code = "import sys, bench.metrics.registry; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
