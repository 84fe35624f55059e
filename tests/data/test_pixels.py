from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from bench.backbones.inputs import pixels_for
from bench.backbones.names import parts_of
from bench.backbones.registry import get_backbone
from bench.core.errors import BenchError, DataError, StoreError
from bench.core.progress import no_progress
from bench.core.protocol import defaults
from bench.data import pixels
from bench.data.decoding import ImageFormat
from bench.data.examples import Examples, ImageError
from bench.data.images import resize
from bench.data.kaggle import open_kaggle
from bench.data.near_duplicate_cache import ensure_near_duplicates, missing_formats
from bench.data.pixels import Pixels, ensure_pixels
from bench.runs.run_job import prepare_pixels
from tests.data.folders import encoded, kaggle_folder, picture, png_header_only, row

SIZE = (12, 10)


@dataclass
class MadeImages:
    """Images made by their position; some cannot be decoded. Counts what is read."""

    count: int
    bad: dict[int, str] = field(default_factory=dict)
    reads: list[int] = field(default_factory=list)

    def read(self, index: int) -> np.ndarray:
        self.reads.append(index)
        if index in self.bad:
            raise ImageError(self.bad[index])
        return np.full((12, 10 + index % 2, 3), index % 251, np.uint8)

    def content_hashes(self) -> tuple[str, ...]:
        return tuple(str(index) for index in range(self.count))


def made(
    count: int, bad: dict[int, str] | None = None, fingerprint: str = "f"
) -> tuple[Examples, MadeImages]:
    images = MadeImages(count, bad or {})
    items = tuple(f"i{k}" for k in range(count))
    return Examples(items, {"kind": ("x",) * count}, images, fingerprint, "made"), images


def built(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "pixels").iterdir() if path.is_dir())


def whole(got: Pixels) -> np.ndarray:
    return got.read(np.arange(len(got)))


def test_rows_are_the_resized_images_and_are_decoded_once(tmp_path: Path) -> None:
    examples, images = made(75)
    calls: list[tuple[int, int, str]] = []
    got = ensure_pixels(examples, SIZE, "squash", tmp_path, lambda *call: calls.append(call))
    assert (len(got), got.size, got.problems) == (75, SIZE, ())
    assert got.sizes == {(12, 10): 38, (12, 11): 37}
    for index, image in enumerate(whole(got)):
        np.testing.assert_array_equal(image, resize(images.read(index), SIZE, "squash"))
    assert calls[-1] == (75, 75, "decoding to 10x12")
    assert [done for done, _, _ in calls] == sorted(done for done, _, _ in calls)
    images.reads.clear()
    again = ensure_pixels(examples, SIZE, "squash", tmp_path)
    assert images.reads == []
    assert again.key == got.key
    np.testing.assert_array_equal(whole(again), whole(got))


SMALL = ImageFormat((4, 5), "pad")


def test_other_forms_are_made_of_the_same_decoding(tmp_path: Path) -> None:
    examples, images = made(75)
    got = ensure_pixels(examples, SIZE, "squash", tmp_path / "one", also=[SMALL, ImageFormat(SIZE)])
    assert sorted(images.reads) == list(range(75)), "each image is decoded once"
    small = ensure_pixels(examples, SMALL.size, SMALL.mode, tmp_path / "one")
    assert len(images.reads) == 75 and len(built(tmp_path / "one")) == 2
    for own, mode, size in ((got, "squash", SIZE), (small, "pad", SMALL.size)):
        alone = ensure_pixels(examples, size, mode, tmp_path / "other")
        np.testing.assert_array_equal(whole(own), whole(alone))
        assert (own.key, own.sizes, own.problems) == (alone.key, alone.sizes, alone.problems)


def test_another_form_is_left_to_who_has_or_makes_it(tmp_path: Path) -> None:
    examples, images = made(9)
    ensure_pixels(examples, SMALL.size, SMALL.mode, tmp_path)
    (there,) = (tmp_path / "pixels").glob("5x4-*/pixels.u8")
    before = there.stat().st_ino
    ensure_pixels(examples, SIZE, "squash", tmp_path, also=[SMALL])
    assert there.stat().st_ino == before
    shutil.rmtree(there.parent)
    with FileLock(f"{there.parent}.lock"):
        ensure_pixels(examples, (7, 8), "squash", tmp_path, also=[SMALL])
        assert not there.exists()
    images.reads.clear()
    ensure_pixels(examples, SMALL.size, SMALL.mode, tmp_path)
    assert there.exists() and len(images.reads) == 9


