"""What methods of pairs may consist of, and which pairs are mined."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.kinds.verification.match import match_of
from bench.kinds.verification.similarity.mining import mined_pairs
from bench.methods.grammar import parse_method, problems_for


@pytest.mark.parametrize(
    ("text", "match", "space", "supervision"),
    [
        ("none", "cosine", (), "none"),
        ("l2+whiten+power+center", "cosine", ("power", "center", "whiten", "l2"), "none"),
        ("ssim", "ssim", (), "none"),
        ("joint_bayes", "joint_bayes", ("pca",), "identities"),
        ("joint_bayes(by=pairs)+l2+whiten(dims=9)", "joint_bayes", ("whiten", "l2"), "pairs"),
        ("siamese", "siamese", (), "pairs"),
        ("contrastive+pairs(hard)", "contrastive", (), "identities"),
        ("cosface", "cosface", (), "identities"),
    ],
)
def test_a_method_says_space_match_and_supervision(
    text: str, match: str, space: tuple[str, ...], supervision: str
) -> None:
    shape = match_of(parse_method(text))
    assert (shape.match.name, shape.supervision) == (match, supervision)
    assert tuple(step.name for step in shape.space) == space


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cosine+ssim", "a method compares in one way"),
        ("pca+whiten", "pca and whiten cannot be combined"),
        ("emd+l2", "emd compares pixels, not features"),
        ("joint_bayes(dims=8)+whiten", "whiten already says how many"),
        ("joint_bayes(parts=each)+whiten", r"say whiten\(by=part\)"),
        ("joint_bayes(by=pairs,rounds=3)", "rounds belongs to by=identities"),
        ("cosine+pairs", "pairs needs another step with it: pair_logistic or siamese"),
        ("triplet+pairs", "pairs needs another step with it"),
        ("pair_augment", "pair_augment needs another step with it: .* or triplet"),
        ("siamese+pair_augment(flip,strength=0.7)", "flip has no strength"),
    ],
)
def test_what_makes_no_sense_together_is_refused(text: str, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        parse_method(text)


def test_steps_of_other_kinds_are_not_for_pairs() -> None:
    assert "not for verification" in str(problems_for(parse_method("focal"), "verification", "frozen"))
    assert "not for multiclass" in str(problems_for(parse_method("triplet"), "multiclass", "frozen"))


PEOPLE = tuple(f"p{number}" for number in range(12) for _ in range(4))
PLACE = np.random.default_rng(0).normal(size=len(PEOPLE))
"""Where each photo lies on a line; alike is near."""


def _likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    alike: np.ndarray = -np.abs(PLACE[first] - PLACE[second])
    return alike


def _mined(
    text: str, seed: int = 0, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    step = match_of(parse_method(f"siamese+{text}")).mining
    assert step is not None
    pairs = mined_pairs(step, PEOPLE, np.arange(40) if rows is None else rows, _likeness, seed)
    for one, other, same in zip(pairs.first, pairs.second, pairs.same, strict=True):
        assert one != other and (PEOPLE[one] == PEOPLE[other]) == same
        assert rows is not None or max(one, other) < 40
    return _likeness(pairs.first, pairs.second), pairs.same, np.concatenate([pairs.first, pairs.second])


@pytest.mark.parametrize("mining", ["random", "balanced", "hard", "semi_hard"])
def test_mined_pairs_are_as_many_as_asked_half_of_one_person(mining: str) -> None:
    _, same, photos = _mined(f"pairs({mining},number=11)")
    assert (same.sum(), (~same).sum()) == (6, 5)
    np.testing.assert_array_equal(photos, _mined(f"pairs({mining},number=11)")[2])
    assert not np.array_equal(photos, _mined(f"pairs({mining},number=11)", seed=1)[2])


def test_hard_pairs_are_the_hardest_and_semi_hard_ones_stop_at_the_middle_same_pair() -> None:
    """So many are drawn from that all pairs there are stand to choose."""
    every, same, _ = _mined("pairs(random,number=100000)")
    assert (same.sum(), (~same).sum()) == (10 * 6, 40 * 39 // 2 - 60)
    hard, own, _ = _mined("pairs(hard,number=160)")
    np.testing.assert_allclose(np.sort(hard[own]), np.sort(every[same])[:80])
    np.testing.assert_allclose(np.sort(hard[~own]), np.sort(every[~same])[-80:])
    half, own, _ = _mined("pairs(semi_hard,number=160)")
    allowed = np.sort(every[~same][every[~same] < np.median(every[same])])
    np.testing.assert_allclose(np.sort(half[~own]), allowed[-80:])


def test_balanced_pairs_show_everybody() -> None:
    rows = np.concatenate([np.arange(4) + 4 * person for person in range(10)])
    _, _, photos = _mined("pairs(balanced,number=40)", rows=rows)
    counts = np.bincount(photos // 4, minlength=10)
    assert counts.min() >= counts.max() - 2 and counts.sum() == 80


@pytest.mark.parametrize(
    ("rows", "said"), [(np.arange(3), "there are two people"), (np.array([0, 4, 8]), "two photos")]
)
def test_it_says_what_it_lacks(rows: np.ndarray, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        _mined("pairs", rows=rows)
