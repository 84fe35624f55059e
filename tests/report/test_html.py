"""The report: safe and whole HTML, and what it says."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.compare.stored_cells import read_bootstraps
from bench.compare.warnings import shown_metrics
from bench.core.kind import get_kind
from bench.core.paths import search_path
from bench.core.plotting import DARK, LIGHT, Draw, recoloured, rendered
from bench.core.table import Column, Table
from bench.data.fashion_attributes import attributes_sample
from bench.data.synthetic.fashion import fashion_sample
from bench.report.bars import QUIET, STRONG, WORSE, Mark, Panel, classes, dots
from bench.report.caveats import CHANCE, LEAKS, TITLE, warnings_section
from bench.report.data.plots import Prices, bars, boxes, sizes
from bench.report.html import INDEX, PLOTS, render_page
from bench.report.page import Page, Points, Section, Words
from bench.report.plots import Bin, Line, curves, reliability
from bench.report.thumbnails import Thumbnails
from bench.store.write import Store
from tests import grids
from tests.grids import answers, attributes, put
from tests.report.pages import EVIL, Seen, report


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
    assert all(attrs.get("scope") in ("col", "row", "colgroup") for attrs in seen.all("th"))
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
            for paper in ("paper", "page", "head", "stripe", "mark"):
                bright, dim = sorted((luminance(color[ink]), luminance(color[paper])), reverse=True)
                assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, paper)


def test_it_has_a_section_for_everything(text: str) -> None:
    seen = Seen(text)
    titles = seen.texts["h2"] + seen.texts["h3"]
    for wanted in (
        "Conclusions", "Effects of methods", "Ranking", "Classes", "Confusions", "Calibration", "Training",
        "ROC and precision-recall", "Hardest items", "Data used and left out",
        "Evidence", "Data warnings", "Environment and commands",
    ):  # fmt: skip
        assert wanted in titles, wanted
    assert "fashion: top20" in titles
    assert "bench run --task fashion" in seen.texts["th"]
    assert any("lenet none seed 7 (failed: no <script>" in words for words in seen.texts["p"])
    assert any("result.json: cannot be read" in words for words in seen.texts["p"])


def test_the_first_section_answers_in_words_beside_one_plot(text: str, many: str) -> None:
    for page, answer in (
        (
            text,
            r"Validation chooses lenet focal: top-1 macro 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] and top-1 ",
        ),
        (many, r"Validation chooses lenet focal: AUC macro 0\.\d{3} \["),
    ):
        first = re.split(r"<h2", page)[1]
        assert ">Conclusions</h2>" in first and first.count("<figure>") == 1 and "<table>" not in first
        (headline,) = re.findall(r'<p class="headline">(.*?)</p>', first)
        assert re.match(answer, headline), headline
        assert re.search(r"<p>focal \(\+0\.\d{3}\) improves \S+( macro)? relative to none", first)


def test_validations_choice_is_marked_in_the_ranking(text: str, many: str) -> None:
    for page in (text, many):
        (row,) = re.findall(r'<tr class="marked">(.*?)</tr>', page)
        assert ">focal</td>" in row and ">yes</td>" in row
        ranking = next(table for table in page.split("<table>") if row in table)
        assert "ranked by" in ranking.split("</caption>")[0] and ranking.count(">yes</td>") == 1


def test_tables_with_many_columns_have_groups_of_columns(text: str, many: str) -> None:
    heads = [table.split("</thead>")[0] for page in (text, many) for table in page.split("<table>")[1:]]
    wide = [head for head in heads if head.count('scope="col"') > 12]
    assert wide and all('scope="colgroup"' in head for head in wide)
    for head in heads:
        spans = [int(span) for span in re.findall(r'colspan="(\d+)"', head)]
        assert not spans or sum(spans) == head.count('scope="col"')


@pytest.mark.parametrize(
    "draw",
    [
        dots([Panel("a", [Mark("x", 0.5, 0.4, 0.6, tone) for tone in (STRONG, WORSE, QUIET)], 0.5, "line")]),
        classes([Mark("x", 0.5, 0.4, 0.6)], [Mark("x", 0.3)], ("ours", "theirs"), "top-1", 0.5),
        reliability([Bin(0.5, 0.6, 9, 0.55, 0.5, 0.4, 0.6)], ("accuracy", "confidence")),
        curves(
            [Line("x", np.linspace(0, 1, 9), np.linspace(0, 1, 9))] * 3, [Line("x", np.ones(2), np.ones(2))]
        ),
        bars(["x", "y"], {"train": [1, 2], "test": [2, 1], "other": [1, 1]}, "images"),
        sizes({(10, 20): 3, (20, 20): 1}),
        boxes([Prices("x", np.arange(1.0, 9.0), np.array([99.0]))]),
    ],
    ids=["dots", "classes", "reliability", "curves", "bars", "sizes", "boxes"],
)
def test_a_recoloured_plot_has_the_colours_of_one_drawn_anew(draw: Draw) -> None:
    light, dark = (rendered(draw, theme, ("svg",))["svg"] for theme in (LIGHT, DARK))
    colors = [re.findall(rb"#[0-9a-f]{6}", svg) for svg in (recoloured(light, LIGHT, DARK), dark)]
    assert sorted(colors[0]) == sorted(colors[1]) and LIGHT.ours.lower().encode() not in colors[0]
    name = b'<text style="fill: #ffffff">a class named #ffffff</text>'
    assert recoloured(name, LIGHT, DARK) == name.replace(b"#ffffff", b"#171b21", 1)


def test_pictures_of_the_hardest_items_come_from_data_that_is_at_hand(text: str) -> None:
    seen = Seen(text)
    pictures = [attrs for attrs in seen.all("img") if "image/jpeg" in str(attrs["src"])]
    drawn = fashion_sample("tiny")
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
    marks = [Mark("a", 0.5, 0.4, 0.6, chosen=True), Mark("$b", 0.4)]
    draw = dots([Panel("top-1", marks, 0.3, "trivial"), Panel("top-5", marks)])
    for theme in (LIGHT, DARK, LIGHT.narrow, DARK.narrow):
        assert rendered(draw, theme, ("svg", "png")) == rendered(draw, theme, ("svg", "png"))
    assert rendered(draw, LIGHT, ("svg",)) != rendered(draw, DARK, ("svg",))


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


@pytest.mark.parametrize("name", ["per_class.csv", "history.csv", "predictions.parquet", "trials.csv"])
def test_a_cell_with_a_damaged_file_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Drawing is what takes long, and is not what is asked here.
    monkeypatch.setattr(
        "bench.report.html.rendered", lambda draw, theme, formats: dict.fromkeys(formats, b"")
    )
    root = tmp_path / "results"
    put(root, answers(60, 5, 0.6, 1), 0, scores=(0.5, 0.6))
    bad = put(root, answers(60, 5, 0.6, 1), 1, scores=(0.5, 0.6))
    stored = next(s for s in Store(root).load()[0] if s.id == bad)
    size = (stored.folder / name).stat().st_size
    (stored.folder / name).write_text("class,epoch\nx,y\n".ljust(size))
    done = report(root, tmp_path / "out")
    assert done.return_value == 4
    assert str(stored.folder) in done.stderr and done.stderr.count("\n") == 1
    assert "1 cell of 1 setting, scored on" in (tmp_path / "out" / INDEX).read_text()


def test_cells_scored_on_other_items_have_sections_and_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bench.report.html.rendered", lambda draw, theme, formats: dict.fromkeys(formats, b"")
    )
    put(tmp_path / "results", answers(60, 5, 0.6, 1))
    put(tmp_path / "results", answers(50, 5, 0.6, 1), protocol={"duplicates": "drop"})
    assert report(tmp_path / "results", tmp_path / "out").return_value == 0
    seen = Seen((tmp_path / "out" / INDEX).read_text(encoding="utf-8"))
    assert sum("No pictures: --data" in words for words in seen.texts["p"]) == 2
    titles = seen.texts["h2"]
    assert titles[1:3] == [f"fashion: top20 on {n} items of drawn-tiny ffffffff" for n in (60, 50)]
    names = [path.stem for path in (tmp_path / "out" / PLOTS).glob("*-leaderboard.png")]
    assert len(names) == 2


def test_pictures_are_only_of_the_data_that_was_scored(tmp_path: Path) -> None:
    drawn = fashion_sample("tiny")
    test = answers(40, 5, 0.6, 1, items=drawn.items[:40])
    right = put(tmp_path, test, 0, source=drawn.source, fingerprint=drawn.fingerprint)
    other = put(tmp_path, test, 1, source=drawn.source, fingerprint="0" * 64)
    cells = {stored.id: stored for stored in Store(tmp_path).load()[0]}
    thumbnail = Thumbnails(None, "fashion", search_path("tasks"), tmp_path / "cache")
    picture = thumbnail(cells[right], drawn.items[3])
    assert picture is not None and picture.startswith(b"\xff\xd8") and len(picture) < 20_000
    assert thumbnail(cells[other], drawn.items[3]) is None
    assert thumbnail(cells[right], "no such item") is None


def test_pictures_of_a_sample_of_another_source_are_found(tmp_path: Path) -> None:
    sample = attributes_sample("tiny")
    test = answers(40, 5, 0.6, 1, items=sample.items[:40])
    put(
        tmp_path,
        test,
        task="multilabel",
        stage="all",
        protocol={"source": "fashion"},
        source=sample.source,
        fingerprint=sample.fingerprint,
    )
    [stored] = Store(tmp_path).load()[0]
    thumbnail = Thumbnails(None, "multilabel", search_path("tasks"), tmp_path / "cache")
    assert thumbnail(stored, sample.items[3]) is not None


def test_a_data_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    put(tmp_path / "results", answers(60, 5, 0.6, 1))
    error = report(tmp_path / "results", tmp_path / "out", "--data", str(tmp_path / "none")).exception
    assert type(error).__name__ == "DataError" and "\n" not in str(error)


def test_data_warnings_are_counted_at_the_top_and_listed_under_evidence(text: str, many: str) -> None:
    leak = "1 of 200 test images are also in train, byte for byte (--set duplicates=drop leaves them out)"
    signal = (
        "signal in all, lenet: features predict the labels with AUC 0.510 out of fold, shuffled labels with "
        f"0.500 (95% of 199 below 0.530), p = 0.250; of 2 attributes these carry signal: {EVIL} (q = 0.002)"
    )
    chance = (
        "chance in all: of 2 settings 1 have a 95% interval of AUC macro on test above 0.5: "
        "lenet focal (q = 0.032)"
    )
    for page, lines in ((text, [f"leak in top20: {leak}"]), (many, [f"leak in all: {leak}", signal, chance])):
        seen = Seen(page)
        assert TITLE in seen.texts["h3"]
        listed = page[page.index('class="points"') :].split("</ul>")[0].count("<li>")
        count = f"{listed} data warning{'s' if listed > 1 else ''}."
        (link,) = re.findall(rf'<a href="#(\S+)">{re.escape(count)}</a>', page)
        assert f'<h3 id="{link}">{TITLE}</h3>' in page and page.index(count) < page.index("<main")
        points = [node for node in seen.all("ul") if node.get("class") == "points"]
        assert len(points) == 1 and set(lines) <= {*seen.texts["li"]}
        assert page.index("Evidence</h2>") < page.index('class="points"')


def test_filled_in_labels_stand_with_what_speaks_against_them(text: str, many: str) -> None:
    title = "Imputed training labels, mean over seeds"
    assert title in Seen(many).texts["caption"] and title not in Seen(text).texts["caption"]
    row = re.search(r"<tr>[^\n]*>321</td>[^\n]*", many[many.index(title) :])
    assert row is not None and ">0.625</td>" in row[0]


def test_what_was_looked_for_is_said_and_several_tasks_stand_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(grids.COUNTS, "leaked", 0)
    put(tmp_path, attributes(60, 3, 0.8, 1), kind="multilabel", task="multilabel", stage="all")
    put(tmp_path, answers(60, 5, 0.6, 1))
    cells = Store(tmp_path).load()[0]
    by_task = {
        task: [c for c in cells if c.record["cell"]["task"] == task] for task in ("fashion", "multilabel")
    }
    found = {
        task: read_bootstraps(own, shown_metrics(get_kind(own[0].record["cell"]["kind"])))[0]
        for task, own in by_task.items()
    }
    both, count = warnings_section(by_task, found)
    assert [section.title for section in both.sections] == ["fashion", "multilabel"]
    for section in both.sections:
        first, *_, last = section.blocks
        assert first == Words(f"Checked for: {LEAKS}; {CHANCE}.")
        assert last == Words("No cell has a stored permutation test of its labels.")
    assert count == sum(len(b.lines) for s in both.sections for b in s.blocks if isinstance(b, Points))
    alone, _ = warnings_section({"fashion": by_task["fashion"]}, found)
    assert alone.sections == () and alone.blocks == both.sections[0].blocks
