"""Near twins: copies that were rescaled, recompressed or lit otherwise are found, others are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from bench.cards import find_cards, read_card
from bench.data.describe import View, describe
from bench.data.describe_attributes import pair_counts, phi
from bench.data.drawn.market import draw_market
from bench.data.drawn.wardrobe import draw_wardrobe
from bench.data.examples import Examples
from bench.data.near import SIDE, near_pairs, near_twins, perceptual_hashes
from bench.data.parts import Parts
from bench.data.pixels import Pixels, ensure_pixels
from bench.paths import search_path
from bench.protocol import defaults
from bench.report.render import render
from tests.data.folders import encoded
from tests.data.test_listings import folder_of, opened

CARD = read_card(find_cards(search_path("tasks"))["marketplace"])


def written(tmp_path: Path, pictures: dict[str, bytes], labels: str = "") -> tuple[Examples, Pixels]:
    """A folder of these pictures, each a Hat unless `labels` has its category's first letter."""
    folder = tmp_path / "d"
    names = {"H": "Hat", "B": "Bag", "S": "Shoes"}
    lines = [
        f"{name},{names[own]}\n" for name, own in zip(pictures, labels or "H" * len(pictures), strict=True)
    ]
    folder_of(folder, "image,category\n" + "".join(lines), [])
    for name, data in pictures.items():
        (folder / "images" / f"{name}.jpg").write_bytes(data)
    examples = opened(folder)
    return examples, ensure_pixels(examples, (SIDE, SIDE), "squash", tmp_path / "cache", lambda *_: None)


def pixels_of(tmp_path: Path, pictures: dict[str, bytes]) -> Pixels:
    return written(tmp_path, pictures)[1]


def copies() -> dict[str, bytes]:
    """Four copies of one picture, as a shop might come by them, another one, and one that is mirrored."""
    drawn = draw_market("tiny").images
    own = np.asarray(Image.fromarray(drawn.read(0)).resize((90, 120)))
    half = np.asarray(Image.fromarray(own).resize((45, 60)))
    brighter = np.clip(own.astype(int) + 12, 0, 255).astype(np.uint8)
    return {
        "a": encoded(own, quality=95),
        "b": encoded(own, quality=40),
        "c": encoded(half),
        "d": encoded(brighter),
        "e": encoded(drawn.read(7)),
        "f": encoded(own[:, ::-1]),
    }


def test_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    pixels = pixels_of(tmp_path, copies())
    expected = {(i, j) for i in range(4) for j in range(i + 1, 4)}
    for find in (near_twins, lambda *where: near_pairs(perceptual_hashes(*where))):
        assert {tuple(pair) for pair in find(pixels, np.arange(6)).tolist()} == expected
    some = near_twins(pixels, np.array([5, 3, 1]))
    assert some.tolist() == [[1, 2]], "places in the rows that were asked for"


