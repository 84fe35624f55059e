"""Near duplicates: copies that were rescaled, recompressed or lit otherwise are found, others are not."""

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

from bench.core.paths import search_path
from bench.core.protocol import defaults
from bench.data import near_duplicates, phash
from bench.data.examples import Examples
from bench.data.labels import Parts
from bench.data.near_duplicate_cache import ensure_near_duplicates
from bench.data.near_duplicates import SIDE, near_duplicate_pairs
from bench.data.phash import MIRROR, HashIndex, perceptual_hashes, tangents
from bench.data.pixels import Pixels, ensure_pixels
from bench.data.synthetic.marketplace import marketplace_sample
from bench.data.synthetic.multilabel import multilabel_sample
from bench.data.task_card import find_cards, read_card
from bench.kinds.multilabel.attribute_tables import pair_counts, phi
from bench.report.data.tables import DataView, describe
from bench.report.render import render
from tests.data.folders import encoded
from tests.data.test_listings import folder_of, opened

NONE = np.empty((0, 2), np.int64)
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


def photo(number: int = 4) -> Image.Image:
    """A drawn photograph, 200 by 160 pixels."""
    return Image.fromarray(marketplace_sample("tiny").images.read(number)).resize(
        (160, 200), Image.Resampling.BICUBIC
    )


def copies() -> dict[str, bytes]:
    """Four copies of one picture, as a shop might come by them, another one, and one that is mirrored."""
    own = np.asarray(photo())
    half = np.asarray(photo().resize((80, 100)))
    brighter = np.clip(own.astype(int) + 8, 0, 255).astype(np.uint8)
    return {
        "a": encoded(own, quality=95),
        "b": encoded(own, quality=70),
        "c": encoded(half),
        "d": encoded(brighter),
        "e": encoded(np.asarray(photo(7))),
        "f": encoded(own[:, ::-1]),
    }


def test_copies_are_found_mirrored_ones_too_and_others_are_not(tmp_path: Path) -> None:
    pixels = pixels_of(tmp_path, copies())
    same = [0, 1, 2, 3, 5]
    expected = {(i, j) for place, i in enumerate(same) for j in same[place + 1 :]}
    assert {tuple(pair) for pair in near_duplicate_pairs(pixels, np.arange(6)).tolist()} == expected
    some = near_duplicate_pairs(pixels, np.array([4, 3, 1]))
    assert some.tolist() == [[1, 2]], "places in the rows that were asked for"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("ends", [(2, 2, 2, 2), (4, 4, 4, 4), (6, 6, 6, 6), (2, 5, 3, 2)])
def test_cropped_copies_are_found(tmp_path: Path, ends: tuple[int, ...], mirrored: bool) -> None:
    pictures: dict[str, bytes] = {}
    for number in range(12):
        own = photo(number)
        left, top, right, bottom = (
            round(share / 100 * side) for share, side in zip(ends, own.size * 2, strict=True)
        )
        small = own.crop((left, top, own.width - right, own.height - bottom))
        if mirrored:
            small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pictures |= {f"{number:02}a": encoded(np.asarray(own)), f"{number:02}b": encoded(np.asarray(small))}
    found = {
        tuple(pair) for pair in near_duplicate_pairs(pixels_of(tmp_path, pictures), np.arange(24)).tolist()
    }
    wanted = {(2 * number, 2 * number + 1) for number in range(12)}
    assert found <= wanted, "twelve photos show twelve things"
    assert len(found) >= 11


