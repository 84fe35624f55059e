"""Public sets: laid out as the tasks read them, or not at all; archives that are not safe are refused."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.core.errors import BenchError, DataError, StoreError
from bench.core.paths import shipped
from bench.data.examples import Examples
from bench.data.fetch import kaggle_sets
from bench.data.fetch.archives import unpack
from bench.data.fetch.lay_out import check_room, fetch, work_folder
from bench.data.fetch.records import Records
from bench.data.fetch.table import SETS, DataSet, find_sets, tasks_of
from bench.data.sources import SOURCES
from bench.data.task_card import find_cards
from tests.data.folders import encoded, kaggle_folder, picture, row
from tests.data.people_folders import people_folder
from tests.web import Site, serve


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        yield found


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return out.getvalue()


def contents(folder: Path, inside: str = "") -> dict[str, bytes]:
    """Return the files of a folder by their path below it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {f"{inside}{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}


def kaggle(folder: Path) -> Path:
    return kaggle_folder(folder, [row("1"), row("2", "Watches")], ("1", "2"))


def read(source: str, folder: Path, cache: Path) -> Examples:
    return SOURCES[source].read(folder, cache, ())


def served(site: Site, name: str, **files: bytes) -> DataSet:
    """Return the named set with its files on the site; checksums that the table has become theirs."""
    remote = []
    for file in SETS[name].files:
        content = site.files[f"/{file.name}"] = files[file.name.partition(".")[0].replace("-", "_")]
        digest = hashlib.sha256(content).hexdigest() if file.sha256 else None
        remote.append(replace(file, url=f"{site.url}/{file.name}", sha256=digest, size=len(content)))
    return replace(SETS[name], files=tuple(remote))


PAIRS = b"Ann_Lee\t1\t2\nAnn_Lee\t1\tBo\t1\n"
LISTS = {"pairsDevTrain": b"1\n" + PAIRS, "pairsDevTest": b"1\n" + PAIRS, "pairs": b"2\t1\n" + 2 * PAIRS}


@pytest.fixture
def lfw(site: Site, tmp_path: Path) -> DataSet:
    drawn = people_folder(tmp_path / "drawn", {"Ann_Lee": 3, "Bo": 2})
    (drawn / "pairs.txt").write_bytes(LISTS["pairs"])
    return served(site, "lfw", lfw=tar(contents(drawn / "lfw", "lfw/")), **LISTS)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "cache")


def refuse(data: DataSet, out: Path, records: Records) -> str:
    with pytest.raises(BenchError) as caught:
        fetch(data, out, records, lambda _: None)
    assert not out.exists() and "\n" not in str(caught.value)
    return str(caught.value)


def test_lfw_is_read_as_it_was_packed(lfw: DataSet, tmp_path: Path, records: Records) -> None:
    out = tmp_path / "data" / "lfw"
    fetch(lfw, out, records, lambda _: None)
    assert sorted(path.name for path in out.iterdir()) == [
        "lfw",
        "pairs.txt",
        "pairsDevTest.txt",
        "pairsDevTrain.txt",
    ]
    assert [path.name for path in out.parent.iterdir()] == ["lfw"]
    drawn, laid = (read("people", folder, tmp_path / "cache") for folder in (tmp_path / "drawn", out))
    assert laid.items == drawn.items and laid.columns == drawn.columns
    assert list(laid.pair_lists) == ["view1_train", "view1_test", "view2"]


def test_an_interrupted_fetch_continues(lfw: DataSet, site: Site, tmp_path: Path, records: Records) -> None:
    out = tmp_path / "lfw"
    site.breaks = [1000, 1000, 1000, 700]
    assert "the same command continues" in refuse(lfw, out, records)
    fetch(lfw, out, records, lambda _: None)
    assert [wanted for _, path, wanted in site.asked if path == "/lfw.tgz"] == ["", "bytes=700-"]
    assert not work_folder(out).exists()


def test_another_checksum_lays_out_nothing(
    lfw: DataSet, site: Site, tmp_path: Path, records: Records
) -> None:
    site.files["/pairs.txt"] = b"other"
    text = refuse(lfw, tmp_path / "lfw", records)
    assert "pairs.txt" in text and "nothing is laid out" in text
    assert not records.path.exists()


def test_a_file_put_there_by_hand_is_used_if_it_is_the_published_one(
    lfw: DataSet, site: Site, tmp_path: Path, records: Records
) -> None:
    out = tmp_path / "lfw"
    work_folder(out).mkdir()
    (work_folder(out) / "pairs.txt").write_bytes(b"other")
    assert "another checksum" in refuse(lfw, out, records)
    for name, content in site.files.items():
        (work_folder(out) / name[1:]).write_bytes(content)
    site.status = 503
    fetch(lfw, out, records, lambda _: None)
    assert (out / "pairs.txt").read_bytes() == LISTS["pairs"]


