"""What card and protocol make of examples: labels, split, groups, noise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.core.paths import search_path
from bench.core.protocol import defaults
from bench.data.corrections import Suspect, corrected, write_suspects
from bench.data.examples import Examples
from bench.data.labels import KEYS, Parts
from bench.data.synthetic.marketplace import marketplace_sample
from bench.data.task_card import Stage, find_cards, read_card
from bench.kinds.multiclass.split import split

CARD = read_card(find_cards(search_path("tasks"))["marketplace"])
EXAMPLES = marketplace_sample("small")


def parts(examples: Examples = EXAMPLES, **setting: Any) -> Parts:
    return Parts(CARD, examples, {**defaults(), **setting})


def test_the_keys_are_protocol_keys() -> None:
    assert set(KEYS) <= set(defaults())


def test_no_sender_is_on_two_sides_and_classes_keep_their_shares() -> None:
    found = parts()
    groups = np.array(EXAMPLES.columns["group"])
    assert not set(groups[found.train]) & set(groups[~found.train])
    assert 0.15 < np.mean(~found.train) < 0.25
    assert found.units == found.groups == EXAMPLES.columns["group"]
    labels = np.array(found.labels)
    for name in ("T-Shirt", "Shoes"):
        assert abs(np.mean(labels[found.train] == name) - np.mean(labels[~found.train] == name)) < 0.06


def test_stratified_parts_senders_and_says_so_in_the_intervals() -> None:
    found = parts(split="stratified")
    groups = np.array(EXAMPLES.columns["group"])
    assert set(groups[found.train]) & set(groups[~found.train])
    assert found.units is None and found.groups == EXAMPLES.columns["group"]
    labels = np.array(found.labels)
    for name in set(labels):
        assert abs((~found.train)[labels == name].sum() - (labels == name).sum() / 5) < 1


def test_another_seed_and_another_share_test_others() -> None:
    base, other, half = parts(), parts(split_seed=1), parts(test_fraction=0.5)
    assert (base.train != other.train).any()
    assert 0.45 < np.mean(~half.train) < 0.55
    assert (parts().train == base.train).all()


def test_listings_can_be_kept_together_instead_of_senders() -> None:
    found = parts(split_column="listing")
    listings, senders = (np.array(EXAMPLES.columns[name]) for name in ("listing", "sender"))
    assert not set(listings[found.train]) & set(listings[~found.train])
    assert set(senders[found.train]) & set(senders[~found.train])


def test_what_is_no_class_has_no_label_and_does_not_count() -> None:
    labels = ("Other", "Skip", *EXAMPLES.columns["category"][2:])
    examples = replace(EXAMPLES, columns={**EXAMPLES.columns, "category": labels})
    found = parts(examples, noise="uniform", noise_rate=0.3)
    assert found.given[:2] == found.labels[:2] == ("", "")
    assert found.given[2:] == EXAMPLES.columns["category"][2:]


def test_noise_is_planted_into_train_alone() -> None:
    found = parts(noise="uniform", noise_rate=0.2)
    changed = np.array(found.labels) != np.array(found.given)
    assert not changed[~found.train].any()
    assert changed.sum() == round(0.2 * found.train.sum())
    assert (parts().train == found.train).all(), "noise does not move the split"
    again = parts(noise="uniform", noise_rate=0.2, noise_seed=1)
    assert again.labels != found.labels


@pytest.mark.parametrize("first, last", [(0, 5), (5, None), (0, None)])
def test_noise_changes_neither_the_classes_nor_the_test_images_of_a_stage(
    first: int, last: int | None
) -> None:
    stage, ok = Stage("some", first, last), np.ones(len(EXAMPLES), bool)
    clean, noisy = (
        split(found, found.setting, ok, stage, seed=0)
        for found in (parts(), parts(noise="uniform", noise_rate=0.6, noise_seed=3))
    )
    assert {*clean.classes} == {*noisy.classes} and clean.classes != noisy.classes
    assert clean.test.tolist() == noisy.test.tolist()


def test_photos_without_a_group_stand_alone() -> None:
    blank = replace(EXAMPLES, columns={**EXAMPLES.columns, "group": ("",) * len(EXAMPLES)})
    found = parts(blank)
    assert found.groups is not None and len(set(found.groups)) == len(EXAMPLES)
    assert 0.15 < np.mean(~found.train) < 0.25


def test_too_few_groups_or_no_such_column_is_one_line() -> None:
    few = replace(EXAMPLES, columns={**EXAMPLES.columns, "group": ("one",) * len(EXAMPLES)})
    with pytest.raises(DataError, match="fewer groups in column 'group'"):
        _ = parts(few).train
    with pytest.raises(DataError, match="no column 'sendr'.*did you mean 'sender'"):
        _ = parts(split_column="sendr").train


def test_reviewed_labels_do_not_move_photos_between_train_and_test(tmp_path: Path) -> None:
    before = parts()
    others = sorted(set(EXAMPLES.columns["category"]))
    rng = np.random.default_rng(0)
    suspects = []
    for row in rng.permutation(len(EXAMPLES))[:80].tolist():
        given = EXAMPLES.columns["category"][row]
        new = others[int(rng.integers(len(others)))]
        suspects.append(Suspect(EXAMPLES.items[row], given, new, 0.1, "", ""))
    write_suspects(tmp_path / "review.csv", suspects)
    after = parts(corrected(EXAMPLES, "category", tmp_path / "review.csv"))
    assert after.labels != before.labels
    assert (after.train == before.train).all()
    split = parts(corrected(EXAMPLES, "category", tmp_path / "review.csv"), split="stratified")
    assert (split.train == parts(split="stratified").train).all()


def test_photos_without_a_label_go_with_their_sender() -> None:
    labels = tuple(
        "Skip" if row % 7 == 0 else label for row, label in enumerate(EXAMPLES.columns["category"])
    )
    examples = replace(EXAMPLES, columns={**EXAMPLES.columns, "category": labels})
    found = parts(examples)
    groups = np.array(EXAMPLES.columns["group"])
    assert not set(groups[found.train]) & set(groups[~found.train])


@pytest.mark.parametrize("rule", ["grouped", "stratified"])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.35, 0.4, 0.45])
def test_the_fraction_that_tests_is_the_one_asked_for(rule: str, share: float) -> None:
    tests = np.mean(~parts(split=rule, test_fraction=share).train)
    assert abs(tests - share) < (0.01 if rule == "stratified" else 0.04)
