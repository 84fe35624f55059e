"""Downloads: whole or not at all, continued after an interruption, checked, one line for what goes wrong."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.core.download import ChecksumMismatch, download, size_of
from tests.web import Site, serve

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        found.files["/file.bin"] = CONTENT
        yield found


def fails(site: Site, path: Path, digest: str | None = SHA256, max_bytes: int | None = None) -> str:
    with pytest.raises(OSError) as caught:
        download(f"{site.url}/file.bin", path, digest, max_bytes)
    assert not path.exists() and "\n" not in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("digest", [SHA256, hashlib.md5(CONTENT).hexdigest(), None])
def test_a_file_comes_whole(site: Site, tmp_path: Path, digest: str | None) -> None:
    shown: list[tuple[int, int, str]] = []
    path = tmp_path / "new" / "file.bin"
    download(f"{site.url}/file.bin", path, digest, progress=lambda *step: shown.append(step))
    assert path.read_bytes() == CONTENT and names(path.parent) == ["file.bin"]
    assert shown[-1] == (5, 5, "file.bin, MB")


@pytest.mark.parametrize("digest", [SHA256, None])
def test_an_interrupted_download_continues(site: Site, tmp_path: Path, digest: str | None) -> None:
    path = tmp_path / "file.bin"
    site.breaks = [3_000_000, 1_000_000]
    assert "closed after 3,000,000 of 5,120,000" in fails(site, path, digest)
    assert "closed after 4,000,000 of 5,120,000" in fails(site, path, digest)
    download(f"{site.url}/file.bin", path, digest)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["file.bin"]
    assert [wanted for _, _, wanted in site.asked] == ["", "bytes=3000000-", "bytes=4000000-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    site.breaks = [3_000_000]
    fails(site, path, None)
    site.files["/file.bin"] = CONTENT[::-1]
    download(f"{site.url}/file.bin", path)
    assert path.read_bytes() == CONTENT[::-1]


def test_without_checksum_and_version_nothing_is_continued(site: Site, tmp_path: Path) -> None:
    path, site.etags = tmp_path / "file.bin", False
    site.breaks = [3_000_000]
    fails(site, path, None)
    download(f"{site.url}/file.bin", path)
    assert path.read_bytes() == CONTENT and site.asked[-1][2] == ""


def test_a_server_that_cannot_continue_sends_all_again(site: Site, tmp_path: Path) -> None:
    path, site.ranges = tmp_path / "file.bin", False
    site.breaks = [3_000_000]
    fails(site, path)
    download(f"{site.url}/file.bin", path, SHA256)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("arrived", [CONTENT, CONTENT + b"more"])
def test_a_part_with_nothing_behind_it(site: Site, tmp_path: Path, arrived: bytes) -> None:
    (tmp_path / "file.bin.part").write_bytes(arrived)
    download(f"{site.url}/file.bin", tmp_path / "file.bin", SHA256)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_checksum_leaves_nothing(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ChecksumMismatch, match="checksum"):
        download(f"{site.url}/file.bin", tmp_path / "file.bin", "0" * 64)
    assert names(tmp_path) == []


def test_server_errors(site: Site, tmp_path: Path) -> None:
    site.status = 503
    assert "503 (Service Unavailable)" in fails(site, tmp_path / "file.bin")
    site.status = 200
    site.files.clear()
    assert "404 (Not Found)" in fails(site, tmp_path / "file.bin")
    assert names(tmp_path) == []


def test_more_than_agreed(site: Site, tmp_path: Path) -> None:
    assert "more than 1 MB" in fails(site, tmp_path / "file.bin", max_bytes=1_000_000)
    assert names(tmp_path) == []


def test_no_server(tmp_path: Path) -> None:
    with serve() as gone:
        pass
    assert "Connection refused" in fails(gone, tmp_path / "file.bin")
    with pytest.raises(OSError, match="Connection refused"):
        size_of(f"{gone.url}/file.bin")
    assert names(tmp_path) == []


def test_two_downloads_of_one_file_do_not_mix(site: Site, tmp_path: Path) -> None:
    path, failed = tmp_path / "file.bin", []

    def work() -> None:
        try:
            download(f"{site.url}/file.bin", path, SHA256)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed and path.read_bytes() == CONTENT and names(tmp_path) == ["file.bin"]
    assert len(site.asked) == 1


def test_size_is_asked_for(site: Site) -> None:
    assert size_of(f"{site.url}/file.bin") == len(CONTENT)
    assert size_of(f"{site.url}/no.bin") is None
    site.lengths = False
    assert size_of(f"{site.url}/file.bin") is None
