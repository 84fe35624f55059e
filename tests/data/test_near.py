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
from bench.data.describe import describe
from bench.data.drawn.market import draw_market
from bench.data.near import SIDE, near_pairs, perceptual_hashes
from bench.data.parts import Parts
from bench.data.pixels import Pixels, ensure_pixels
from bench.paths import search_path
from bench.protocol import defaults
from bench.report.render import render
from tests.data.folders import encoded
from tests.data.test_listings import folder_of, opened

CARD = read_card(find_cards(search_path("tasks"))["marketplace"])


def pixels_of(tmp_path: Path, pictures: dict[str, bytes]) -> Pixels:
    folder = tmp_path / "d"
    table = "image,category\n" + "".join(f"{name},Hat\n" for name in pictures)
    folder_of(folder, table, [])
    for name, data in pictures.items():
        (folder / "images" / f"{name}.jpg").write_bytes(data)
    return ensure_pixels(opened(folder), (SIDE, SIDE), "squash", tmp_path / "cache", lambda *_: None)


def test_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    drawn = draw_market("tiny").images
    own = np.asarray(Image.fromarray(drawn.read(0)).resize((90, 120)))
    half = np.asarray(Image.fromarray(own).resize((45, 60)))
    brighter = np.clip(own.astype(int) + 12, 0, 255).astype(np.uint8)
    found = {
        "a": encoded(own, quality=95),
        "b": encoded(own, quality=40),
        "c": encoded(half),
        "d": encoded(brighter),
        "e": encoded(drawn.read(7)),
        "f": encoded(own[:, ::-1]),
    }
    pixels = pixels_of(tmp_path, found)
    pairs = near_pairs(perceptual_hashes(pixels, np.arange(6)))
    assert {tuple(pair) for pair in pairs.tolist()} == {(i, j) for i in range(4) for j in range(i + 1, 4)}


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
    whole, classes, groups, _ = describe(parts, pixels, parts.mask)
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


def test_twins_with_different_labels_stand_first(drawn: tuple[Parts, Pixels]) -> None:
    parts, pixels = drawn
    tables = {table.title: table for table in describe(parts, pixels, parts.mask)}
    rows = tables["Near twins"].rows
    marked = [bool(row["other"]) for row in rows]
    assert marked == sorted(marked, reverse=True) and marked[0]
    count = next(row["count"] for row in tables["Data"].rows if "different labels" in row["what"])
    assert count == sum(marked)


def test_every_format_renders_and_hostile_names_survive(drawn: tuple[Parts, Pixels]) -> None:
    parts, pixels = drawn
    name = "<script>\u202e|=1+1"
    columns = parts.examples.columns
    renamed = tuple(name if label == "Bag" else label for label in columns["category"])
    examples = replace(parts.examples, columns={**columns, "category": renamed})
    tables = describe(Parts(CARD, examples, defaults()), pixels, parts.mask)
    for fmt in ("table", "csv", "md", "json"):
        texts = [render(table, fmt) for table in tables]
        assert all(texts)
    rows = [row for table in tables for row in json.loads(render(table, "json"))]
    assert any(row.get("class") == name for row in rows)
