"""Tables on a terminal: no line is too long, what matters most stays, colour adds nothing but colour."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bench.core.table import Column, Table
from bench.report.terminal import Terminal, chosen, fits, fitted

from .conftest import HOSTILE

COLUMNS = (
    Column("stage", "stage"),
    Column("method", "method", rank=0),
    Column("top1", "top-1 macro", "ratio", rank=0, spread=("low", "high")),
    Column("low", "low", "ratio"),
    Column("high", "high", "ratio"),
    Column("gap", "to best", "signed", spread=("gap_low", "gap_high")),
    Column("gap_low", "low", "signed"),
    Column("gap_high", "high", "signed"),
    Column("loss", "log loss", "ratio", rank=2),
    Column("reason", "reason", rank=3),
    Column("standing", "standing", rank=0),
)

ROWS = (
    {"stage": "top20", "method": "focal", "top1": 0.7, "low": 0.65, "high": 0.75, "standing": "best"},
    {
        "stage": "top20",
        "method": "none",
        "top1": 0.6,
        "low": 0.55,
        "high": 0.652,
        "loss": 1.25,
        "gap": -0.1,
        "gap_low": -0.15,
        "gap_high": -0.048,
        "standing": "behind",
    },
    {"stage": "top20", "method": "trivial", "top1": 0.05},
)

RANKING = Table("Ranking", COLUMNS, ROWS, ("A note.",))
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_an_interval_stands_in_the_column_of_its_value() -> None:
    assert fitted(RANKING, Terminal(80)).split("\n") == [
        "Ranking",
        "                                                    log",
        "method         top-1 macro               to best   loss  standing",
        "-------- ------------------ --------------------- ------ --------",
        "focal    .700 [.650, .750]      –                     –  best",
        "none     .600 [.550, .652]  -.100 [-.150, -.048]  1.250  behind",
        "trivial  .050                   –                     –  –",
        "A note.",
        "stage: top20",
    ]


def test_a_standard_deviation_stands_behind_its_value() -> None:
    columns = (Column("top1", "top-1", "ratio", spread=("sd",)), Column("sd", "±", "ratio"))
    text = fitted(Table("", columns, [{"top1": 0.8391, "sd": 0.0112}, {"top1": 0.5}]), Terminal(80))
    assert text.split("\n")[2:] == [".839 ±.011", ".500"]


def test_columns_of_the_highest_rank_are_left_out_first_and_named() -> None:
    rows = [
        {**row, "stage": f"stage {place}", "reason": f"{place} b c " * 9} for place, row in enumerate(ROWS)
    ]
    table, width = replace(RANKING, rows=rows), 80
    lines = fitted(table, Terminal(width)).split("\n")
    assert "reason" not in lines[1] and "log" in f"{lines[1]}{lines[2]}" and "stage" in lines[2]
    assert lines[-1] == "Not shown: reason (--wide, or --columns NAME,NAME)."
    assert "Not shown" not in fitted(table, Terminal(width, terse=True))
    assert "Not shown" not in fitted(table, Terminal(200))


def test_a_value_fits_where_its_interval_does_not() -> None:
    rows = [{**row, "stage": "s" * 22, "method": f"{row['method']}{place}"} for place, row in enumerate(ROWS)]
    rows[0]["stage"] = "t" * 22
    text = fitted(replace(RANKING, rows=rows), Terminal(80))
    assert "-.100" in text and "-.150" not in text and "Not shown: gap_low, gap_high" in text


def test_wide_shows_every_column_in_one_line_a_row() -> None:
    rows = [{**row, "reason": "a b c d " * 9} for row in ROWS]
    lines = fitted(replace(RANKING, rows=rows), Terminal(80, wide=True)).split("\n")
    assert len(lines) == 8 and all(title in lines[2] for title in ("stage", "loss", "reason"))
    assert "a b c d " * 8 in lines[4]


def test_named_columns_are_shown_as_named() -> None:
    [table] = chosen([RANKING, Table("Other", [Column("x", "x")], [{"x": 1}])], ("low", "stage", "top1"))
    lines = fitted(table, Terminal(80, named=True)).split("\n")
    assert lines[1].split() == ["low", "stage", "top-1", "macro"]
    assert lines[3].split() == [".650", "top20", ".700", "[.650,", ".750]"]


@given(
    st.lists(st.sampled_from([*HOSTILE, "x" * 300, "word " * 60]), min_size=1, max_size=5),
    st.sampled_from([80, 100, 140]),
)
def test_no_line_is_longer_than_the_terminal(names: list[str], width: int) -> None:
    columns = [*COLUMNS, *(Column(f"text {i}", f"text {i}", rank=i % 2) for i in range(6))]
    rows = [{"method": name, "top1": 0.5, "text 0": name, "text 2": name, "text 4": "y"} for name in names]
    text = fitted(Table(names[0], columns, rows, names), Terminal(width))
    assert all(cell_len(line) <= width for line in text.split("\n"))
    assert "\x1b" not in text and "\r" not in text


def test_colour_changes_no_character_and_follows_the_words() -> None:
    coloured = fitted(RANKING, Terminal(80, colour=True))
    assert [line.rstrip() for line in ANSI.sub("", coloured).split("\n")] == fitted(
        RANKING, Terminal(80)
    ).split("\n")
    assert re.search(r"\x1b\[1;32mbest", coloured) and re.search(r"\x1b\[33mbehind", coloured)


def test_markup_of_a_name_is_text() -> None:
    table = Table("[red]t[/red]", [Column("a", "[b]a")], [{"a": "[bold]x[/bold]"}], ("[i]n[/i]",))
    for part in ("[red]t[/red]", "[b]a", "[bold]x[/bold]", "[i]n[/i]"):
        assert part in fitted(table, Terminal(80, colour=True))


@pytest.mark.parametrize(("count", "room"), [(10, True), (40, False)])
def test_whether_a_matrix_fits(count: int, room: bool) -> None:
    columns = [Column(str(i), str(i), "int") for i in range(count)]
    assert fits(Table("", columns, [{str(i): 10 for i in range(count)}]), Terminal(80)) is room


def test_a_table_without_rows_says_so() -> None:
    assert fitted(replace(RANKING, rows=()), Terminal(80)) == "Ranking\n(no rows)\nA note."
