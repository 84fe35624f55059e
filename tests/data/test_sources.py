from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.sources import SOURCES, open_source
from bench.errors import BenchError, DataError
from tests.data.folders import kaggle_folder, row


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_draws_a_sample_when_no_folder_is_given(name: str, tmp_path: Path) -> None:
    got = open_source(name, None, "tiny", tmp_path / "cache", ())
    assert len(got) > 50
    assert len(set(got.items)) == len(got.images.content_hashes()) == len(got)
    assert all(len(cells) == len(got) for cells in got.columns.values())
    assert got.images.read(0).shape[2] == 3
    assert got == open_source(name, None, "tiny", tmp_path / "cache", ())
    assert not (tmp_path / "cache").exists()


def test_a_folder_is_read_by_the_sources_reader(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1")], ["1"])
    got = open_source("kaggle-fashion", folder, "tiny", tmp_path / "cache", ("articleType",))
    assert got.items == ("1",)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="did you mean 'kaggle-fashion'"):
        open_source("kagle-fashion", None, "tiny", tmp_path, ())
    with pytest.raises(BenchError, match="did you mean 'tiny'"):
        open_source("kaggle-fashion", None, "tinny", tmp_path, ())
    with pytest.raises(DataError, match="no column 'articlType'; did you mean 'articleType'"):
        open_source("kaggle-fashion", None, "tiny", tmp_path, ("articlType",))
    with pytest.raises(DataError, match="does not exist"):
        open_source("kaggle-fashion", tmp_path / "none", "tiny", tmp_path, ())
