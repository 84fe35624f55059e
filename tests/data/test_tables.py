from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import DataError
from bench.data.files import DataFolder
from bench.data.tables import CsvTable, printable, read_csv


def table(tmp_path: Path, content: bytes | str, required: tuple[str, ...] = ("a",)) -> CsvTable:
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / "t.csv").write_bytes(data)
    return read_csv(DataFolder(tmp_path), "t.csv", required)


def kinds(got: CsvTable) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in got.problems]


def test_a_good_table(tmp_path: Path) -> None:
    got = table(tmp_path, 'a, b \n 1 ,x\n2,\n\n3,"y, z"\n')
    assert got.header == ("a", "b")
    assert got.columns == (("1", "2", "3"), ("x", "", "y, z"))
    assert got.lines == (2, 3, 5)
    assert got.problems == ()
    assert got.column("b")[0] == "x"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark(tmp_path: Path, end: str, mark: bytes) -> None:
    got = table(tmp_path, mark + end.join(["a,b", "1,2", "3,4"]).encode())
    assert got.header == ("a", "b")
    assert got.columns == (("1", "3"), ("2", "4"))
    assert got.problems == ()


def test_too_many_and_too_few_fields_are_left_out_and_named(tmp_path: Path) -> None:
    got = table(tmp_path, "a,b\n1,2\n3,4,5\n6\n7,8,9,10\n11,12\n")
    assert got.columns[0] == ("1", "11")
    assert got.dropped == (("3", "4", "5"), ("6",), ("7", "8", "9", "10"))
    assert kinds(got) == [
        ("stray_comma", "t.csv line 3"),
        ("too_few_fields", "t.csv line 4"),
        ("stray_comma", "t.csv line 5"),
    ]
    assert all(problem.fatal for problem in got.problems)


def test_characters_that_cannot_stay_are_replaced_and_noted(tmp_path: Path) -> None:
    got = table(tmp_path, b"a,b\n1,caf\xe9\n2,x\0y\n3,\x1b[31mred\n4,caf\xc3\xa9 \xe2\x80\xaeevil\n5,fine\n")
    assert got.columns[1] == ("caf\ufffd", "x\ufffdy", "\ufffd[31mred", "café \ufffdevil", "fine")
    assert kinds(got) == [
        ("undecodable", "t.csv line 2"),
        ("control_character", "t.csv line 3"),
        ("control_character", "t.csv line 4"),
        ("control_character", "t.csv line 5"),
    ]
    assert not any(problem.fatal for problem in got.problems)


def test_names_in_any_writing_stay_as_they_are(tmp_path: Path) -> None:
    words = ("=1+1", "<b>x</b>", "日本語", "a:b/c\\d", "[red]", "no\u00a0break", "👕", "-", "NaN", "a\u200db")
    got = table(tmp_path, "a,b\n" + "".join(f"{word},1\n" for word in words))
    assert got.columns[0] == words
    assert got.problems == ()


def test_a_quoted_field_may_take_lines(tmp_path: Path) -> None:
    got = table(tmp_path, 'a,b\n1,"two\nlines"\n2,x\n')
    assert got.columns == (("1", "2"), ("two\ufffdlines", "x"))
    assert got.lines == (2, 4)
    assert kinds(got) == [("control_character", "t.csv line 2")]


def test_an_open_quote_costs_its_own_line_alone(tmp_path: Path) -> None:
    got = table(tmp_path, 'a,b\n1,x\n2,"open\n3,y\n4,z\n5,"closed"\n6,w\n')
    assert got.columns[0] == ("1", "3", "4", "5", "6")
    assert kinds(got) == [("unreadable_row", "t.csv line 3")]
    assert got.dropped == (("2", '"open'),)


def test_a_field_beyond_the_reader_costs_its_own_line_alone(tmp_path: Path) -> None:
    got = table(tmp_path, f"a,b\n1,{'x' * (csv.field_size_limit() + 1)}\n2,y\n")
    assert got.columns[0] == ("2",)
    assert kinds(got) == [("unreadable_row", "t.csv line 2")]


def test_many_open_quotes_do_not_take_forever(tmp_path: Path) -> None:
    got = table(tmp_path, "a,b\n" + '1,"x\n' * 20_000)
    assert Counter(problem.code for problem in got.problems) == {"unreadable_row": 19_999}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"A,b\n1,2\n", "has no column 'a'"),
        (b"a,a\n1,2\n", "has several columns"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        table(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert "t.csv" in str(caught.value)


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'articleType'"):
        table(tmp_path, "id,articleType\n", ("articletype",))


def test_no_table_a_pipe_and_a_link_that_leaves(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    with pytest.raises(DataError, match="no such file"):
        read_csv(DataFolder(root), "t.csv", ())
    (tmp_path / "outside.csv").write_text("a\n")
    (root / "t.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(DataError, match="out of the data folder"):
        read_csv(DataFolder(root), "t.csv", ())
    (root / "t.csv").unlink()
    os.mkfifo(root / "t.csv")
    with pytest.raises(DataError, match="a pipe"):
        read_csv(DataFolder(root), "t.csv", ())


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=8)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8))
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["a", "b", "c"], *rows])
    got = table(tmp_path_factory.mktemp("t"), out.getvalue())
    assert list(zip(*got.columns, strict=True)) == [
        tuple(printable(cell.strip()) for cell in cells) for cells in rows
    ]


@given(st.binary(max_size=80))
def test_any_bytes_after_the_header_are_read_or_listed(
    tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    got = table(tmp_path_factory.mktemp("t"), b"a,b\n" + body)
    assert all(len(column) == len(got.lines) for column in got.columns)
    assert all(printable(cell) == cell for column in got.columns for cell in column)
    assert all("\n" not in problem.why for problem in got.problems)
