"""What every metric and every kind of task must say of itself."""

from __future__ import annotations

import pytest

from bench.core import facets, shown_facets
from bench.core.kind import KINDS, get_kind
from bench.metrics.registry import METRICS, MetricInfo, metrics_of
from bench.testing.subjects import subjects

INFOS = subjects("metric", METRICS)
NAMES = list(subjects("kind", KINDS))
FACETS = {
    "metrics": facets.Metrics,
    "packing": facets.Packing,
    "own_data": facets.OwnData,
    "split": facets.Split,
    "checks": facets.Checks,
    "conditions": facets.Conditions,
    "runner": facets.Runner,
    "tables": shown_facets.Tables,
    "description": shown_facets.Description,
    "sections": shown_facets.Sections,
    "predictor": facets.Predictor,
}


@pytest.mark.parametrize("info", INFOS.values(), ids=list(INFOS))
def test_a_metric_says_what_it_is(info: MetricInfo) -> None:
    assert info.title and info.summary and "\n" not in info.title + info.summary
    assert info.kinds and set(info.kinds) <= set(KINDS)
    assert info.direction in ("higher", "lower")
    assert info.high is None or info.low < info.high
    if info.chance is not None:
        assert info.low <= info.chance and (info.high is None or info.chance <= info.high)


@pytest.mark.parametrize("name", NAMES)
def test_a_kind_has_its_metrics_and_its_facets(name: str) -> None:
    kind = get_kind(name)
    assert kind.name == name and kind.headline
    known = {*metrics_of(name), *metrics_of(kind.steps_of)}
    assert {*kind.headline, kind.selection} <= known
    for facet, protocol in FACETS.items():
        functions = [name for name, value in vars(protocol).items() if name[0] != "_" and callable(value)]
        missing = [function for function in functions if not hasattr(getattr(kind, facet), function)]
        assert not missing, f"{facet} lacks {', '.join(missing)}"
