"""Tables come out as committed, say the same in every format, and survive hostile names."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bench.core.errors import BenchError
from bench.core.table import Column, Table
from bench.report.render import EMPTY, FORMATS, MISSING, render, shown

from .conftest import HOSTILE, Golden

COLUMNS = (
    Column("class", "class"),
    Column("test_support", "test", "int"),
    Column("top1_macro", "top-1 macro", "ratio"),
    Column("difference", "difference", "signed"),
    Column("seconds", "seconds", "seconds"),
    Column("best", "best", "bool"),
)

PLAIN = Table(
    "Results",
    COLUMNS,
    (
        {
            "class": "Tops",
            "test_support": 1234,
            "top1_macro": 2 / 3,
            "difference": -0.0316,
            "seconds": 12.34,
            "best": True,
        },
        {
            "class": "Casual Shoes",
            "test_support": 7,
            "top1_macro": 1.0,
            "difference": 0.25,
            "seconds": 0.04,
            "best": False,
        },
        {"class": "Sarees", "test_support": 0, "top1_macro": None, "difference": math.nan},
    ),
    ("Sarees has no test image.", "best: on validation."),
)

HOSTILE_TABLE = Table(
    "Hostile \x1b[2J <b>",
    COLUMNS[:3],
    [{"class": name, "test_support": i, "top1_macro": i / 30} for i, name in enumerate(HOSTILE)],
    ("note \x1b[0m with `code`",),
)

EXTENSION = {"table": "txt", "csv": "csv", "json": "json", "md": "md"}


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(("name", "table"), [("plain", PLAIN), ("hostile", HOSTILE_TABLE)])
def test_golden(golden: Golden, name: str, table: Table, fmt: str) -> None:
    golden(f"{name}.{EXTENSION[fmt]}", render(table, fmt))


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_can_be_written_as_utf8(fmt: str) -> None:
    render(HOSTILE_TABLE, fmt).encode("utf-8")


def test_json_and_csv_carry_numbers_as_they_are() -> None:
    rows = json.loads(render(PLAIN, "json"), parse_constant=no_constant)
    assert [row["top1_macro"] for row in rows] == [2 / 3, 1.0, None]
    assert [row["difference"] for row in rows] == [-0.0316, 0.25, None]
    assert [row["best"] for row in rows] == [True, False, None]
    lines = read_csv(render(PLAIN, "csv"))
    assert lines[0] == [column.key for column in COLUMNS]
    assert float(lines[1][2]) == 2 / 3
    assert lines[3][2:] == ["", "", "", ""]


def test_hostile_names_come_back_from_json_whole() -> None:
    rows = json.loads(render(HOSTILE_TABLE, "json"), parse_constant=no_constant)
    assert [row["class"] for row in rows] == list(HOSTILE)


def test_hostile_names_come_back_from_csv_but_for_the_guard() -> None:
    lines = read_csv(render(HOSTILE_TABLE, "csv"))[1:]
    assert len(lines) == len(HOSTILE)
    for (cell, *_), name in zip(lines, HOSTILE, strict=True):
        assert cell.removeprefix("'").encode("utf-8") == name.encode("utf-8", "backslashreplace")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_negative_number_is_no_formula() -> None:
    assert read_csv(render(PLAIN, "csv"))[1][3] == "-0.0316"


def test_json_is_ascii_one_row_a_line() -> None:
    text = render(HOSTILE_TABLE, "json")
    assert text.isascii()
    assert len(text.split("\n")) == len(HOSTILE) + 2


def rule_of(text: str) -> list[tuple[int, int]]:
    """Where the columns of a terminal table begin and end."""
    line = next(line for line in text.split("\n") if re.fullmatch(r"[- ]*--[- ]*", line))
    return [match.span() for match in re.finditer("-+", line)]


def at(line: str, column: int) -> str:
    """The character of a line that covers a column of the terminal."""
    place = 0
    for char in line:
        width = cell_len(char)
        if place <= column < place + width:
            return char
        place += width
    return " "


@given(st.lists(st.text(st.characters(), max_size=7), min_size=1, max_size=6))
def test_numbers_stand_under_each_other_whatever_the_names(names: list[str]) -> None:
    table = Table("", COLUMNS[:2], [{"class": name, "test_support": 5} for name in names])
    text = render(table, "table")
    end = rule_of(text)[1][1]
    rows = text.split("\n")[2:]
    assert len(rows) == len(names)
    for row in rows:
        assert row.endswith("5") and (cell_len(row) == end or "\ufe0f" in row)
        assert at(row, end - 1) == "5" or "\ufe0f" in row


def test_columns_of_a_terminal_are_apart_under_hostile_names() -> None:
    lines = render(HOSTILE_TABLE, "table").split("\n")
    (_, first_end), (second, _), _ = rule_of("\n".join(lines))
    body = lines[lines.index(next(line for line in lines if line.startswith("---"))) + 1 : -1]
    for line in body:
        assert all(at(line, column) == " " for column in range(first_end, second))


def test_a_terminal_gets_no_control_character() -> None:
    for fmt in ("table", "md"):
        assert all(char.isprintable() or char == "\n" for char in render(HOSTILE_TABLE, fmt))


def test_markdown_has_a_line_a_row_and_no_html() -> None:
    text = render(HOSTILE_TABLE, "md")
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len(rows) == len(HOSTILE) + 2
    assert "<" not in text
    for row in rows:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == len(HOSTILE_TABLE.columns) + 1


def test_long_text_goes_on_in_the_next_line() -> None:
    reason = " ".join(["word"] * 60)
    text = render(Table("", [Column("reason", "reason")], [{"reason": reason}]), "table")
    assert max(map(len, text.split("\n"))) <= 72
    assert " ".join(text.split("\n")[2:]) == reason


@pytest.mark.parametrize("fmt", ["table", "md"])
def test_an_empty_table_says_so(fmt: str) -> None:
    text = render(Table("Nothing", COLUMNS, (), ("a note",)), fmt)
    assert EMPTY in text and "Nothing" in text and "a note" in text


def test_an_empty_table_is_still_csv_and_json() -> None:
    empty = Table("Nothing", COLUMNS, ())
    assert render(empty, "csv") == "class,test_support,top1_macro,difference,seconds,best"
    assert json.loads(render(empty, "json")) == []


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(BenchError, match="unknown format 'jsn'; did you mean 'json'"):
        render(PLAIN, "jsn")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("ratio", 0.89449, "0.894"),
        ("ratio", 0.0005, "0.001"),
        ("ratio", 1, "1.000"),
        ("ratio", 1.0, "1.000"),
        ("ratio", 12.3456, "12.346"),
        ("ratio", -0.0, "0.000"),
        ("ratio", 1e-300, "0.000"),
        ("ratio", math.nan, MISSING),
        ("ratio", math.inf, MISSING),
        ("ratio", -math.inf, MISSING),
        ("ratio", None, MISSING),
        ("ratio", "not scored", "not scored"),
        ("signed", 0.0316, "+.032"),
        ("signed", -0.0316, "-.032"),
        ("signed", 0.0, ".000"),
        ("signed", -0.0, ".000"),
        ("signed", -0.0004, "-.000"),
        ("signed", 0.9994, "+.999"),
        ("signed", 0.9996, "+1.000"),
        ("signed", -1.0, "-1.000"),
        ("signed", 10.5, "+10.500"),
        ("seconds", 0.04, "0.0"),
        ("seconds", 1234.56, "1234.6"),
        ("int", 1234567, "1234567"),
        ("int", 3.0, "3"),
        ("bool", True, "yes"),
        ("bool", False, "no"),
        ("text", 0.0001, "0.0001"),
        ("text", 12.3456789, "12.3457"),
        ("text", 12345678, "12345678"),
        ("text", True, "yes"),
    ],
)
def test_shown(kind: str, value: Any, text: str) -> None:
    assert shown(Column("x", "x", kind), value) == text


@pytest.mark.parametrize("fmt", FORMATS)
def test_numpy_numbers_are_numbers(fmt: str) -> None:
    def table(*values: Any) -> Table:
        return Table("", COLUMNS[1:3], [dict(zip(("test_support", "top1_macro"), values, strict=True))])

    assert render(table(np.int64(3), np.float64(0.1)), fmt) == render(table(3, 0.1), fmt)
    assert render(table(np.int64(3), np.float64("nan")), fmt) == render(table(3, None), fmt)
