"""Listings answered as one: three rules against a second computation, and the command on the drawn sample."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from bench.commands.listings_ import command
from bench.compare.paired_bootstrap import own_intervals
from bench.core.errors import BenchError
from bench.core.predictions import Predictions
from bench.data.synthetic.marketplace import marketplace_sample, write_listings
from bench.kinds.multiclass.listings import RULES, listing_level, listing_table
from tests.grids import answers, put


def bench(*args: object) -> Any:
    return CliRunner().invoke(command, [str(arg) for arg in args], standalone_mode=False)


def predictions(scores: Any, truth: Any, groups: tuple[str, ...] | None = None) -> Predictions:
    table = np.asarray(scores, np.float32)
    n, k = table.shape
    return Predictions(
        items=tuple(f"p{i}" for i in range(n)),
        groups=groups,
        truth=np.asarray(truth, np.int32),
        scores=table,
        classes=tuple("abcdefgh"[:k]),
        train_support=np.full(k, 10, np.int64),
    )


def by_hand(pred: Predictions, listings: list[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Rule -> listing -> (truth, answer), photo by photo in plain Python."""
    out: dict[str, dict[str, tuple[int, int]]] = {rule: {} for rule in RULES}
    k = len(pred.classes)
    for name in set(listings):
        rows = [row for row, own in enumerate(listings) if own == name]
        if len({int(pred.truth[row]) for row in rows}) > 1:
            continue
        eps = float(np.finfo(np.float32).eps)
        mean = [
            sum(math.log(min(max(float(pred.scores[row, c]), eps), 1.0)) for row in rows) / len(rows)
            for c in range(k)
        ]
        highest = [max(float(pred.scores[row, c]) for row in rows) for c in range(k)]
        answered = [int(np.argmax(pred.scores[row])) for row in rows]
        votes = [answered.count(c) for c in range(k)]
        for rule, key in (("mean", mean), ("max", highest), ("vote", votes)):
            best = max(range(k), key=lambda c: (key[c], mean[c], -c))
            out[rule][name] = (int(pred.truth[rows[0]]), best)
    return out


@settings(max_examples=60)
@given(st.integers(1, 25), st.integers(2, 5), st.integers(1, 8), st.integers(0, 2**32))
def test_the_rules_are_what_they_say(n: int, k: int, listings: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Listings are small, so that many votes are tied.
    scores = rng.dirichlet(np.ones(k), n)
    own = rng.integers(0, listings, n)
    of_listing = rng.integers(0, k, listings)
    truth = np.where(rng.random(n) < 0.9, of_listing[own], rng.integers(0, k, n))
    pred, names = predictions(scores, truth), [f"l{number}" for number in own]
    found, expected = listing_level(pred, names), by_hand(pred, names)
    for rule in RULES:
        part = found.by_rule[rule]
        answered = part.scores.argmax(axis=1)
        got = {item: (int(t), int(a)) for item, t, a in zip(part.items, part.truth, answered, strict=True)}
        assert got == expected[rule]
        # Places are a full order of the classes.
        assert (np.sort(part.scores, axis=1) == np.arange(1, k + 1)).all()
    kept = set(expected["mean"])
    assert found.left_out == len(set(names)) - len(kept)
    assert found.photos == sum(name in kept for name in names)
    assert found.several == sum(names.count(name) > 1 for name in kept)


def test_the_rules_part_ways_as_worked_out_by_hand() -> None:
    # Two photos lean to a, one is sure of b; class c is nobody's.
    pred = predictions([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.01, 0.98, 0.01]], [0, 0, 0])
    found = listing_level(pred, ["l", "l", "l"])
    answered = {rule: int(part.scores.argmax()) for rule, part in found.by_rule.items()}
    # mean: a = .5 * .5 * .01 = .0025, b = .4 * .4 * .98 = .157. max: b. vote: a, two to one.
    assert answered == {"mean": 1, "max": 1, "vote": 0}


def test_ties_of_vote_and_max_go_by_the_mean() -> None:
    # One photo for a, one for b; both give their own .6, but b's other probability is higher.
    pred = predictions([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3]], [0, 0])
    for rule, part in listing_level(pred, ["l", "l"]).by_rule.items():
        assert part.scores.argmax() == 1, rule
    # Alike in everything: the first class.
    even = predictions([[0.6, 0.4], [0.4, 0.6]], [1, 1])
    assert [int(part.scores.argmax()) for part in listing_level(even, ["l", "l"]).by_rule.values()] == [0] * 3


