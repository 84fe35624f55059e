"""The report: safe and whole HTML, what it says, what it costs, and how it acts in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from bench.cli import cli
from bench.data.drawn.garments import draw_garments
from bench.paths import search_path
from bench.report.bars import Mark, ranking
from bench.report.html import INDEX, PLOTS, render_page
from bench.report.page import Page, Section
from bench.report.table import Column, Table
from bench.report.theme import DARK, LIGHT, drawn
from bench.report.thumbnails import Thumbnails
from bench.store import Store
from tests.grids import answers, grid, put

EVIL = "<script>alert(1)</script>"
NAMES = (EVIL, "$x^2$ & co", "日本語シャツ", "red \x1b[31m", '" onload="x', "x" * 90, "{{ 7 * 7 }}", "&amp;")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)


class Seen(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source", "input", "link", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


def report(root: Path, out: Path, *more: str) -> Any:
    args = ["report", "--results", str(root), "--out", str(out), *more]
    return CliRunner().invoke(cli, args, standalone_mode=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a report with hostile classes, holes, a failed and a corrupt cell."""
    root, out = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("out")
    drawn = draw_garments("tiny")
    given: dict[str, Any] = {"items": drawn.items[:120], "classes": NAMES, "fingerprint": drawn.fingerprint}
    backbones = ("lenet", "mobilenet_025")
    grid(root, {"none": 0.5, "focal": 0.8}, (0, 1), backbones, n=120, source=drawn.source, **given)
    same: dict[str, Any] = {"fingerprint": drawn.fingerprint, "source": drawn.source}
    put(root, answers(80, 5, 0.6, 1), 7, status="failed", reason=f"no {EVIL}", **same)
    bad = put(root, answers(80, 5, 0.6, 1), 3, **same)
    stored = next(s for s in Store(root).load()[0] if s.id == bad)
    (stored.folder / "result.json").write_text("{", encoding="utf-8")
    done = report(root, out)
    assert done.return_value == 4
    assert str(stored.folder) in done.stderr and done.stderr.count("\n") == 1
    return out


@pytest.fixture(scope="module")
def text(made: Path) -> str:
    return (made / INDEX).read_text(encoding="utf-8")


def test_names_from_data_are_text(text: str) -> None:
    seen = Seen(text)
    (script,) = seen.texts["script"]
    assert "alert" not in script and len(seen.all("script")) == 1
    assert EVIL not in text
    cells = {*seen.texts["td"], *seen.texts["th"]}
    assert EVIL in cells and "{{ 7 * 7 }}" in cells and '" onload="x' in cells and "&amp;" in cells
    assert "red \\x1b[31m" in cells and "\x1b" not in text
    assert not any(name.startswith("on") for _, attrs in seen.tags for name in attrs)
    assert any(f"no {EVIL}" in cell for cell in cells)


def test_nothing_leads_out_of_the_page(text: str, made: Path) -> None:
    seen = Seen(text)
    assert not seen.all("link", "iframe", "object", "embed", "base", "form")
    for attrs in seen.all("img"):
        assert str(attrs["src"]).startswith("data:image/")
    for attrs in seen.all("source"):
        assert str(attrs["srcset"]).startswith("data:image/")
    for attrs in seen.all("a"):
        href = str(attrs["href"])
        assert href.startswith("#") or (made / href).is_file()
    assert "url(" not in "".join(seen.texts["style"]) and "@import" not in text
    (policy,) = (str(m["content"]) for m in seen.all("meta") if "Security" in (m.get("http-equiv") or ""))
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "http" not in policy
    for tag in ("style", "script"):
        digest = hashlib.sha256("".join(seen.texts[tag]).encode()).digest()
        assert base64.b64encode(digest).decode() in policy


