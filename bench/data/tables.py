"""Reader of untrusted CSV tables: valid records, and a list of problems."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, repeat

from bench.core.errors import DataError
from bench.core.regular_files import Refused
from bench.data.examples import Problem, require_columns
from bench.data.files import DataFolder

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that break lines, terminals, encodings or writing direction; replaced by U+FFFD."""

REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class CsvTable:
    """The m records of a file with as many fields as its header, and its problems.

    header: column names. columns: for each column, m stripped cells. lines: m line numbers, from 1, of the
    records' starts. dropped: the raw fields of the other records.
    """

    name: str
    header: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    dropped: tuple[tuple[str, ...], ...]
    problems: tuple[Problem, ...]

    def column(self, name: str) -> tuple[str, ...]:
        """Return the cells of the first column of this name."""
        return self.columns[self.header.index(name)]


def printable(text: str) -> str:
    """Return the text with control characters and undecodable bytes replaced by U+FFFD."""
    return CONTROL.sub(REPLACEMENT, text)


def read_csv(
    folder: DataFolder, name: str, required: Sequence[str], delimiters: str = ",", encoding: str = ""
) -> CsvTable:
    """Read a separated file of the data folder, with a header line.

    delimiters: the possible delimiters; the most frequent one in the header is used, and noted as
    `other_delimiter` if it is not the first. encoding: of files that are not UTF-8 (`other_encoding` is
    noted); "" reads them as UTF-8 with replacements.

    Accepts a byte order mark, any line ends, and quoted fields over several lines. Records with too many
    fields (`stray_comma`) or too few (`too_few_fields`) are left out; bytes that are not UTF-8
    (`undecodable`) and control characters (`control_character`) are replaced by U+FFFD. An unclosed quote
    costs its own line only (`unreadable_row`). Raises DataError if the table or a required column is missing.
    """
    where = f"{folder.root}/{name}"
    text, notes = read_text(folder, name, encoding)
    lines = list(io.StringIO(text, newline=""))
    delimiter = max(delimiters, key=lambda mark: lines[0].count(mark) if lines else 0)
    if delimiter != delimiters[0]:
        notes.append(Problem("other_delimiter", name, f"fields are separated by {delimiter!r}", fatal=False))
    records = _records(lines, delimiter)
    names = next(records, (1, [], True))[1]
    header = tuple(printable(cell.strip()) for cell in names)
    _check_header(header, required, where)
    table = _collect(name, header, records)
    return replace(table, problems=(*notes, *table.problems)) if notes else table


def read_text(folder: DataFolder, name: str, encoding: str) -> tuple[str, list[Problem]]:
    """Return the text of a file, and a note if it is not UTF-8 and another encoding may be tried."""
    try:
        raw = folder.read(name)
    except Refused as why:
        raise DataError(f"{folder.root}/{name}: {why}; the data folder must hold {name}") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{folder.root}/{name}: is UTF-16; save it as UTF-8")
    if encoding:
        try:
            return raw.decode("utf-8-sig"), []
        except UnicodeDecodeError as fault:
            note = f"not UTF-8 (byte {fault.start + 1}), read as {encoding}"
            return raw.decode(encoding, "replace"), [Problem("other_encoding", name, note, fatal=False)]
    return raw.decode("utf-8-sig", "replace"), []


def _check_header(header: tuple[str, ...], required: Sequence[str], where: str) -> None:
    if not any(header):
        raise DataError(f"{where}: is empty; its first line must name the columns")
    require_columns(f"{where}:", required, header)
    for column in required:
        if header.count(column) > 1:
            raise DataError(f"{where}: has several columns {column!r}; keep one")


