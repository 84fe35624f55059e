"""Rows of a cache file: read as NumPy would, checked each time, asked for anew where they are damaged."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import StoreError
from bench.data.cache.folders import Opened, RowFolder, write_digests
from bench.data.cache.rows import CheckedRows, RowFile, RowLayout, row_digests
from bench.data.cache.sealed import Damaged, read_sealed, write_sealed
from bench.runs.cache_entries import find_entries
from bench.runs.cache_upkeep import verify

VALUES = np.arange(20 * 3 * 2, dtype="<f4").reshape(20, 3, 2)
NAME = f"some-{'0f' * 8}"
LAYOUT = RowLayout("rows.f4", VALUES.shape, "<f4")


class Cache:
    """A folder of rows, and how often it was built."""

    def __init__(self, place: Path, values: np.ndarray = VALUES) -> None:
        self.folder = RowFolder(place / "some", "some cache", "some.json", {"of": "a test"})
        self.values, self.built = values, 0
        place.mkdir(parents=True, exist_ok=True)

    @property
    def file(self) -> Path:
        return self.folder.path / LAYOUT.name

    def build(self) -> None:
        import shutil

        self.built += 1
        shutil.rmtree(self.folder.path, ignore_errors=True)
        work = self.folder.path.with_name("some.part")
        work.mkdir()
        (work / LAYOUT.name).write_bytes(self.values.tobytes())
        self.folder.seal(work, {}, LAYOUT, row_digests(self.values))

    def ensure(self, bad: RowFile | None = None, why: str = "") -> Opened:
        return self.folder.ensure(self.build, lambda: None, bad, why)

    def rows(self) -> CheckedRows:
        return CheckedRows(self.ensure().file, lambda bad, why: self.ensure(bad, why).file)


def _flip(path: Path, at: int) -> None:
    """Change one bit in place, as a bad disk does: who has the file open sees it too."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> CheckedRows:
    return Cache(tmp_path_factory.mktemp("rows")).rows()


@given(
    st.one_of(
        st.integers(-20, 19),
        st.slices(20),
        st.lists(st.integers(-20, 19), max_size=30).map(lambda rows: np.array(rows, np.int64)),
        st.lists(st.booleans(), min_size=20, max_size=20).map(np.array),
        st.tuples(st.slices(20), st.integers(0, 2)),
        st.tuples(st.integers(0, 19), st.slices(3), st.integers(0, 1)),
    )
)
def test_rows_are_indexed_as_numpy_does(rows: CheckedRows, index: Any) -> None:
    np.testing.assert_array_equal(rows[index], VALUES[index])
    assert rows[index].shape == VALUES[index].shape


def test_rows_are_an_array_to_numpy(rows: CheckedRows) -> None:
    np.testing.assert_array_equal(np.asarray(rows), VALUES)
    np.testing.assert_array_equal(np.concatenate([rows, rows], axis=1), np.concatenate([VALUES] * 2, axis=1))
    assert (rows.shape, rows.ndim, len(rows)) == (VALUES.shape, 3, 20) and rows.dtype == np.float32
    with pytest.raises(IndexError):
        rows[20]
    with pytest.raises(ValueError, match="mask"):
        rows.read(np.ones(20, bool))