def test_the_page_can_be_read_without_seeing_it(text: str) -> None:
    seen = Seen(text)
    levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all((attrs.get("alt") or "").strip() for attrs in seen.all("img"))
    assert len(seen.all("caption")) == len(seen.all("table"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in seen.all("th"))
    ids = [attrs["id"] for _, attrs in seen.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in seen.all("a") if str(a["href"]).startswith("#")} <= set(ids)
    assert dict(seen.tags)["html"]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in seen.all("meta"))


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_stands_out_from_what_is_behind_it(text: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        color = dict(re.findall(r"--(\w+): (#\w{6});", block))
        for ink in ("ink", "quiet", "link"):
            for paper in ("paper", "page", "head", "stripe"):
                bright, dim = sorted((luminance(color[ink]), luminance(color[paper])), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, paper)


def test_it_has_a_section_for_everything(text: str) -> None:
    seen = Seen(text)
    titles = seen.texts["h2"] + seen.texts["h3"]
    for wanted in (
        "Leaderboard", "What each method adds", "Classes", "Confusions", "Calibration", "Training",
        "ROC and precision-recall", "Hardest items", "What was used and what was left out",
        "Environment and commands",
    ):  # fmt: skip
        assert wanted in titles, wanted
    assert "fashion: top20" in titles
    assert "bench run --task fashion" in seen.texts["th"]
    assert any("lenet none seed 7 (failed: no <script>" in words for words in seen.texts["p"])
    assert any("result.json: cannot be read" in words for words in seen.texts["p"])


def test_pictures_of_the_hardest_items_come_from_data_that_is_at_hand(text: str) -> None:
    seen = Seen(text)
    pictures = [attrs for attrs in seen.all("img") if "image/jpeg" in str(attrs["src"])]
    drawn = draw_garments("tiny")
    assert pictures and all(str(p["alt"]).split()[1].rstrip(",") in drawn.items for p in pictures)
    assert not any("No pictures" in words for words in seen.texts["p"])


def test_every_plot_is_saved_twice_and_is_well_formed(text: str, made: Path) -> None:
    pngs, svgs = ({p.stem for p in (made / PLOTS).glob(f"*.{fmt}")} for fmt in ("png", "svg"))
    assert pngs == svgs and {f"fashion-top20-{name}" for name in (
        "leaderboard", "effects", "classes", "confusion", "calibration", "curves", "loss",
    )} <= pngs  # fmt: skip
    for path in (made / PLOTS).glob("*.svg"):
        root = ElementTree.parse(path).getroot()
        assert not [node for node in root.iter() if node.tag.endswith("}script")]
        assert "<script" not in path.read_text(encoding="utf-8")
    for path in (made / PLOTS).glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert len(Seen(text).all("picture")) == len(pngs)


def test_equal_figures_give_equal_bytes() -> None:
    draw = ranking([Mark("a", 0.5, 0.4, 0.6), Mark("$b", 0.4)], "top-1", 0.3)
    for theme in (LIGHT, DARK):
        assert drawn(draw, theme, ("svg", "png")) == drawn(draw, theme, ("svg", "png"))
    assert drawn(draw, LIGHT, ("svg",)) != drawn(draw, DARK, ("svg",))


def test_numbers_sort_by_what_they_are_not_by_what_is_shown(tmp_path: Path) -> None:
    columns = [Column("name", "name"), Column("n", "n", "int"), Column("r", "r", "ratio")]
    rows: list[dict[str, Any]] = [
        {"name": "a", "n": 12345, "r": 0.12345},
        {"name": "b", "n": None, "r": float("nan")},
    ]
    page = Page("t", "l", [Section("s", (Table("c", columns, rows, ("a <note>",)),))])
    text = render_page(page, tmp_path)
    assert '<td class="number" data-sort="12345">12,345</td>' in text
    assert '<td class="number" data-sort="0.12345">0.123</td>' in text
    assert text.count("data-empty>–</td>") == 2 and "a &lt;note&gt;" in text


def test_nothing_to_report_is_one_line(tmp_path: Path) -> None:
    for task in ((), ("--task", "fashion")):
        done = report(tmp_path / "none", tmp_path / "out", *task)
        assert done.return_value == 5 and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "results", answers(60, 5, 0.6, 1))
    (tmp_path / "file").write_text("in the way")
    error = report(tmp_path / "results", tmp_path / "file" / "out").exception
    assert type(error).__name__ == "StoreError" and "--out" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("name", ["per_class.csv", "history.csv", "predictions.parquet"])
def test_a_cell_with_a_damaged_file_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Drawing is what takes long, and is not what is asked here.
    monkeypatch.setattr("bench.report.html.drawn", lambda draw, theme, formats: dict.fromkeys(formats, b""))
    root = tmp_path / "results"
    put(root, answers(60, 5, 0.6, 1), 0)
    bad = put(root, answers(60, 5, 0.6, 1), 1)
    stored = next(s for s in Store(root).load()[0] if s.id == bad)
    (stored.folder / name).write_text("class,epoch\nx,y\n")
    done = report(root, tmp_path / "out")
    assert done.return_value == 4
    assert str(stored.folder) in done.stderr and done.stderr.count("\n") == 1
    assert "1 cells of 1 settings" in (tmp_path / "out" / INDEX).read_text()


def test_cells_scored_on_other_items_have_sections_and_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.report.html.drawn", lambda draw, theme, formats: dict.fromkeys(formats, b""))
    put(tmp_path / "results", answers(60, 5, 0.6, 1))
    put(tmp_path / "results", answers(50, 5, 0.6, 1), protocol={"duplicates": "drop"})
    assert report(tmp_path / "results", tmp_path / "out").return_value == 0
    seen = Seen((tmp_path / "out" / INDEX).read_text(encoding="utf-8"))
    assert sum("No pictures: --data" in words for words in seen.texts["p"]) == 2
    titles = seen.texts["h2"]
    assert titles[:2] == [f"fashion: top20 on {n} items of drawn-tiny ffffffff" for n in (60, 50)]
    names = [path.stem for path in (tmp_path / "out" / PLOTS).glob("*-leaderboard.png")]
    assert len(names) == 2


