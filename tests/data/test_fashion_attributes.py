"""Attributes made of the Kaggle columns: which values, which cells, and what stays unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.core.errors import DataError
from bench.data.fashion_attributes import COLUMNS, open_fashion_attributes, with_attributes
from bench.data.sources import SOURCES
from bench.data.synthetic.fashion import fashion_sample
from tests.data.folders import HEADER, encoded, kaggle_folder, picture


def row(item: int, gender: str = "Men", usage: str = "Casual", season: str = "Fall") -> str:
    return f"{item},{gender},Apparel,Topwear,Shirts,Blue,{season},2012,{usage},A shirt"


def test_frequent_values_become_attributes_and_empty_cells_unknown(tmp_path: Path) -> None:
    lines = [row(k) for k in range(1, 101)]
    lines[0] = row(1, "Women", "")
    lines[1] = row(2, "", "NA", "Winter")
    lines[2] = row(3, "men", "Formal", "nan")
    data = encoded(picture(1))
    images = {f"{k}.jpg": data for k in range(1, 101)}
    got = open_fashion_attributes(kaggle_folder(tmp_path / "d", lines, images), tmp_path / "c", ("year",))
    # One row of a hundred is enough; "men" is a value of its own.
    assert got.attributes == (
        *("gender: Men", "gender: Women", "gender: men", "masterCategory: Apparel", "subCategory: Topwear"),
        *("usage: Casual", "usage: Formal", "season: Fall", "season: Winter"),
    )
    assert [got.columns["gender: Women"][k] for k in (0, 1, 2, 3)] == ["1", "", "0", "0"]
    assert [got.columns["usage: Formal"][k] for k in (0, 1, 2, 3)] == ["", "", "1", "0"]
    assert [got.columns["season: Fall"][k] for k in (0, 1, 2, 3)] == ["1", "0", "", "1"]
    assert got.columns["articleType"] == ("Shirts",) * 100 and got.source == "fashion-attributes"
    assert Counter(problem.code for problem in got.problems) == {"one_value": 2}


def test_the_share_is_of_all_rows(tmp_path: Path) -> None:
    lines = [row(k, season="" if k > 2 else "Spring") for k in range(1, 202)]
    data = encoded(picture(1))
    folder = kaggle_folder(tmp_path / "d", lines, {f"{k}.jpg": data for k in range(1, 202)})
    assert "season: Spring" not in open_fashion_attributes(folder, tmp_path / "c", ()).attributes


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", ["1,x"], ["1"], "id,colour")
    with pytest.raises(DataError, match="no attribute can be made: none of gender"):
        open_fashion_attributes(folder, tmp_path / "c", ())
    folder = kaggle_folder(tmp_path / "e", [row(1) + ",1"], ["1"], HEADER + ",gender: Men")
    with pytest.raises(DataError, match="has a column 'gender: Men' already"):
        open_fashion_attributes(folder, tmp_path / "c", ())
    folder = kaggle_folder(tmp_path / "f", [row(1)], ["1"])
    with pytest.raises(DataError, match="no column 'yaer'; did you mean 'year'"):
        open_fashion_attributes(folder, tmp_path / "c", ("yaer",))


def test_the_drawn_sample_reads_back_as_it_was_drawn(tmp_path: Path) -> None:
    source = SOURCES["fashion-attributes"]
    drawn = source.draw("tiny")
    source.write(drawn, tmp_path / "d")
    got = source.read(tmp_path / "d", tmp_path / "c", (), False)
    assert (got.items, got.attributes) == (drawn.items, drawn.attributes)
    assert got.columns == {"id": got.items, **drawn.columns}
    assert drawn.source != fashion_sample("tiny").source
    assert with_attributes(fashion_sample("tiny"), "").fingerprint == drawn.fingerprint != got.fingerprint


def test_the_real_subset_against_pandas(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_data("fashion")
    got = open_fashion_attributes(folder, tmp_path, ())
    frame = pd.read_csv(folder / "styles.csv", on_bad_lines="skip").set_index("id")
    frame = frame.loc[[int(item) for item in got.items], list(COLUMNS)]
    expected = {
        f"{column}: {value}": (frame[column] == value).astype(float).where(frame[column].notna())
        for column in COLUMNS
        for value, count in frame[column].value_counts().items()
        if count >= 0.01 * len(frame)
    }
    assert set(got.attributes) == set(expected) and len(expected) == 26
    for name, values in expected.items():
        ours = pd.Series([float(cell or "nan") for cell in got.columns[name]])
        assert ours.equals(values.reset_index(drop=True)), name