def test_pictures_with_one_hash_are_no_twins_unless_their_colours_go_together(tmp_path: Path) -> None:
    own = np.asarray(Image.fromarray(draw_market("tiny").images.read(0)).resize((90, 120)).convert("L"))
    grey = np.repeat((own[:, :, None] // 3 + 90).astype(float), 3, axis=2)
    # More red and less green where it is dark: the same brightness, which is all that a hash looks at.
    tinted = grey + (own < own.mean())[:, :, None] * np.array([60.0, -60 * 0.299 / 0.587, 0.0])
    found = {
        name: encoded(image.astype(np.uint8), quality=98) for name, image in (("a", grey), ("b", tinted))
    }
    pixels = pixels_of(tmp_path, found)
    rows = np.arange(2)
    images = pixels.read(rows).reshape(2, -1).astype(float)
    assert np.corrcoef(images)[0, 1] < 0.98
    assert len(near_pairs(perceptual_hashes(pixels, rows))) == 1
    assert len(near_twins(pixels, rows)) == 0


def test_rows_of_which_none_are_twins(tmp_path: Path) -> None:
    pixels = pixels_of(tmp_path, {"a": copies()["a"]})
    assert near_twins(pixels, np.arange(1)).shape == (0, 2) == near_twins(pixels, np.arange(0)).shape


def test_blank_pictures_are_nobodys_twins(tmp_path: Path) -> None:
    blank = {str(level): encoded(np.full((20, 20, 3), level, np.uint8)) for level in (0, 120, 255)}
    assert len(near_pairs(perceptual_hashes(pixels_of(tmp_path, blank), np.arange(3)))) == 0


@given(arrays(bool, st.tuples(st.integers(0, 30), st.just(64))), st.integers(0, 30))
@settings(max_examples=60)
def test_pairs_are_those_a_count_of_bits_gives(hashes: np.ndarray, most: int) -> None:
    bits = hashes.sum(axis=1)
    pattern = np.minimum(bits, 64 - bits) > most
    expected = [
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if pattern[i] and pattern[j] and (hashes[i] != hashes[j]).sum() <= most
    ]
    assert [tuple(pair) for pair in near_pairs(hashes, most).tolist()] == expected


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Pixels]:
    examples = draw_market("small")
    cache = tmp_path_factory.mktemp("cache")
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", cache, lambda *_: None)
    return Parts(CARD, examples, defaults()), pixels


def test_the_description_counts_what_is_there(drawn: tuple[Parts, Pixels]) -> None:
    parts, pixels = drawn
    whole, classes, groups = describe(View(parts, pixels, parts.mask))
    figures = {row["what"]: row["count"] for row in whole.rows}
    labels = parts.examples.columns["category"]
    assert figures["images that decode"] == figures["of these with a label"] == len(labels)
    assert figures["classes"] == len(set(labels)) == len(classes.rows)
    assert figures["of these in train"] == parts.mask.sum() == sum(row["train"] for row in classes.rows)
    for row in classes.rows:
        own = [number for number, label in enumerate(labels) if label == row["class"]]
        assert row["images"] == len(own)
        prices = [float(parts.examples.columns["price"][number] or "nan") for number in own]
        assert float(row["median"]) == pytest.approx(np.nanmedian(prices), abs=0.006)
        assert row["groups"] == len({parts.examples.columns["sender"][number] for number in own})
    listings = [row for row in groups.rows if row["of"] == "listing"]
    assert sum(row["count"] for row in listings) == len(set(parts.examples.columns["listing"]))
    assert sum(int(row["photos"]) * row["count"] for row in listings) == len(labels)


def test_twins_with_different_labels_stand_first(tmp_path: Path) -> None:
    examples, pixels = written(tmp_path, copies(), "HHBHSS")
    train = np.array([True, True, True, False, True, True])
    tables = {
        table.title: table for table in describe(View(Parts(CARD, examples, defaults()), pixels, train))
    }
    rows = tables["Near twins"].rows
    assert [(row["one"], row["two"], row["label"], row["other"], row["sides"]) for row in rows] == [
        ("c", "d", "Bag", "Hat", "train and test"),
        ("a", "c", "Hat", "Bag", ""),
        ("b", "c", "Hat", "Bag", ""),
        ("a", "d", "Hat", "", "train and test"),
        ("b", "d", "Hat", "", "train and test"),
        ("a", "b", "Hat", "", ""),
    ]
    figures = {row["what"]: row["count"] for row in tables["Data"].rows}
    assert figures["of these with different labels"] == figures["of these in train and in test"] == 3


def test_every_format_renders_and_hostile_names_survive(drawn: tuple[Parts, Pixels]) -> None:
    parts, pixels = drawn
    name = "<script>\u202e|=1+1"
    columns = parts.examples.columns
    renamed = tuple(name if label == "Bag" else label for label in columns["category"])
    examples = replace(parts.examples, columns={**columns, "category": renamed})
    tables = describe(View(Parts(CARD, examples, defaults()), pixels, parts.mask))
    for fmt in ("table", "csv", "md", "json"):
        texts = [render(table, fmt) for table in tables]
        assert all(texts)
    rows = [row for table in tables for row in json.loads(render(table, "json"))]
    assert any(row.get("class") == name for row in rows)


@given(arrays(np.int8, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(-1, 1).map(np.int8)))
@settings(max_examples=60)
def test_phi_is_the_correlation_over_rows_that_know_both(table: np.ndarray) -> None:
    counts, strength = pair_counts(table), phi(pair_counts(table))
    for i, j in ((0, 1), (0, 2), (1, 2), (2, 0)):
        rows = table[(table[:, i] >= 0) & (table[:, j] >= 0)]
        one, two = rows[:, i], rows[:, j]
        for a in (0, 1):
            for b in (0, 1):
                assert counts[a, b, i, j] == ((one == a) & (two == b)).sum()
        if len(set(one.tolist())) == 2 == len(set(two.tolist())):
            assert strength[i, j] == pytest.approx(np.corrcoef(one, two)[0, 1])
        else:
            assert np.isnan(strength[i, j])


def test_attributes_are_described_one_by_one_and_two_by_two(tmp_path: Path) -> None:
    card = read_card(find_cards(search_path("tasks"))["multilabel"])
    examples = draw_wardrobe("tiny")
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", tmp_path, lambda *_: None)
    setting = {**defaults(), "hide": "random", "hide_rate": 0.5}
    for parts in (Parts(card, examples, defaults()), Parts(card, examples, setting)):
        tables = {table.title: table for table in describe(View(parts, pixels, parts.mask))}
        assert list(tables) == ["Data", "Attributes", "Attributes together", "Unknown labels of one image"]
        figures = {row["what"]: row["count"] for row in tables["Data"].rows}
        assert figures["labels in all"] == 800 and figures["attributes"] == 8
        # Every unknown label of the sample has an answer.
        assert figures["unknown labels"] == figures["of these with a known truth"] == (parts.table < 0).sum()
        for place, row in enumerate(tables["Attributes"].rows):
            cells, answers = parts.table[:, place], examples.answers[examples.attributes[place]]
            assert (row["yes"], row["no"]) == ((cells == 1).sum(), (cells == 0).sum())
            assert row["yes"] + row["no"] + row["unknown"] == 100 and row["train"] + row["test"] == row["yes"]
            untold = [answer for answer, cell in zip(answers, cells, strict=True) if cell < 0]
            # A pair of the sample disagrees on one label, so that one hidden label may not be the answer.
            assert row["truth"] * len(untold) == pytest.approx(untold.count("1"), abs=1.01)
        pairs = tables["Attributes together"].rows
        assert len(pairs) == 28 and pairs[0]["known"] <= 100
        strengths = [abs(row["phi"]) for row in pairs if row["phi"] is not None]
        assert strengths == sorted(strengths, reverse=True)
        unknown = tables["Unknown labels of one image"].rows
        assert sum(row["images"] for row in unknown) == 100
        assert sum(row["images"] * row["unknown"] for row in unknown) == figures["unknown labels"]
        for fmt in ("table", "csv", "md", "json"):
            assert all(render(table, fmt) for table in tables.values())