def test_a_probability_of_nothing_does_not_decide_alone() -> None:
    pred = predictions([[0.0, 1.0], [0.9, 0.1], [0.9, 0.1]], [0, 0, 0])
    mean = listing_level(pred, ["l"] * 3).by_rule["mean"]
    assert np.isfinite(mean.scores).all()
    # log eps = -15.9 weighs more than two photos that are nine to one.
    assert mean.scores.argmax() == 1


def test_photos_that_stand_alone_are_answered_as_they_were() -> None:
    pred = answers(80, 6, 0.6, 1)
    found = listing_level(pred, pred.items)
    for part in found.by_rule.values():
        assert part.items == pred.items and (part.truth == pred.truth).all()
        assert (part.scores.argmax(axis=1) == pred.scores.argmax(axis=1)).all()
    assert found.several == found.left_out == 0


def test_the_order_of_photos_and_the_names_of_listings_do_not_matter() -> None:
    pred = answers(60, 5, 0.6, 4)
    truth = np.repeat(pred.truth[::3], 3)
    pred, names = replace(pred, truth=truth), [f"l{i // 3}" for i in range(60)]
    turned = replace(pred, items=pred.items[::-1], truth=truth[::-1], scores=pred.scores[::-1])
    for rule in RULES:
        first = listing_level(pred, names).by_rule[rule]
        again = listing_level(turned, [f"{name} \x00 x" for name in names[::-1]]).by_rule[rule]
        assert (first.scores.argmax(axis=1) == again.scores.argmax(axis=1)[::-1]).all()


def test_the_table_scores_photos_and_listings_with_intervals() -> None:
    pred = answers(120, 5, 0.6, 2)
    truth = np.repeat(pred.truth[::3], 3)
    rng = np.random.default_rng(0)
    names = [f"l{i // 3}" for i in range(120)]
    groups = tuple(f"s{i // 12}" for i in range(120))
    pred = replace(pred, truth=truth, scores=rng.dirichlet(np.ones(5), 120).astype(np.float32), groups=groups)
    table = listing_table(pred, names, "title")
    photo, *listings = table.rows
    assert photo["items"] == 120 and [row["items"] for row in listings] == [40] * 3
    assert photo["top1"] == np.mean(pred.scores.argmax(axis=1) == truth)
    known = own_intervals("multiclass", pred, ("top1_micro", "f1_macro"))
    assert (photo["top1_low"], photo["top1_high"]) == known["top1_micro"]
    for row, part in zip(listings, listing_level(pred, names).by_rule.values(), strict=True):
        answered = part.scores.argmax(axis=1)
        assert row["top1"] == np.mean(answered == part.truth)
        theirs = f1_score(part.truth, answered, average="macro", labels=np.unique(part.truth))
        assert row["f1"] == pytest.approx(theirs)
        assert row["top1_low"] < row["top1"] < row["top1_high"]
        assert part.groups == tuple(f"s{i // 4}" for i in range(40))


def test_without_groups_photos_of_a_listing_count_as_one() -> None:
    single = answers(60, 4, 0.6, 2)
    rows = np.repeat(np.arange(60), 9)
    items = tuple(map(str, range(540)))
    pred = replace(single, items=items, truth=single.truth[rows], scores=single.scores[rows])
    photo, mean, *_ = listing_table(pred, [f"l{row}" for row in rows], "").rows
    assert photo["top1"] == mean["top1"]
    # Copies of a photo know no more than the photo.
    assert photo["top1_high"] - photo["top1_low"] == pytest.approx(
        mean["top1_high"] - mean["top1_low"], abs=0.03
    )


def test_listings_whose_photos_disagree_are_counted_and_left_out() -> None:
    pred = predictions([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]], [0, 1, 0])
    table = listing_table(pred, ["l", "l", "m"], "")
    assert table.rows[1]["items"] == 1 and any("1 listings are left out" in note for note in table.notes)
    with pytest.raises(BenchError, match="nothing can be scored"):
        listing_table(pred, ["l", "l", "l"], "")


def test_scores_that_are_no_probabilities_are_refused() -> None:
    pred = predictions([[3.0, -1.0]], [0])
    with pytest.raises(BenchError, match="no probabilities"):
        listing_level(pred, ["l"])
    with pytest.raises(ValueError, match="listing ids"):
        listing_level(predictions([[0.5, 0.5]], [0]), ["l", "m"])