def test_a_run_decodes_for_all_that_will_ask(tmp_path: Path) -> None:
    """Images of several sizes, and one search for near duplicates per data set."""
    examples, images = made(30)
    setting = {**defaults(), "input_size": "native"}
    cell = SimpleNamespace(setting=setting)
    context = SimpleNamespace(examples=examples, cache=tmp_path, progress=no_progress)
    prepare_pixels(context, SimpleNamespace(parts=parts_of("lenet+hog+tfidf"), cells=[cell]))  # type: ignore[arg-type]
    ensure_near_duplicates(examples, tmp_path)
    pixels_for(get_backbone("hog"), setting, examples, tmp_path, no_progress)
    assert sorted(images.reads) == list(range(30))
    assert missing_formats(examples, tmp_path) == ()


def test_cropped_pixels_have_a_place_of_their_own_and_others_the_one_they_had(tmp_path: Path) -> None:
    examples, images = made(5)
    plain = ensure_pixels(examples, SIZE, "squash", tmp_path)
    before = [1, examples.source, examples.fingerprint, *SIZE, "squash"]
    digest = hashlib.sha256(json.dumps(before, separators=(",", ":")).encode()).hexdigest()
    assert plain.key == f"10x12-squash-{digest[:16]}"
    cropped = ensure_pixels(examples, SIZE, "squash", tmp_path, crop=0.5)
    assert cropped.key != plain.key and built(tmp_path) == sorted({plain.key, cropped.key})
    for index, image in enumerate(whole(cropped)):
        np.testing.assert_array_equal(image, resize(images.read(index), SIZE, "squash", 0.5))
    assert cropped.sizes == plain.sizes


def test_what_changes_a_row_has_a_place_of_its_own(tmp_path: Path) -> None:
    examples, _ = made(3)
    other, _ = made(3, fingerprint="g")
    keys = {
        ensure_pixels(examples, SIZE, "squash", tmp_path).key,
        ensure_pixels(examples, SIZE, "pad", tmp_path).key,
        ensure_pixels(examples, (10, 12), "squash", tmp_path).key,
        ensure_pixels(other, SIZE, "squash", tmp_path).key,
    }
    assert len(keys) == 4
    assert built(tmp_path) == sorted(keys)


def test_undecodable_images_are_quarantined(tmp_path: Path) -> None:
    examples, _ = made(70, {2: "truncated", 40: "too many pixels: 9x9, more than 64 million"})
    for _ in range(2):
        got = ensure_pixels(examples, SIZE, "squash", tmp_path)
        assert np.flatnonzero(~got.ok).tolist() == [2, 40] == list(got.quarantine)
        assert [(p.code, p.where, p.fatal) for p in got.problems] == [
            ("truncated", "image i2", True),
            ("too_many_pixels", "image i40", True),
        ]
        assert (got.read(np.array([2, 40])) == 0).all()
        assert (got.read(np.array([39])) != 0).all()
    with pytest.raises(ValueError, match="read-only"):
        got.ok[0] = False


