"""What every source and every split rule must do."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from bench.data.sources import SAMPLE_SIZES, SOURCES, Source, sample_size
from bench.data.split_rules import REGISTERED, RULES, SplitPlan, SplitRule
from bench.data.splits import train_mask
from bench.testing.subjects import subjects

SAMPLED = {name: source for name, source in subjects("source", SOURCES).items() if source.sample}
RULES_HERE = subjects(REGISTERED, RULES)
ALL_SOURCES = subjects("source", SOURCES)


@pytest.mark.parametrize("source", ALL_SOURCES.values(), ids=list(ALL_SOURCES))
def test_functions_of_a_source_exist(source: Source) -> None:
    for place in filter(None, (source.reader, source.sample, source.writer)):
        module, _, name = place.partition(":")
        assert callable(getattr(import_module(module, "bench.data"), name))


@pytest.mark.parametrize("source", SAMPLED.values(), ids=list(SAMPLED))
def test_a_sample_is_the_same_twice_and_its_parts_fit(source: Source) -> None:
    size = SAMPLE_SIZES[0]
    first, again = source.draw(size), source.draw(size)
    assert len(first.items) == len(set(first.items)) > 0
    assert first.items == again.items and first.fingerprint == again.fingerprint
    assert first.columns == again.columns
    assert all(len(column) == len(first.items) for column in first.columns.values())
    assert sample_size(first.source) == size
    image = first.images.read(0)
    assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    np.testing.assert_array_equal(image, again.images.read(0))
    assert len(first.images.content_hashes()) == len(first.items)


@pytest.mark.parametrize("name", RULES_HERE)
def test_a_rule_splits_into_two_sides_and_the_same_way_twice(name: str) -> None:
    rule: SplitRule = RULES[name]
    examples = SOURCES["kaggle-fashion"].draw(SAMPLE_SIZES[0])
    n = len(examples.items)
    parts = ["test" if place % 4 == 0 else "train" for place in range(n)]
    years = [str(2010 + place % 7) for place in range(n)]
    columns = {"parts": tuple(parts), "years": tuple(years)}
    labels = examples.columns["articleType"]
    column = ("parts" if name == "column" else "years") if rule.on_column else ""
    own = type(examples)(examples.items, columns, examples.images, examples.fingerprint, examples.source)
    plan = SplitPlan(name, column, 0.2, 0)
    mask = train_mask(own, labels, plan)
    assert mask.shape == (n,) and mask.dtype == bool and mask.any() and not mask.all()
    np.testing.assert_array_equal(mask, train_mask(own, labels, plan))