def test_another_colour_of_the_same_shape_is_another_picture(tmp_path: Path) -> None:
    own = np.asarray(photo().convert("L"))
    grey = np.repeat((own[:, :, None] // 3 + 90).astype(float), 3, axis=2)
    # More red and less green where it is dark: the same brightness, which is all that a hash looks at.
    tinted = grey + (own < own.mean())[:, :, None] * np.array([60.0, -60 * 0.299 / 0.587, 0.0])
    found = {
        name: encoded(image.astype(np.uint8), quality=98) for name, image in (("a", grey), ("b", tinted))
    }
    pixels = pixels_of(tmp_path, found)
    hashes = hashes_of(pixels)
    assert (hashes[0] != hashes[1]).sum() <= 4
    assert len(near_duplicate_pairs(pixels, np.arange(2))) == 0


def test_a_small_part_of_the_picture_may_not_be_another(tmp_path: Path) -> None:
    changed = np.asarray(photo()).copy()
    changed[80:120, 60:100] = np.asarray(photo(7))[80:120, 60:100]
    pixels = pixels_of(tmp_path, {"a": encoded(np.asarray(photo())), "b": encoded(changed)})
    assert len(near_duplicate_pairs(pixels, np.arange(2))) == 0


def hashes_of(pixels: Pixels) -> np.ndarray:
    grey = near_duplicates._grey(pixels, np.arange(len(pixels)), lambda *_: None)
    return perceptual_hashes(tangents(grey, 1.0)[:, 0])


def test_hashes_are_those_of_imagehash(tmp_path: Path) -> None:
    imagehash = pytest.importorskip("imagehash")
    pixels = pixels_of(tmp_path, {f"{k:02}": encoded(np.asarray(photo(k))) for k in range(30)})
    grey = near_duplicates._grey(pixels, np.arange(30), lambda *_: None)
    for images in (grey, grey[:, :, ::-1]):
        own = tangents(grey, 1.0)[:, 0] * (MIRROR if images is not grey else 1)
        theirs = [
            imagehash.phash(Image.fromarray(np.ascontiguousarray(image))).hash.ravel() for image in images
        ]
        # A frequency that is the median but for rounding may fall on either side of it.
        assert (perceptual_hashes(own) != np.array(theirs)).mean() < 0.002


def test_rows_without_near_duplicates(tmp_path: Path) -> None:
    pixels = pixels_of(tmp_path, {"a": copies()["a"]})
    assert (
        near_duplicate_pairs(pixels, np.arange(1)).shape
        == (0, 2)
        == near_duplicate_pairs(pixels, np.arange(0)).shape
    )


def test_blank_pictures_have_no_near_duplicates(tmp_path: Path) -> None:
    blank = {
        f"{level}{k}": encoded(np.full((20, 20 + k, 3), level, np.uint8))
        for level in (0, 255)
        for k in (0, 1)
    }
    assert len(near_duplicate_pairs(pixels_of(tmp_path, blank), np.arange(4))) == 0


@given(arrays(bool, st.tuples(st.integers(1, 30), st.just(64))), st.integers(0, 14))
@settings(max_examples=60)
def test_an_index_finds_what_comparing_all_finds_in_a_band(hashes: np.ndarray, max_distance: int) -> None:
    differ = hashes[:, None] != hashes[None]
    by_band = differ.reshape(len(hashes), len(hashes), 4, 16).sum(axis=3)
    expected = (differ.sum(axis=2) <= max_distance) & (by_band.min(axis=2) <= 1)
    found = np.zeros_like(expected)
    for one, two in HashIndex(hashes).near(hashes, max_distance):
        found[one, two] = True
    assert np.array_equal(found, expected)


def test_an_index_is_read_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.random.default_rng(0).random((50, 64)) < 0.02
    whole = {(a, b) for one, two in HashIndex(hashes).near(hashes) for a, b in zip(one, two, strict=True)}
    monkeypatch.setattr(phash, "_ENOUGH", 7)
    parts = [(len(one), set(zip(one, two, strict=True))) for one, two in HashIndex(hashes).near(hashes)]
    assert set().union(*(pairs for _, pairs in parts)) == whole and max(size for size, _ in parts) <= 7 + 50


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Parts, Pixels]:
    examples = marketplace_sample("small")
    cache = tmp_path_factory.mktemp("cache")
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", cache, lambda *_: None)
    return Parts(CARD, examples, defaults()), pixels


def test_the_description_counts_what_is_there(drawn: tuple[Parts, Pixels]) -> None:
    parts, pixels = drawn
    whole, classes, groups = describe(DataView(parts, pixels, parts.mask, NONE))
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


def test_near_duplicates_with_different_labels_come_first(tmp_path: Path) -> None:
    upright = {name: data for name, data in copies().items() if name != "f"}
    examples, pixels = written(tmp_path, upright, "HHBHS")
    train = np.array([True, True, True, False, True])
    found = ensure_near_duplicates(examples, tmp_path / "cache")
    view = DataView(Parts(CARD, examples, defaults()), pixels, train, found)
    tables = {table.title: table for table in describe(view)}
    rows = tables["Near duplicates"].rows
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
    tables = describe(DataView(Parts(CARD, examples, defaults()), pixels, parts.mask, NONE))
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
    examples = multilabel_sample("tiny")
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", tmp_path, lambda *_: None)
    setting = {**defaults(), "hide": "random", "hide_rate": 0.5}
    for parts in (Parts(card, examples, defaults()), Parts(card, examples, setting)):
        tables = {table.title: table for table in describe(DataView(parts, pixels, parts.mask, NONE))}
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
