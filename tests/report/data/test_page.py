"""`bench data describe --out`: one page that is whole by itself, safe, and says what the data hold."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.core.plotting import DARK, LIGHT, rendered
from bench.core.protocol import defaults
from bench.core.table import Table
from bench.data.corrections import Suspect
from bench.data.labels import Parts
from bench.data.near_duplicate_cache import ensure_near_duplicates
from bench.data.near_duplicates import SIDE
from bench.data.pixels import ensure_pixels
from bench.data.synthetic.marketplace import marketplace_sample
from bench.report.data.contact_sheet import suspect_texts, write_sheet
from bench.report.data.page import SUSPECTS, describe_page
from bench.report.data.plots import Prices, bars, boxes, sizes
from bench.report.data.suspects import Judged
from bench.report.data.tables import DataView, describe
from bench.report.html import write_page
from bench.report.page import Figure, Gallery, Page, Section
from tests.data.folders import encoded, picture
from tests.data.test_listings import folder_of, opened
from tests.data.test_near_duplicates import CARD
from tests.report.pages import Seen

EVIL = "<img src=x onerror=alert(1)>"


def bench(*args: object) -> Any:
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def view_of(folder: Path) -> DataView:
    examples = opened(folder)
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", folder.parent / "cache", lambda *_: None)
    parts = Parts(CARD, examples, defaults())
    near = ensure_near_duplicates(examples, folder.parent / "cache")
    return DataView(parts, pixels, np.arange(len(examples)) % 2 == 0, near)


def sections(page: Page) -> dict[str, Section]:
    return {section.title: section for section in page.sections}


def only(section: Section, kind: type) -> Any:
    [block] = [block for block in section.blocks if isinstance(block, kind)]
    return block


@pytest.fixture
def listings(tmp_path: Path) -> Path:
    """Photos of three sizes, hostile names, prices of which one is odd, and a pair of near duplicates."""
    names = [f"p{number}" for number in range(12)]
    photo = np.asarray(Image.fromarray(marketplace_sample("tiny").images.read(0)).resize((90, 120)))
    data = {name: encoded(picture(number)[: 10 + number % 2]) for number, name in enumerate(names)}
    data["p0"], data["p1"] = encoded(photo, quality=95), encoded(photo, quality=60)
    lines = [
        f"{name},{EVIL if number % 2 else 'Hat'},s{number // 2},{1000 if number == 11 else 10 + number % 3}"
        for number, name in enumerate(names)
    ]
    folder = folder_of(tmp_path / "d", "image,category,sender,price\n" + "\n".join(lines) + "\n", [])
    for name, content in data.items():
        (folder / "images" / f"{name}.jpg").write_bytes(content)
    return folder


@pytest.mark.parametrize("task", ["fashion", "marketplace", "multilabel"])
def test_every_task_has_a_page_that_is_whole_by_itself(task: str, tmp_path: Path) -> None:
    out = tmp_path / "page"
    done = bench("data", "describe", "--task", task, "--sample", "tiny", "--out", out, "--format", "json")
    assert done.exception is None and done.return_value is None
    assert str(out / "index.html") in done.stderr
    text = (out / "index.html").read_text(encoding="utf-8")
    page = Seen(text)
    for attributes in page.all("img", "source", "link", "script", "iframe"):
        for key in ("src", "srcset", "href"):
            assert (attributes.get(key) or "data:").startswith("data:")
    assert any("width=device-width" in (meta.get("content") or "") for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in text
    assert page.all("picture"), "a plot for both kinds of screen"
    assert all(image.get("alt") for image in page.all("img"))
    # What the terminal shows stands on the page too.
    shown = " ".join(piece for pieces in page.texts.values() for piece in pieces)
    for table in json.loads(done.stdout):
        for row in table:
            assert str(next(iter(row.values()))) in shown
    assert sorted(path.suffix for path in (out / "plots").iterdir()).count(".png") >= 1


def test_the_page_holds_prices_sizes_and_near_duplicates(listings: Path, tmp_path: Path) -> None:
    view = view_of(listings)
    page = describe_page(view)
    found = sections(page)
    assert list(found) == ["The whole", "Classes", "Prices", "Listings and groups", "Near duplicates"]
    shapes = {(height, width) for height, width in view.pixels.sizes}
    assert len(shapes) > 1 and f"{len(shapes)} sizes" in only(found["The whole"], Figure).alt
    odd = only(found["Prices"], Table)
    assert [row["item"] for row in odd.rows] == ["p11"] and odd.rows[0]["distance"] > 3.5
    pair = only(found["Near duplicates"], Gallery).pictures[0]
    assert {*pair.title.split(", ")} == {"p0", "p1"}
    assert pair.lines == [f"Hat / {EVIL}", "in train and in test"]
    halves = np.asarray(Image.open(io.BytesIO(pair.image)).convert("L")).astype(int)
    left, right = halves[:, : halves.shape[1] // 2 - 2], halves[:, -(halves.shape[1] // 2 - 2) :]
    assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.95, "the near duplicates are side by side"
    tables = [block for section in page.sections for block in section.blocks if isinstance(block, Table)]
    for table in describe(view):
        assert any(table.title == own.title and list(table.rows) == list(own.rows) for own in tables)


def test_hostile_names_are_text(listings: Path, tmp_path: Path) -> None:
    path = write_page(describe_page(view_of(listings)), tmp_path / "out")
    text = path.read_text(encoding="utf-8")
    assert EVIL not in text and "&lt;img src=x" in text
    assert not any("onerror" in attributes for _, attributes in Seen(text).tags)
    for data in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text):
        assert EVIL.encode() not in base64.b64decode(data)


def judged_of(view: DataView, suspects: int) -> Judged:
    items, given = view.parts.examples.items, view.parts.given
    found = tuple(
        Suspect(items[row], given[row], given[row] if row == 1 else "Bag", 0.1, "looks like another", "")
        for row in range(suspects)
    )
    by_class = ({"class": "Hat", "judged": 6, "suspect": suspects, "suggested": 0},)
    images, rows = view.parts.examples.images, range(suspects)
    return Judged("suspects", images, 12, found, tuple(rows), None, "", by_class)


def test_suspects_are_shown_only_where_asked_for(listings: Path) -> None:
    view = view_of(listings)
    assert "Suspect labels" not in sections(describe_page(view))
    section = sections(describe_page(view, judged_of(view, 3)))["Suspect labels"]
    pictures = only(section, Gallery).pictures
    assert [picture.title for picture in pictures] == ["p0", "p1", "p2"]
    assert pictures[0].lines[:2] == ["given Hat", "suggested Bag"]
    assert pictures[1].lines == [f"given {EVIL}", "looks like another"], "a price suggests no other label"
    assert len(pictures) <= SUSPECTS
    assert only(section, Table).rows[-1]["suspect"] == 3
    none = sections(describe_page(view, judged_of(view, 0)))["Suspect labels"]
    assert not [block for block in none.blocks if isinstance(block, Gallery)]


def test_a_photo_that_cannot_be_read_costs_its_picture_alone(listings: Path) -> None:
    view = view_of(listings)
    assert len(view.near_duplicates.pairs) == 1
    (listings / "images" / "p0.jpg").unlink()
    found = sections(describe_page(view, judged_of(view, 2)))
    assert only(found["Near duplicates"], Gallery).pictures[0].image is None
    assert [p.image is None for p in only(found["Suspect labels"], Gallery).pictures] == [True, False]


def test_a_contact_sheet_keeps_each_text_in_its_frame(listings: Path, tmp_path: Path) -> None:
    view = view_of(listings)
    places = suspect_texts(judged_of(view, 2).suspects, (0, 1))
    assert places == [(0, "Hat", "> Bag"), (1, EVIL, "price")]
    sheets: list[np.ndarray] = []
    (tmp_path / "lines.png").symlink_to(tmp_path / "elsewhere")
    for name, text in (("plain", "a\\nb"), ("lines", "a\nb")):
        write_sheet(tmp_path / f"{name}.png", view.parts.examples.images, [(0, text, "x")])
        sheets.append(np.asarray(Image.open(tmp_path / f"{name}.png")))
    assert (sheets[0] == sheets[1]).all(), "a line end is shown, not obeyed"
    assert not (tmp_path / "elsewhere").exists(), "a link is replaced, not written through"
    write_sheet(tmp_path / "plain.png", view.parts.examples.images, [(1, "other", "x")])
    assert (np.asarray(Image.open(tmp_path / "plain.png")) != sheets[0]).any(), "written over the older one"


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_plots_take_whatever_numbers_there_are(theme: Any) -> None:
    """A class with one price, a price of 0, prices across decades, one image: every plot is drawn."""
    names = ["$x$", "a" * 300, "日本"]
    some = [
        bars(names, {"train": [1, 0, 5], "test": [0, 0, 1]}, "images"),
        sizes({(1, 1): 1, (4000, 3): 2}),
        boxes(
            [Prices("a", np.array([0.0]), np.empty(0)), Prices("b", np.array([1.0, 2.0]), np.array([1e7]))]
        ),
        boxes([Prices("a", np.array([3.0, 9.0]), np.empty(0)), Prices("b", np.empty(0), np.array([5.0]))]),
    ]
    for draw in some:
        files = rendered(draw, theme, ("svg", "png"))
        assert files["png"].startswith(b"\x89PNG") and b"mathdefault" not in files["svg"]


def test_boxes_stand_where_the_quartiles_are() -> None:
    values = np.array([10.0, 20.0, 30.0, 40.0, 90.0])
    figure: Any = boxes([Prices("a", values, np.array([500.0]))])(LIGHT)
    [axes] = figure.axes
    [box] = axes.patches
    assert (box.get_x(), box.get_x() + box.get_width()) == (20.0, 40.0)
    line, middle, odd = (artist.get_xdata() for artist in axes.lines)
    assert list(line) == pytest.approx([12.0, 80.0]) and list(middle) == [30.0, 30.0] and list(odd) == [500.0]


def test_bars_add_up() -> None:
    figure: Any = bars(["a", "b"], {"train": [3, 1], "test": [1, 4]}, "images")(LIGHT)
    ends = [patch.get_x() + patch.get_width() for patch in figure.axes[0].patches]
    assert ends[:2] == [3, 1] and ends[2:4] == [4, 5]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--task", "multilabel", "--suspects"), "is multilabel"),
        (("--task", "marketplace", "--backbone", "lenet"), "are for --suspects"),
        (("--task", "marketplace", "--out", __file__), "not a folder"),
        (("--task", "marketplace", "--out", " "), "not a folder"),
        (("--task", "marketplac"), "did you mean 'marketplace'"),
        (("--task", "marketplace", "--suspects", "--backbone", "lenet"), "no published ImageNet weights"),
    ],
)
def test_faults_are_one_line(args: tuple[str, ...], says: str) -> None:
    error = bench("data", "describe", *args, "--sample", "tiny").exception
    assert isinstance(error, BenchError) and says in str(error) and "\n" not in str(error)


def test_suspects_of_the_drawn_sample_come_with_a_contact_sheet(tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    judge = ("--suspects", "--backbone", "lenet", "--weights", "random")
    args = ("data", "describe", "--task", "marketplace", "--sample", "tiny", *judge, "--format", "csv")
    done = bench(*args, "--out", tmp_path)
    assert done.exception is None
    rows = list(csv.DictReader(io.StringIO(done.stdout.split("\n\n")[-1])))
    suspects = int(rows[-1]["suspect"])
    assert suspects > 0 and rows[-1]["class"] == "all"
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Suspect labels" in text and "suggested" in text
    assert Image.open(tmp_path / "suspects.png").height > 100
