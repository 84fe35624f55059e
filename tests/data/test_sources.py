from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError, DataError
from bench.data.layout import Layout
from bench.data.sources import SAMPLE_SIZES, SOURCES, Source, open_source, sample_size
from tests.data.folders import kaggle_folder, row

WITHOUT_SAMPLE = {"folders", "table"}
"""Sources of any data, which is nobody's in particular."""


@pytest.mark.parametrize("name", sorted(SOURCES.keys() - WITHOUT_SAMPLE))
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


def test_a_source_may_do_without_a_sample(tmp_path: Path) -> None:
    source = Source(".kaggle:open_kaggle")
    folder = kaggle_folder(tmp_path / "d", [row("1")], ["1"])
    read = source.read(folder, tmp_path / "cache", ("articleType",))
    assert read.items == ("1",)
    with pytest.raises(DataError, match="no sample: name its data with --data DIR"):
        source.draw("tiny")
    with pytest.raises(DataError, match="cannot be written as a folder"):
        source.write(read, tmp_path / "out")


@pytest.mark.parametrize("name", sorted(WITHOUT_SAMPLE))
def test_a_source_of_any_data_asks_for_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sample: name its data with --data DIR"):
        open_source(name, None, "tiny", tmp_path / "cache", ())


@pytest.mark.parametrize("size", SAMPLE_SIZES)
@pytest.mark.parametrize("name", sorted(SOURCES.keys() - WITHOUT_SAMPLE))
def test_the_size_of_a_sample_is_read_from_its_source(name: str, size: str) -> None:
    assert sample_size(SOURCES[name].draw(size).source) == size


def test_data_of_ones_own_is_no_sample() -> None:
    assert sample_size("kaggle-fashion") is None


def test_columns_of_any_data_are_not_ignored_by_other_sources(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\[data\] is for the sources folders and table, .* 'listings'"):
        open_source("listings", None, "tiny", tmp_path, ("category",), layout=Layout(price="cost"))
