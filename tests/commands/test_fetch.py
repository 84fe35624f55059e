"""`bench data fetch` and `bench fetch-weights`: what they show before a download, and what they leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.backbones.registry import get_backbone
from bench.backbones.weights import imagenet_file
from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.data.fetch import kaggle_sets
from bench.data.fetch.table import SETS
from tests.data.folders import kaggle_folder, row
from tests.web import Site, serve


def bench(*args: object) -> Any:
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        yield found


@pytest.fixture
def lists(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A set of two small files, one without a published checksum, under the name of a task's first set."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    site.files |= {"/pairs.txt": b"1\t1\n", "/pairsDevTest.txt": b"1\n"}
    files = tuple(
        replace(file, url=f"{site.url}/{file.name}", sha256=digest, size=None)
        for file, digest in (
            (SETS["lfw"].files[2], hashlib.sha256(b"1\t1\n").hexdigest()),
            (SETS["lfw"].files[1], None),
        )
    )
    keeps = ("pairs.txt", "pairsDevTest.txt")
    monkeypatch.setattr(
        "bench.data.fetch.table.SETS", {"lfw": replace(SETS["lfw"], files=files, keeps=keeps)}
    )
    return str(tmp_path / "data")


def test_the_list_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", None)
    monkeypatch.setattr("socket.getaddrinfo", None)
    rows = json.loads(bench("data", "fetch", "--list", "--format", "json").stdout)
    assert [row["set"] for row in rows] == list(SETS)
    done = bench("data", "fetch", "faces", "--list")
    assert "lfw-funneled" in done.stdout and "fashion" not in done.stdout


def test_size_licence_and_checksum_come_before_the_question(lists: str, site: Site) -> None:
    done = bench("data", "fetch", "faces", "--out", lists)
    assert isinstance(done.exception, BenchError) and "add --yes" in str(done.exception)
    assert {method for method, _, _ in site.asked} == {"HEAD"} and not Path(lists).exists()
    digest = hashlib.sha256(b"1\t1\n").hexdigest()
    assert f"pairs.txt  4 B, SHA-256 {digest}" in done.stdout
    assert "pairsDevTest.txt  2 B, checksum not known" in done.stdout
    assert "licence  none; published for research" in done.stdout


def test_a_set_is_laid_out_and_the_next_commands_are_shown(lists: str) -> None:
    done = bench("data", "fetch", "faces", "--out", lists, "--yes")
    assert done.exception is None, done.exception
    assert sorted(path.name for path in Path(lists).iterdir()) == ["pairs.txt", "pairsDevTest.txt"]
    assert f"bench data check --task faces --data {lists}" in done.stdout
    assert "checksum not known; recorded in" in done.stderr
    again = bench("data", "fetch", "faces", "--out", lists, "--yes").exception
    assert isinstance(again, BenchError) and "not an empty folder" in str(again)


def test_kaggle_is_asked_for_size_and_licence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class View:
        total_bytes, license_name, current_version_number = 592_811_000, "MIT", 7

    cached = kaggle_folder(tmp_path / "cached", [row("1"), row("2")], ("1", "2"))
    asked: list[str] = []
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kaggle_sets, "_view", lambda handle: View)

    def downloaded(handle: str) -> str:
        asked.append(handle)
        return str(cached)

    monkeypatch.setattr(kaggle_sets, "_download", downloaded)
    done = bench("data", "fetch", "multilabel", "--out", tmp_path / "out", "--yes")
    assert done.exception is None, done.exception
    assert "592.8 MB, version 7" in done.stdout and "licence  MIT" in done.stdout
    assert f"--data {tmp_path / 'out'} --set source=fashion" in done.stdout
    assert asked == ["paramaggarwal/fashion-product-images-small/versions/7"]
    # From then on it is the version that came first.
    View.current_version_number = 8
    assert "version 7" in bench("data", "fetch", "fashion", "--out", tmp_path / "new").stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "--list"),
        (("fashoin",), "did you mean 'fashion'?"),
        (("lfw", "--out", ""), "--out is empty"),
        (("lfw", "--out", "."), "not an empty folder"),
    ],
)
def test_bad_arguments_of_data_fetch(args: tuple[str, ...], says: str) -> None:
    error = bench("data", "fetch", *args).exception
    assert isinstance(error, BenchError) and says in str(error)


# Weights


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("BENCH_KERAS_HOME", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


def test_weights_are_listed_without_keras_or_a_network(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", None)
    rows = json.loads(bench("fetch-weights", "--list", "--format", "json").stdout)
    assert len(rows) > 50 and {row["state"] for row in rows} <= {"missing", "present"}
    home.mkdir(parents=True)
    path = imagenet_file(get_backbone("mobilenet_025"), (128, 128))
    assert path is not None and path.name == "mobilenet_2_5_128_tf_no_top.h5"
    path.write_bytes(b"12345")
    done = bench("fetch-weights", "mobilenet_025", "--input-size", "128", "--format", "json")
    (row,) = json.loads(done.stdout)
    assert (
        done.return_value == 0 and row["state"] == "present" and row["size"] == 5 and row["file"] == str(path)
    )


@pytest.fixture
def published(home: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site in place of Keras's."""
    import urllib.request

    original = urllib.request.urlopen

    def urlopen(request: urllib.request.Request, **options: Any) -> Any:
        moved = urllib.request.Request(
            f"{site.url}/{request.full_url.rpartition('/')[2]}", headers=request.headers
        )
        return original(moved, **options)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return site


def test_weights_come_loaded_or_fail_alone(published: Site, home: Path, tmp_path: Path) -> None:
    from bench.backbones.registry import build_backbone

    info = get_backbone("mobilenet_025")
    build_backbone(info, info.input_size, "random").save(tmp_path / "file.h5")
    path = imagenet_file(info, info.input_size)
    assert path is not None
    published.files[f"/{path.name}"] = (tmp_path / "file.h5").read_bytes()
    asked = bench("fetch-weights", "mobilenet_025").exception
    assert isinstance(asked, BenchError) and "add --yes" in str(asked) and not published.asked
    done = bench("fetch-weights", "mobilenet_050+mobilenet_025", "--yes")
    assert done.return_value == 4 and path.is_file() and f"mobilenet_025: {path}" in done.stderr
    assert "no ImageNet weights for mobilenet_050" in done.stderr and "404 (Not Found)" in done.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "name the backbones"),
        (("mobilnet_025",), "did you mean 'mobilenet_025'?"),
        (("lenet",), "no published ImageNet weights"),
        (("hog",), "no published ImageNet weights"),
        (("mobilenet_025", "--input-size", "big"), "--input-size"),
        (("mobilenet_025", "--input-size", "8"), "at least 32x32"),
    ],
)
def test_bad_arguments_of_fetch_weights(args: tuple[str, ...], says: str) -> None:
    error = bench("fetch-weights", *args).exception
    assert isinstance(error, BenchError) and says in str(error)
