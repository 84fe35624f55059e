"""Task cards: every shipped one is sound, and a faulty one is answered with its file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.backbones.registry import BACKBONES
from bench.commands.loading import check_task
from bench.core.errors import BenchError
from bench.core.kind import KINDS
from bench.core.paths import search_path
from bench.data.sources import SOURCES
from bench.data.split_rules import RULES, SplitPlan, check_column
from bench.data.task_card import find_cards, load_card, read_card
from bench.methods.grammar import parse_method, problems_for
from bench.runs.open_task import open_task
from bench.runs.plan import Request, parse_seeds

CARDS = find_cards(search_path("tasks"))
FASHION = CARDS["fashion"].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CARDS)
def test_every_card_names_only_what_exists(name: str) -> None:
    card = read_card(CARDS[name])
    assert card.source in SOURCES and card.kind in KINDS and card.split_rule in (*RULES, "people")
    assert set(card.grids) == {"drawn", "data"}
    for grid in card.grids.values():
        assert parse_seeds(grid.seeds)
        for backbone in grid.backbones:
            for method in grid.methods:
                assert problems_for(parse_method(method), card.kind, BACKBONES[backbone].regime) is None


@pytest.mark.parametrize("name", CARDS)
def test_every_task_is_documented(name: str) -> None:
    text = (CARDS[name].parent / "README.md").read_text(encoding="utf-8")
    for part in ("## Data", "## Protocol", "## What has been published"):
        assert part in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "multiclass"', 'kinds = "multiclass"', "did you mean 'kind'"),
        ("version = 1", 'version = "one"', "version must be a whole number, not 'one'"),
        ('name = "fashion"', 'name = "fashions"', "its folder is 'fashion'"),
        ("first = 20", "first = -1", "0 <= first < last"),
        ('name = "remaining"', 'name = "top20"', "with different names"),
        ("epochs = 30", "epoch = 30", "did you mean 'epochs'"),
        ("epochs = 30", "epochs = 0", "at least 1"),
        ("[protocol.scratch]", "[protocol.scrach]", "did you mean 'scratch'"),
        ("[grid.drawn]", "[grid.drawing]", "did you mean 'drawn'"),
        ('rule = "even_year"', "", "has no 'rule'"),
        ("[split]", "[split", "not a readable task card"),
        ('"remaining.epochs" = 10', '"rest.epochs" = 10', "unknown stage 'rest'"),
        ('"remaining.epochs" = 10', '"remaining.crop" = 0.5', "stages may differ in"),
        ('name = "remaining"', 'name = "the rest"', "takes letters"),
        ('rule = "even_year"', 'rule = "people"', "is only for verification tasks"),
        ('methods = ["none"', 'methods = [1, "none"', r"grid.drawn.methods\[0\] must be text, not 1"),
        ("last = 20", "last = true", r"stage\[0\].last must be a whole number, not True"),
        ("last = 20", f"last = {10**400}", "too large a number"),
        ("last = 20", f"last = 0x{'f' * 5000}", "too large a number"),
        ("version = 1", f"version = {'9' * 5000}", "not a readable task card"),
        ("version = 1", "version = 2026-11-30", "version must be a whole number"),
        ("[split]", "[[split]]", "split must be a table"),
        ("[grid.data]", "[[grid.data]]", "grid.data must be a table"),
        ("epochs = 30", "epochs = [30]", "protocol.scratch.epochs must be text or a whole number"),
        ("epochs = 30", f"epochs = {2**62}", "at most 100000"),
        ('kind = "multiclass"', "kind = [{}]", "kind must be text"),
        ('sample = "small"', "sample = []", "grid.drawn.sample must be text"),
        ('auxiliary = ["masterCategory"', 'auxiliary = [["a"], "masterCategory"', "must be text"),
        ('auxiliary = ["masterCategory"', 'auxiliary = ["", "masterCategory"', "auxiliary has an empty name"),
        ("version = 1", f"version = {'[' * 100_000}", "not a readable task card"),
    ],
)
def test_a_faulty_card_is_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FASHION
    path = tmp_path / "fashion" / "task.toml"
    path.parent.mkdir()
    path.write_text(FASHION.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BenchError, match=says) as error:
        load_card("fashion", [tmp_path])
    assert "\n" not in str(error.value).strip()


def _changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = FASHION
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "fashion" / "task.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_rule_that_looks_at_no_column_needs_none(tmp_path: Path) -> None:
    column = 'column = "year"'
    card = read_card(_changed(tmp_path, ('rule = "even_year"', 'rule = "stratified"'), (column, "")))
    assert card.split_column == ""
    read_card(
        _changed(tmp_path, ('rule = "even_year"', 'rule = "stratified"'), (column, 'column = "no such"'))
    )
    _, examples = open_task(Request("fashion", sample="tiny"), [tmp_path], tmp_path / "cache")
    assert len(examples)
    with pytest.raises(BenchError, match="has no 'column'"):
        read_card(_changed(tmp_path, (column, "")))
    with pytest.raises(BenchError, match="needs a column: name it with --set split_column=COLUMN"):
        check_column(examples, SplitPlan("grouped", ""))


def test_a_card_without_a_sample_needs_no_grid_for_one(tmp_path: Path) -> None:
    start, end = FASHION.index("[grid.drawn]"), FASHION.index("[grid.data]")
    card = read_card(_changed(tmp_path, (FASHION[start:end], "")))
    assert set(card.grids) == {"data"}
    with pytest.raises(BenchError, match="task fashion has no sample: name its data with --data DIR"):
        open_task(Request("fashion"), [tmp_path], tmp_path / "cache")


def test_an_unknown_task_is_told_where_cards_of_ones_own_are_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--tasks DIR or BENCH_TASKS adds cards of your own"):
        load_card("wardrobe", search_path("tasks"))
    with pytest.raises(BenchError, match="BENCH_TASKS names a folder with cards of your own"):
        check_task(tmp_path, "wardrobe")


def test_a_card_of_ones_own_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "fashion" / "task.toml"
    path.parent.mkdir()
    path.write_text(FASHION.replace("version = 1", "version = 2"), encoding="utf-8")
    assert load_card("fashion", [tmp_path, *search_path("tasks")]).version == 2


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "odd" / "task.toml"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchError, match="not a readable task card"):
        read_card(path)