def _collect(name: str, header: tuple[str, ...], records: Iterator[Record]) -> CsvTable:
    width = len(header)
    lines: list[int] = []
    good: list[list[str]] = []
    dropped: list[tuple[str, ...]] = []
    problems: dict[int, list[Problem]] = {}
    for line, fields, intact in records:
        if len(fields) == width and intact:
            lines.append(line)
            good.append(fields)
        elif fields:
            problems[line] = [_misfit(f"{name} line {line}", fields, intact, width)]
            dropped.append(tuple(fields))
    columns = []
    for title, cells in zip(header, zip(*good, strict=True) if good else ((),) * width, strict=True):
        stripped = tuple(map(str.strip, cells))
        if not _plain("".join(stripped)):
            for line, cell in zip(lines, stripped, strict=True):
                problems.setdefault(line, []).extend(_odd_characters(f"{name} line {line}", title, cell))
            stripped = tuple(map(printable, stripped))
        columns.append(stripped)
    ordered = tuple(problem for line in sorted(problems) for problem in problems[line])
    return CsvTable(name, header, tuple(columns), tuple(lines), tuple(dropped), ordered)


def _plain(text: str) -> bool:
    """Return whether there is nothing to replace; everything to replace is unprintable in Python."""
    return text.isprintable() and REPLACEMENT not in text


Record = tuple[int, list[str], bool]
"""The line it starts on (from 1), its fields, whether its quotes are valid."""


def _records(lines: Sequence[str], mark: str) -> Iterator[Record]:
    """Return all records, blank lines as records without fields.

    A record over several lines is accepted if its quotes are valid and it has as many fields as the header.
    Otherwise an unclosed quote has swallowed other lines: its own line is dropped, and reading resumes after
    it.
    """
    reader = csv.reader(lines, delimiter=mark)
    try:
        fields = list(reader)
    except csv.Error:
        return _careful_records(lines, mark)
    if len(fields) != len(lines):
        return _careful_records(lines, mark)
    return zip(count(1), fields, repeat(True), strict=False)


def _careful_records(lines: Sequence[str], mark: str) -> Iterator[Record]:
    """Read records over several lines.

    Lines are read only a few times: a line that opens a quote also ends what an earlier one swallowed.
    """
    start, width = 0, -1
    while start < len(lines):
        reader = csv.reader((lines[number] for number in range(start, len(lines))), delimiter=mark)
        before = 0
        for fields in _until_error(reader):
            taken, before = reader.line_num - before, reader.line_num
            line = start + before - taken
            if fields is None or (taken > 1 and not _believable(lines[line : line + taken], width, mark)):
                yield line + 1, lines[line].rstrip("\r\n").split(mark), False
                start = line + 1
                break
            width = len(fields) if width < 0 else width
            yield line + 1, fields, True
        else:
            return


def _believable(lines: Sequence[str], width: int, mark: str) -> bool:
    """Whether these lines are one record: the right number of fields, and quotes only around whole fields."""
    try:
        return [len(fields) for fields in csv.reader(lines, delimiter=mark, strict=True)] == [width]
    except csv.Error:
        return False


def _until_error(reader: Iterator[list[str]]) -> Iterator[list[str] | None]:
    """Yield the reader's records up to the first invalid one, for which None is yielded."""
    try:
        yield from reader
    except csv.Error:
        yield None


def _misfit(where: str, fields: Sequence[str], intact: bool, width: int) -> Problem:
    if not intact:
        return Problem(
            "unreadable_row", where, "an unclosed quote, or a field of more than 131,072 characters"
        )
    code = "stray_comma" if len(fields) > width else "too_few_fields"
    return Problem(code, where, f"{len(fields)} fields, but the header has {width}")


def _odd_characters(where: str, column: str, cell: str) -> list[Problem]:
    found = []
    if REPLACEMENT in cell:
        found.append(
            Problem("undecodable", where, f"{column}: bytes that are not UTF-8, replaced", fatal=False)
        )
    if CONTROL.search(cell):
        found.append(
            Problem("control_character", where, f"{column}: control characters, replaced", fatal=False)
        )
    return found