def test_pictures_are_only_of_the_data_that_was_scored(tmp_path: Path) -> None:
    drawn = draw_garments("tiny")
    test = answers(40, 5, 0.6, 1, items=drawn.items[:40])
    right = put(tmp_path, test, 0, source=drawn.source, fingerprint=drawn.fingerprint)
    other = put(tmp_path, test, 1, source=drawn.source, fingerprint="0" * 64)
    cells = {stored.id: stored for stored in Store(tmp_path).load()[0]}
    thumbnail = Thumbnails(None, "fashion", search_path("tasks"), tmp_path / "cache")
    picture = thumbnail(cells[right], drawn.items[3])
    assert picture is not None and picture.startswith(b"\xff\xd8") and len(picture) < 20_000
    assert thumbnail(cells[other], drawn.items[3]) is None
    assert thumbnail(cells[right], "no such item") is None


def test_a_data_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "results", answers(60, 5, 0.6, 1))
    error = report(tmp_path / "results", tmp_path / "out", "--data", str(tmp_path / "none")).exception
    assert type(error).__name__ == "DataError" and "\n" not in str(error)


DRIVER = """
const seen = {errors: [], violations: []};
window.addEventListener("error", (event) => seen.errors.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => seen.violations.push(event.blockedURI));
const complain = console.error;
console.error = (...words) => { seen.errors.push(words.join(" ")); complain(...words); };
window.alert = () => seen.errors.push("alert");
window.addEventListener("load", () => {
  const column = (table, index) => Array.from(table.tBodies[0].rows, (row) => row.cells[index].textContent);
  const tables = Array.from(document.querySelectorAll("table"));
  const table = tables.find((one) => one.caption.textContent.includes("top20 ranked by"));
  const heads = Array.from(table.tHead.rows[0].cells);
  const index = heads.findIndex((head) => head.textContent.startsWith("top-1"));
  const button = heads[index].querySelector("button");
  seen.before = column(table, index);
  button.click();
  seen.falling = column(table, index);
  seen.sorted = heads[index].getAttribute("aria-sort");
  button.click();
  seen.rising = column(table, index);
  const input = document.querySelector(".filter input");
  const long = input.closest(".filter").nextElementSibling.querySelector("table");
  input.value = long.tBodies[0].rows[0].cells[1].textContent;
  input.dispatchEvent(new Event("input"));
  seen.kept = Array.from(long.tBodies[0].rows).filter((row) => !row.hidden).length;
  seen.rows = long.tBodies[0].rows.length;
  seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.broken = Array.from(document.images).filter((image) => !image.naturalWidth).length;
  seen.requests = performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !name.startsWith("data:"));
  document.documentElement.dataset.seen = JSON.stringify(seen);
});
"""


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Open a page in a headless browser with a driver in front of its own script; return what that saw."""
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser, google-chrome or chrome on PATH")

    def open_page(text: str, *flags: str) -> dict[str, Any]:
        digest = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
        driven = text.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
        driven = driven.replace("<title>", f"<script>{DRIVER}</script><title>", 1)
        page = tmp_path / "page.html"
        page.write_text(driven, encoding="utf-8")
        command = [
            *(str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--timeout=20000"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", *flags, "--dump-dom", page.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
        found = dict(Seen(done.stdout).tags)["html"]["data-seen"]
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return {**json.loads(str(found)), "console": said}

    return open_page


@pytest.mark.parametrize("width", [1200, 400])
def test_in_a_browser_tables_sort_and_nothing_is_asked_for(
    browse: Callable[..., dict[str, Any]], text: str, width: int
) -> None:
    seen = browse(text, f"--window-size={width},900")
    assert seen["errors"] == [] and seen["violations"] == [] and seen["requests"] == []
    assert seen["console"] == []
    numbers = [float(value) for value in seen["falling"] if value != "–"]
    assert len(numbers) > 3 and numbers == sorted(numbers, reverse=True)
    rising = [float(value) for value in seen["rising"] if value != "–"]
    assert rising == sorted(numbers) and seen["sorted"] == "descending"
    assert 0 < seen["kept"] < seen["rows"] and seen["broken"] == 0
    assert seen["wide"] <= 0, "the page is wider than its window"


def test_in_a_browser_a_script_from_data_would_be_blocked(
    browse: Callable[..., dict[str, Any]], text: str
) -> None:
    seen = browse(text.replace("</main>", f"{EVIL}</main>", 1))
    assert seen["violations"] == ["inline"] and "alert" not in seen["errors"]