def test_hostile_files_end_in_quarantine(tmp_path: Path) -> None:
    good = encoded(picture(1, 40, 40), quality=95)
    images = {
        "1.jpg": good,
        "2.jpg": good[: len(good) // 2],
        "3.jpg": b"",
        "4.jpg": b"hello",
        "5.jpg": png_header_only(30_000, 30_000),
    }
    folder = kaggle_folder(tmp_path / "d", [row(str(k)) for k in range(1, 6)], images)
    examples = open_kaggle(folder, tmp_path / "cache", ("articleType",))
    got = ensure_pixels(examples, SIZE, "squash", tmp_path / "cache")
    kinds = [problem.code for problem in got.problems]
    assert kinds == ["truncated", "empty_file", "not_an_image", "too_many_pixels"]
    assert got.ok.tolist() == [True, False, False, False, False]


@given(st.lists(st.integers(0, 49), max_size=60))
def test_any_rows_in_any_order(rows_file: Pixels, rows: list[int]) -> None:
    got = rows_file.read(np.array(rows, np.int64))
    assert got.shape == (len(rows), *SIZE, 3)
    np.testing.assert_array_equal(got[:, 0, 0, 0], rows)
    out = np.empty_like(got)
    assert rows_file.read(np.array(rows, np.int32), out) is out
    np.testing.assert_array_equal(out, got)


@given(st.integers(1, 60), st.integers(0, 4), st.one_of(st.none(), st.lists(st.integers(0, 49), max_size=30)))
def test_batches_give_every_row_in_order(
    rows_file: Pixels, batch_size: int, ahead: int, rows: list[int] | None
) -> None:
    chosen = None if rows is None else np.array(rows, np.int64)
    parts = list(rows_file.batches(batch_size, chosen, ahead))
    wanted = list(range(50)) if rows is None else rows
    assert [int(place) for places, _ in parts for place in places] == wanted
    assert [int(image[0, 0, 0]) for _, images in parts for image in images] == wanted
    assert all(len(images) == batch_size for _, images in parts[:-1])


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    return ensure_pixels(made(50)[0], SIZE, "squash", tmp_path_factory.mktemp("cache"))


def test_reading_what_is_not_there(rows_file: Pixels) -> None:
    for rows in ([50], [-1]):
        with pytest.raises(IndexError):
            rows_file.read(np.array(rows))
    with pytest.raises(ValueError, match="mask"):
        rows_file.read(np.ones(50, bool))
    with pytest.raises(ValueError, match="contiguous uint8"):
        rows_file.read(np.arange(2), np.empty((2, *SIZE, 3), np.float32))


def test_leaving_the_batches_early_is_fine(rows_file: Pixels) -> None:
    for places, _ in rows_file.batches(4):
        if places[0] == 8:
            break
    assert rows_file.read(np.array([3]))[0, 0, 0, 0] == 3


@pytest.mark.parametrize("damage", ["no meta", "bad meta", "short rows", "no rows", "other count"])
def test_a_damaged_cache_is_built_again(tmp_path: Path, damage: str) -> None:
    examples, _ = made(9)
    wanted = whole(ensure_pixels(examples, SIZE, "squash", tmp_path))
    folder = tmp_path / "pixels" / built(tmp_path)[0]
    meta, rows = folder / pixels.META_FILE, folder / pixels.ROWS_FILE
    if damage == "no meta":
        meta.unlink()
    elif damage == "bad meta":
        meta.write_text("{")
    elif damage == "other count":
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "count": 8}))
    elif damage == "short rows":
        os.truncate(rows, 100)
    else:
        rows.unlink()
    np.testing.assert_array_equal(whole(ensure_pixels(examples, SIZE, "squash", tmp_path)), wanted)


def test_rows_cut_off_after_opening_are_decoded_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    got = ensure_pixels(made(9)[0], SIZE, "squash", tmp_path)
    wanted = whole(got)
    os.truncate(tmp_path / "pixels" / got.key / pixels.ROWS_FILE, 100)
    np.testing.assert_array_equal(whole(got), wanted)
    [line] = caplog.messages
    assert line == f"pixel cache {got.key}: pixels.u8 has 100 bytes, not 3,240; it is built again"


def test_no_space_is_told_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, images = made(9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 100))
    with pytest.raises(StoreError, match="GiB are free"):
        ensure_pixels(examples, SIZE, "squash", tmp_path)
    assert images.reads == []
    assert built(tmp_path) == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, _ = made(200)
    room = iter(range(50))

    def full(*_: Any) -> int:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return 12 * 10 * 3

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        ensure_pixels(examples, SIZE, "squash", tmp_path)
    assert "\n" not in str(caught.value)
    assert built(tmp_path) == []


def test_a_file_size_limit_is_one_line(tmp_path: Path) -> None:
    script = """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
        try:
            ensure_pixels(made(200)[0], SIZE, "squash", cache)
        except StoreError as error:
            print(error)
    """
    done = _python(script, tmp_path)
    out, _ = done.communicate()
    assert "File too large" in out
    assert out.count("\n") == 1
    assert built(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StoreError, match="choose another --cache DIR"):
        ensure_pixels(made(3)[0], SIZE, "squash", tmp_path / "cache")


def test_an_error_while_reading_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, images = made(500)

    def changed(index: int) -> np.ndarray:
        if index == 100:
            raise DataError("it changed")
        return np.zeros((*SIZE, 3), np.uint8)

    monkeypatch.setattr(images, "read", changed)
    with pytest.raises(DataError, match="it changed"):
        ensure_pixels(examples, SIZE, "squash", tmp_path)
    assert built(tmp_path) == []


def test_an_unknown_resize_mode(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="did you mean 'squash'"):
        ensure_pixels(made(3)[0], SIZE, "squish", tmp_path)


def test_no_images_at_all(tmp_path: Path) -> None:
    got = ensure_pixels(made(0)[0], SIZE, "squash", tmp_path)
    assert len(got) == 0
    assert list(got.batches(4)) == []


def _python(script: str, cache: Path, gate: Path | None = None) -> subprocess.Popen[str]:
    """Start a script that has this module's names and `cache`.

    gate: a file for whose being there a stopped build waits.
    """
    head = "import sys, time; from tests.data.test_pixels import *\ncache = Path(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(script), str(cache), str(gate)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )


STOPPED_BUILD = """
    examples, images = made(400)
    plain = images.read
    def stopped(index):
        while index > 100 and not Path(sys.argv[2]).exists():
            time.sleep(0.005)
        return plain(index)
    images.read = stopped
    print("reading", flush=True)
    got = ensure_pixels(examples, SIZE, "squash", cache)
    print(len(images.reads))
"""


def _wait_for(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not met():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_killed_in_the_middle_then_built_again(tmp_path: Path) -> None:
    process = _python(STOPPED_BUILD, tmp_path, tmp_path / "never")
    _wait_for(lambda: any((tmp_path / "pixels").glob(f"*{pixels._UNFINISHED}*/{pixels.ROWS_FILE}")))
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(built(tmp_path)) == 1
    assert not any((tmp_path / "pixels").glob(f"*/{pixels.META_FILE}"))
    examples, images = made(400)
    got = ensure_pixels(examples, SIZE, "squash", tmp_path)
    assert len(images.reads) == 400
    assert built(tmp_path) == [got.key]
    clean = ensure_pixels(examples, SIZE, "squash", tmp_path / "clean")
    for name in (pixels.ROWS_FILE, pixels.META_FILE):
        mine, theirs = (
            (tmp_path / "pixels" / got.key / name),
            (tmp_path / "clean" / "pixels" / clean.key / name),
        )
        assert mine.read_bytes() == theirs.read_bytes()


def test_leftovers_of_other_builds_go_too_but_not_those_at_work(tmp_path: Path) -> None:
    process = _python(STOPPED_BUILD, tmp_path, tmp_path / "gate")
    _wait_for(lambda: any((tmp_path / "pixels").glob(f"*{pixels._UNFINISHED}*/{pixels.ROWS_FILE}")))
    at_work = built(tmp_path)
    dead = tmp_path / "pixels" / f"10x12-squash-dead{pixels._UNFINISHED}x"
    dead.mkdir()
    ensure_pixels(made(3, fingerprint="other")[0], SIZE, "squash", tmp_path)
    assert not dead.exists()
    assert set(at_work) <= set(built(tmp_path))
    (tmp_path / "gate").touch()
    out, _ = process.communicate()
    assert out.split() == ["reading", "400"]
    assert len(built(tmp_path)) == 2


def test_two_builders_at_once_decode_once(tmp_path: Path) -> None:
    running = [_python(STOPPED_BUILD, tmp_path, tmp_path) for _ in range(2)]
    counts = sorted(int(process.communicate()[0].split()[-1]) for process in running)
    assert counts == [0, 400]
    assert len(built(tmp_path)) == 1


def test_waiting_for_another_builder_is_told(tmp_path: Path) -> None:
    process = _python(STOPPED_BUILD, tmp_path, tmp_path / "gate")
    _wait_for(lambda: any((tmp_path / "pixels").glob(f"*{pixels._UNFINISHED}*/{pixels.ROWS_FILE}")))
    said: list[str] = []

    def progress(_done: int, _total: int, what: str) -> None:
        said.append(what)
        (tmp_path / "gate").touch()

    ensure_pixels(made(400)[0], SIZE, "squash", tmp_path, progress)
    assert said == ["waiting for another process to decode the same images"]
    process.communicate()


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """1,500 images of 224 x 224 are 215 MiB of rows; building and reading them takes a fraction of that."""
    script = """
        import resource
        class Plain(MadeImages):
            def read(self, index):
                return np.full((224, 224, 3), index % 251, np.uint8)
        def peak():
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        def run(count):
            base = made(count, fingerprint=str(count))[0]
            examples = Examples(base.items, base.columns, Plain(count), base.fingerprint, base.source)
            got = ensure_pixels(examples, (224, 224), "squash", cache)
            seen = sum(len(images) for _, images in got.batches(32))
            order = np.random.default_rng(0).permutation(count)
            for start in range(0, count, 32):
                got.read(order[start : start + 32])
            assert seen == count
            return peak()
        first = run(200)
        print(run(1_500) - first)
    """
    out, _ = _python(script, tmp_path).communicate()
    assert int(out) < 60


def test_the_real_images(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    examples = open_kaggle(real_data("fashion"), tmp_path, ("articleType",))
    some = 300
    few = Examples(
        examples.items[:some],
        {name: cells[:some] for name, cells in examples.columns.items()},
        examples.images,
        "part",
        examples.source,
    )
    got = ensure_pixels(few, (224, 224), "squash", tmp_path)
    assert got.ok.all()
    assert got.sizes == {(224, 224): some}
    np.testing.assert_array_equal(got.read(np.array([17]))[0], examples.images.read(17))