@pytest.mark.parametrize("shape", [(0, 3), (5, 7), (4, 2, 3), (3, 1)])
def test_digests_are_those_of_each_row_alone(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    import xxhash

    assert row_digests(values).tolist() == [xxhash.xxh3_64_intdigest(row.tobytes()) for row in values]


def test_a_row_damaged_while_the_file_is_open_is_built_again_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    rows = cache.rows()
    _flip(cache.file, 13 * LAYOUT.step + 5)
    np.testing.assert_array_equal(rows[:13], VALUES[:13])
    assert cache.built == 1 and not caplog.messages
    answers: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: answers.append(rows[10:])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        np.testing.assert_array_equal(answer, VALUES[10:])
    assert len(answers) == 4 and cache.built == 2
    assert caplog.messages == [
        "some cache some: row 13 of rows.f4 does not match its digest; it is built again"
    ]


def test_what_another_reader_has_built_again_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, other = Cache(tmp_path), Cache(tmp_path)
    rows, theirs = cache.rows(), other.rows()
    _flip(cache.file, 0)
    np.testing.assert_array_equal(rows[0], VALUES[0])
    np.testing.assert_array_equal(theirs[0], VALUES[0])
    assert (cache.built, other.built, len(caplog.messages)) == (2, 0, 1)


def test_a_disk_that_damages_everything_ends_in_one_line(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    rows = cache.rows()

    def again(bad: RowFile, why: str) -> RowFile:
        file = cache.ensure(bad, why).file
        _flip(cache.file, 3)
        return file

    rows._again = again
    _flip(cache.file, 3)
    with pytest.raises(StoreError, match="damaged repeatedly; check the disk") as caught:
        rows.read(np.arange(3))
    assert "\n" not in str(caught.value)


def test_what_is_removed_while_it_is_open_can_be_read_on(tmp_path: Path) -> None:
    import shutil

    cache = Cache(tmp_path)
    rows = cache.rows()
    shutil.rmtree(tmp_path)
    np.testing.assert_array_equal(np.asarray(rows), VALUES)
    assert cache.built == 1


@pytest.mark.parametrize("what", ["the whole cache", "what is being built"])
def test_what_is_removed_while_it_is_built_is_built_again(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    import shutil

    cache = Cache(tmp_path / "cache")
    plain = cache.folder.seal

    def removed(work: Path, *rest: object) -> None:
        if cache.built == 1:
            shutil.rmtree(tmp_path / "cache" if what == "the whole cache" else work)
        plain(work, *rest)  # type: ignore[arg-type]

    object.__setattr__(cache.folder, "seal", removed)
    np.testing.assert_array_equal(np.asarray(cache.rows()), VALUES)
    assert cache.built == 2
    assert caplog.messages == ["some cache some: removed while it was being built; it is built again"]


def test_a_cache_that_goes_whenever_it_is_built_ends_in_one_line(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def build() -> None:
        cache.built += 1

    with pytest.raises(StoreError, match="cannot be read back .removed while it was being built.; check"):
        cache.folder.ensure(build, lambda: None)
    assert cache.built == 3


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_folders_and_files_follow_the_umask(tmp_path: Path, umask: int) -> None:
    from bench.core.array_files import write_arrays
    from bench.data.pixels import ensure_pixels
    from tests.data.test_pixels import made

    before = os.umask(umask)
    try:
        ensure_pixels(made(3)[0], (12, 10), "squash", tmp_path / "cache")
        write_arrays(tmp_path / "cache" / "checkpoints" / "a.npz", {"a": VALUES}, make_folder=True)
    finally:
        os.umask(before)
    for path in (tmp_path / "cache").rglob("*"):
        if path.suffix != ".lock":
            wanted = (0o777 if path.is_dir() else 0o666) & ~umask
            assert path.stat().st_mode & 0o777 == wanted, path


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_stands_in_a_description_is_read_or_damaged(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "sealed.json"
    path.write_bytes(raw)
    with pytest.raises(Damaged):
        read_sealed(path)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        ("format", "name", "rows", "size", "origin", "shape", "dtype", "start", "head", "digests")
    ),
    _JSON,
)
def test_whatever_a_sealed_description_says_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    """Nobody writes such a thing by accident; still it is no reason for a traceback."""
    place = tmp_path_factory.getbasetemp() / "odd" / "features"
    path = place / NAME
    path.mkdir(parents=True, exist_ok=True)
    (path / "rows.f4").write_bytes(VALUES.tobytes())
    digests = write_digests(path / "digests.xxh3", row_digests(VALUES))
    told = {
        "format": 2,
        "name": NAME,
        "backbone": "b",
        "size": [1, 2],
        "origin": {"task": "t", "source": "s"},
        "rows": {**LAYOUT.to_json(), "digests": digests},
    }
    (told if field in told else told["rows"])[field] = value  # type: ignore[index]
    write_sealed(path / "features.json", told)
    [entry] = find_entries(place.parent)
    assert isinstance(verify(entry, lambda _: None), str)


def test_a_description_reads_back(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    write_sealed(tmp_path / "some.json", value)
    assert read_sealed(tmp_path / "some.json") == value
    text = (tmp_path / "some.json").read_text(encoding="utf-8")
    (tmp_path / "some.json").write_text(text.replace("2.5", "2.6"), encoding="utf-8")
    with pytest.raises(Damaged, match="does not match its digest"):
        read_sealed(tmp_path / "some.json")
    for raw in ("[" * 10**5, '{"digest": 1, "a": NaN}', '{"digest": "x"}', "[]", ""):
        (tmp_path / "some.json").write_text(raw, encoding="utf-8")
        with pytest.raises(Damaged):
            read_sealed(tmp_path / "some.json")
