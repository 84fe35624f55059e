"""Reviewed labels: written, edited, read back; what does not fit is one line."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import DataError, StoreError
from bench.data.corrections import COLUMNS, Suspect, corrected, write_suspects
from bench.data.examples import Examples
from bench.data.synthetic.marketplace import marketplace_sample

EXAMPLES = marketplace_sample("tiny")
LABEL = "category"


def suspects(examples: Examples = EXAMPLES) -> list[Suspect]:
    given = examples.columns[LABEL]
    other = next(name for name in given if name != given[0])
    return [
        Suspect(examples.items[0], given[0], other, 0.01, "looks like another, they say", "/a b/c.jpg"),
        Suspect(examples.items[5], given[5], given[5], 0.4, "price 1.00 where …", ""),
    ]


def edited(path: Path, **changes: str) -> Path:
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0].update(changes)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_what_is_written_is_used(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    write_suspects(path, suspects())
    got = corrected(EXAMPLES, LABEL, path)
    assert got.columns[LABEL][0] == suspects()[0].suggested
    assert got.columns[LABEL][1:] == EXAMPLES.columns[LABEL][1:]
    assert got.fingerprint != EXAMPLES.fingerprint and got.items == EXAMPLES.items
    assert corrected(EXAMPLES, LABEL, path) == got


def test_names_that_a_spreadsheet_would_run_are_kept_from_it(tmp_path: Path) -> None:
    """The table is made to be opened in one; what comes back are the names themselves."""
    names = {
        name: f"{sign}cmd" for name, sign in zip(sorted(set(EXAMPLES.columns[LABEL])), "=+-@", strict=False)
    }
    labels = tuple(names.get(name, "'=quoted") for name in EXAMPLES.columns[LABEL])
    examples = replace(EXAMPLES, columns={**EXAMPLES.columns, LABEL: labels})
    rows = [labels.index(name) for name in (*names.values(), "'=quoted")]
    asked = [labels[row] for row in reversed(rows)]
    path = tmp_path / "review.csv"
    write_suspects(
        path,
        [
            Suspect(examples.items[row], labels[row], new, 0.1, "", "")
            for row, new in zip(rows, asked, strict=True)
        ],
    )
    with open(path, encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.DictReader(file) for cell in row.values()]
    assert not any(cell.startswith(tuple("=+-@")) for cell in cells) and "'=cmd" in cells
    told = corrected(examples, LABEL, path).columns[LABEL]
    assert [told[row] for row in rows] == asked


def test_a_person_decides(tmp_path: Path) -> None:
    path = tmp_path / "review.csv"
    write_suspects(path, suspects())
    assert corrected(EXAMPLES, LABEL, edited(path, use=suspects()[0].given)) == EXAMPLES
    left_out = corrected(EXAMPLES, LABEL, edited(path, use=""))
    assert left_out.columns[LABEL][0] == ""
    other = corrected(EXAMPLES, LABEL, edited(path, use="Wallet"))
    assert other.columns[LABEL][0] == "Wallet"
    assert len({EXAMPLES.fingerprint, left_out.fingerprint, other.fingerprint}) == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"item": "nobody"}, "line 2: the data has no item 'nobody'"),
        ({"given": "Wardrobe"}, "in the data, not 'Wardrobe'"),
        ({"use": "Walet"}, "no example is 'Walet'; did you mean 'Wallet'"),
        (
            {"item": EXAMPLES.items[5], "given": EXAMPLES.columns[LABEL][5], "use": ""},
            "line 3: item .* is repeated",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(tmp_path: Path, changes: dict[str, str], says: str) -> None:
    path = tmp_path / "review.csv"
    write_suspects(path, suspects())
    with pytest.raises(DataError, match=says) as caught:
        corrected(EXAMPLES, LABEL, edited(path, **changes))
    assert "\n" not in str(caught.value)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="review.csv"):
        corrected(EXAMPLES, LABEL, tmp_path / "review.csv")
    (tmp_path / "x.csv").write_text("item,label\n1,2\n")
    with pytest.raises(DataError, match="no column 'given'"):
        corrected(EXAMPLES, LABEL, tmp_path / "x.csv")
    write_suspects(tmp_path / "review.csv", suspects())
    before = (tmp_path / "review.csv").read_bytes()
    with pytest.raises(StoreError, match="exists already"):
        write_suspects(tmp_path / "review.csv", [])
    assert (tmp_path / "review.csv").read_bytes() == before
    with pytest.raises(StoreError, match="cannot be written"):
        write_suspects(tmp_path / "nowhere" / "review.csv", [])