@pytest.fixture
def clothing(site: Site, tmp_path: Path) -> DataSet:
    drawn = tmp_path / "drawn"
    (drawn / "images").mkdir(parents=True)
    (drawn / "images.csv").write_text("image,sender_id,label,kids\na,1,Hat,False\nb,2,Polo,True\n")
    for seed, name in enumerate("ab"):
        (drawn / "images" / f"{name}.jpg").write_bytes(encoded(picture(seed)))
    packed = zipped(
        contents(drawn, "clothing-dataset-08b5/") | {"clothing-dataset-08b5/README.md": b"read me"}
    )
    return served(site, "clothing", clothing_dataset=packed)


def test_a_checksum_that_nobody_publishes_is_recorded_and_compared(
    clothing: DataSet, site: Site, tmp_path: Path, records: Records
) -> None:
    notices: list[str] = []
    fetch(clothing, tmp_path / "one", records, notices.append)
    assert any("checksum not known" in text and str(records.path) in text for text in notices)
    drawn, laid = (read("listings", tmp_path / name, tmp_path / "cache") for name in ("drawn", "one"))
    assert laid.items == drawn.items and laid.columns == drawn.columns
    site.files["/clothing-dataset.zip"] += b"\0"
    text = refuse(clothing, tmp_path / "two", records)
    assert "checksum" in text and str(records.path) in text


def test_orl_is_laid_out_at_the_top(site: Site, tmp_path: Path, records: Records) -> None:
    photo = encoded(picture())
    files = {f"att_faces/s{person}/1.jpg": photo for person in range(1, 41)} | {"att_faces/README": b"credit"}
    fetch(served(site, "orl", att_faces=zipped(files)), tmp_path / "orl", records, lambda _: None)
    assert len(read("people", tmp_path / "orl", tmp_path / "cache").items) == 40


def test_an_archive_of_something_else(site: Site, tmp_path: Path, records: Records) -> None:
    data = served(site, "clothing", clothing_dataset=zipped({"a/other.txt": b"other"}))
    assert "no folder with images.csv, images" in refuse(data, tmp_path / "clothing", records)
    assert not records.path.exists()