# The command


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results on the drawn sample, as if every fourth photo were its test part."""
    place = tmp_path_factory.mktemp("listings")
    drawn = marketplace_sample("tiny")
    columns = drawn.columns
    rows = [row for row in range(len(drawn)) if columns["sender"][row] in ("s0", "s1", "s2", "s3")]
    classes = tuple(sorted(set(columns["category"])))
    truth = np.array([classes.index(columns["category"][row]) for row in rows], np.int32)
    scores = np.random.default_rng(0).dirichlet(np.ones(len(classes)), len(rows)).astype(np.float32)
    pred = Predictions(
        items=tuple(drawn.items[row] for row in rows),
        groups=tuple(columns["sender"][row] for row in rows),
        truth=truth,
        scores=scores,
        classes=classes,
        train_support=np.full(len(classes), 3, np.int64),
    )
    common: dict[str, Any] = {"task": "marketplace", "stage": "all", "source": drawn.source}
    put(place / "good", pred, fingerprint=drawn.fingerprint, **common)
    put(place / "other", pred, fingerprint="0" * 64, **common)
    put(place / "reviewed", pred, fingerprint="0" * 64, protocol={"labels": "reviewed"}, **common)
    listed = replace(pred, groups=tuple(columns["listing"][row] for row in rows))
    put(place / "unsent", listed, fingerprint=drawn.fingerprint, **common)
    put(place / "folder", listed, task="marketplace", source="listings", fingerprint="0" * 64)
    put(place / "alone", replace(pred, groups=None), fingerprint=drawn.fingerprint, **common)
    return place


def cell(place: Path, name: str) -> tuple[str, ...]:
    return (next((place / name).rglob("s*-*")).name, "--results", str(place / name))


def test_a_drawn_sample_tells_its_listings_again(place: Path) -> None:
    done = bench(*cell(place, "good"), "--format", "json")
    assert done.exception is None
    photo, *listings = json.loads(done.stdout)
    drawn = marketplace_sample("tiny").columns
    names = {
        listing
        for listing, sender in zip(drawn["listing"], drawn["sender"], strict=True)
        if sender in ("s0", "s1", "s2", "s3")
    }
    assert {row["items"] for row in listings} == {len(names)} and photo["items"] > len(names)
    assert [row["rule"] for row in listings] == list(RULES)
    reviewed = bench(*cell(place, "reviewed"), "--format", "json")
    assert json.loads(reviewed.stdout) == [photo, *listings], "which photos are of a listing is not reviewed"


def test_where_groups_are_listings_no_data_are_needed(place: Path) -> None:
    by_column = json.loads(bench(*cell(place, "unsent"), "--format", "json").stdout)
    # Nothing but the stored answers: their data cannot be had.
    by_group = json.loads(bench(*cell(place, "folder"), "--by", "group", "--format", "json").stdout)
    assert [{**row, "of": ""} for row in by_group] == [{**row, "of": ""} for row in by_column]
    assert {row["of"] for row in by_group} == {"photo", "group"}


def test_photos_of_a_sender_are_no_listing(place: Path) -> None:
    """A sender sells different things: most have photos of several classes, and are left out."""
    done = bench(*cell(place, "good"), "--by", "group")
    said = str(done.exception) if done.exception else done.stdout
    assert "left out" in said or "nothing can be scored" in said


def test_a_data_folder_is_read_where_it_is_named(place: Path, tmp_path: Path) -> None:
    write_listings(marketplace_sample("tiny"), tmp_path / "d")
    here = ("--data", tmp_path / "d", "--cache", tmp_path / "cache")
    error = bench(*cell(place, "folder"), *here).exception
    assert isinstance(error, BenchError) and "not the data that this cell was run on" in str(error)
    from bench.data.listings import open_listings

    read = open_listings(tmp_path / "d", tmp_path / "cache", ("category",))
    pred = answers(40, 4, 0.5, 1, items=read.items[:40])
    put(tmp_path / "own", pred, task="marketplace", source="listings", fingerprint=read.fingerprint)
    done = bench(*cell(tmp_path, "own"), *here, "--format", "json")
    # Truth at random disagrees within most listings; those of one photo always agree.
    assert done.exception is None and json.loads(done.stdout)[0]["items"] == 40


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("folder", (), "--by group"),
        ("other", (), "not the data"),
        ("good", ("--by", "listng"), "did you mean 'listing'"),
        ("good", ("--by", " "), "--by is empty"),
        ("alone", ("--by", "group"), "has no groups"),
    ],
)
def test_faults_are_one_line(place: Path, name: str, args: tuple[str, ...], says: str) -> None:
    error = bench(*cell(place, name), *args).exception
    assert isinstance(error, BenchError) and says in str(error) and "\n" not in str(error)