def test_fashion_comes_through_kagglehub(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    cached = tmp_path / "kagglehub" / "versions" / "1"
    for inside in ("fashion-dataset", "fashion-dataset/again"):
        kaggle(cached / inside)

    def downloaded(handle: str) -> str:
        asked.append(handle)
        return str(cached)

    monkeypatch.setattr(kaggle_sets, "_download", downloaded)
    fetch(SETS["fashion-full"], tmp_path / "fashion", records, lambda _: None, version=1)
    assert asked == ["paramaggarwal/fashion-product-images-dataset/versions/1"]
    assert sorted(path.name for path in (tmp_path / "fashion").iterdir()) == ["images", "styles.csv"]
    prints = [
        read("kaggle-fashion", folder, tmp_path / "cache").fingerprint
        for folder in (cached / "fashion-dataset", tmp_path / "fashion")
    ]
    assert prints[0] == prints[1]
    assert records.of(SETS["fashion-full"].page)["version"] == 1


def test_kaggle_out_of_reach_is_one_line(
    tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(handle: str) -> str:
        raise OSError("403 Client Error.\n\nYou don't have permission")

    monkeypatch.setattr(kaggle_sets, "_download", unreachable)
    text = refuse(SETS["fashion-small"], tmp_path / "fashion", records)
    assert "403 Client Error. You don't have permission" in text and "KAGGLE_KEY" in text


def test_an_empty_folder_is_filled_unless_it_is_the_current_one(
    lfw: DataSet, tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").mkdir()
    fetch(lfw, tmp_path / "new", records, lambda _: None)
    assert (tmp_path / "new" / "lfw").is_dir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(BenchError, match="is the current folder"):
        fetch(lfw, Path("."), records, lambda _: None)


def test_a_folder_that_holds_something_is_left_alone(lfw: DataSet, tmp_path: Path, records: Records) -> None:
    with pytest.raises(BenchError, match="not an empty folder"):
        fetch(lfw, tmp_path, records, lambda _: None)


def test_no_room() -> None:
    with pytest.raises(StoreError, match=r"GB are free"):
        check_room(Path("nowhere/data"), 10**18)


def test_a_record_that_cannot_be_read_is_one_line(records: Records) -> None:
    records.add("url", sha256="0" * 64)
    assert records.sha256("url") == "0" * 64 and records.sha256("other") is None
    records.path.write_text("{")
    with pytest.raises(StoreError, match="repair or delete it"):
        records.sha256("url")


# Hostile archives


def linked(name: str, kind: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        packed.addfile(info)
    return out.getvalue()


def zip_link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        info = zipfile.ZipInfo("images")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc")
    return out.getvalue()


def twice() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for content in (b"one", b"two"):
            info = tarfile.TarInfo("a/b")
            info.size = 3
            packed.addfile(info, io.BytesIO(content))
    return out.getvalue()


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "tar up": (lambda: tar({"../up": b"x"}), "not a path inside"),
    "tar absolute": (lambda: tar({"/tmp/up": b"x"}), "not a path inside"),
    "zip up": (lambda: zipped({"a/../../up": b"x"}), "not a path inside"),
    "zip absolute": (lambda: zipped({"/up": b"x"}), "not a path inside"),
    "zip backslash": (lambda: zipped({"..\\up": b"x"}), "not a path inside"),
    "drive": (lambda: zipped({"C:/up": b"x"}), "not a path inside"),
    "escape": (lambda: tar({"\x1b[2J/../up": b"x"}), r"\\x1b"),
    "deep": (lambda: tar({"a/" * 100 + "b": b"x"}), "not a path inside"),
    "symbolic link": (lambda: linked("lfw", tarfile.SYMTYPE), "link or a device"),
    "hard link": (lambda: linked("lfw", tarfile.LNKTYPE), "link or a device"),
    "pipe": (lambda: linked("lfw", tarfile.FIFOTYPE), "link or a device"),
    "device": (lambda: linked("lfw", tarfile.CHRTYPE), "link or a device"),
    "zip link": (zip_link, "link or a device"),
    "bomb": (lambda: tar({"big": bytes(3_000_000)}), "more than 2 MB"),
    "zip bomb": (lambda: zipped({"big": bytes(3_000_000)}), "more than 2 MB"),
    "twice": (twice, "twice"),
    "file as folder": (lambda: tar({"a": b"x", "a/b": b"x"}), "twice"),
    "cut tar": (lambda: tar({"a": os.urandom(90_000)})[:50_000], "damaged"),
    "cut zip": (lambda: zipped({"a": os.urandom(90_000)})[:50_000], "damaged"),
    "page of a login": (lambda: b"<html>Sign in</html>", "damaged"),
    "empty": (lambda: b"", "damaged"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_archive_that_is_not_safe_is_refused(what: str, tmp_path: Path) -> None:
    make, says = HOSTILE[what]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file.tgz").write_bytes(make())
    with pytest.raises(DataError, match=says) as caught:
        unpack(tmp_path / "in" / "file.tgz", tmp_path / "in" / "tree", 2_000_000)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in"] and not Path("/tmp/up").exists()
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["file.tgz", "tree"]


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.data.fetch.archives.MOST_FILES", 2)
    (tmp_path / "file.zip").write_bytes(zipped(dict.fromkeys("abc", b"x")))
    with pytest.raises(DataError, match="more than 2 files"):
        unpack(tmp_path / "file.zip", tmp_path / "tree", 100)


def test_a_hostile_archive_leaves_nothing_behind(site: Site, tmp_path: Path, records: Records) -> None:
    data = served(site, "clothing", clothing_dataset=zipped({"images/a.jpg": b"x", "../up": b"x"}))
    assert "refused" in refuse(data, tmp_path / "clothing", records)
    left = [path.name for path in work_folder(tmp_path / "clothing").iterdir()]
    assert left == ["lock"] and not records.path.exists()


# The table


def test_every_task_has_a_set() -> None:
    names = set(find_cards([shipped("tasks")]))
    assert names == {task for data in SETS.values() for task in tasks_of(data)}
    assert tasks_of(SETS["fashion-small"]) == {"fashion": (), "multilabel": ("--set", "source=fashion")}
    assert all(source in SOURCES for data in SETS.values() for source in data.sources)
    for name, data in SETS.items():
        assert (
            data.name == name and bool(data.files) != bool(data.kaggle) and data.page.startswith("https://")
        )
        for file in data.files:
            assert file.url.startswith("https://") and (file.sha256 is None or len(file.sha256) == 64)
        assert len(data.files) == len({file.name for file in data.files})


def test_names() -> None:
    assert [data.name for data in find_sets("faces")] == ["lfw", "lfw-funneled", "orl"]
    assert [data.name for data in find_sets("orl")] == ["orl"]
    with pytest.raises(BenchError, match="did you mean 'fashion'"):
        find_sets("fashoin")


def test_checksums_are_those_of_scikit_learn() -> None:
    spec = find_spec("sklearn")
    assert spec is not None and spec.origin is not None
    text = (Path(spec.origin).parent / "datasets" / "_lfw.py").read_text("utf-8")
    theirs = set(re.findall(r'url="([^"]+)",\s+checksum="(\w{64})"', text))
    ours = {(file.url, file.sha256) for name in ("lfw", "lfw-funneled") for file in SETS[name].files}
    assert ours == theirs
