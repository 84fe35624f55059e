"""Every file that a user names is a regular file of a sensible size, or one line; nothing hangs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.backbones.registry import get_backbone
from bench.backbones.weights import check_count, file_hash
from bench.compare.baselines.read import read_baseline
from bench.core.errors import BenchError
from bench.core.plugins import load as load_plugin
from bench.core.regular_files import MAX_FILE_BYTES, Refused, open_file, read_file
from bench.data.task_card import read_card
from bench.inference.class_lists import read_classes
from bench.kinds.verification.predictor import read_pairs
from bench.store.experiment_file import read_experiment

READERS: dict[str, Callable[[Path], object]] = {
    "task.toml": read_card,
    "baseline.json": read_baseline,
    "classes.toml": read_classes,
    "classes.csv": read_classes,
    "pairs.csv": read_pairs,
    "experiment.toml": read_experiment,
    "lenet.weights.h5": file_hash,
    "net.weights.h5": lambda path: check_count(path, get_backbone("lenet")),
    "net.keras": lambda path: check_count(path, get_backbone("lenet")),
    "plugin.py": lambda path: load_plugin(str(path)),
}
"""What reads a file that is named on the command line or lies in a folder named there, by its name."""


@pytest.fixture(params=["pipe", "device", "folder", "nothing"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path]:
    """Put something that is no file where one is looked for; links to it count as it."""

    def make(name: str) -> Path:
        path = tmp_path / name
        if request.param == "pipe":
            os.mkfifo(path)
        elif request.param == "device":
            path.symlink_to("/dev/zero")
        elif request.param == "folder":
            path.mkdir()
        return path

    return make


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_one_line(name: str, odd: Callable[[str], Path]) -> None:
    with pytest.raises(BenchError) as caught:
        READERS[name](odd(name))
    assert "\n" not in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("name", [name for name in READERS if not name.endswith((".h5", ".keras", ".py"))])
def test_a_huge_file_is_not_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(BenchError, match=r"MiB, more than 256"):
        READERS[name](path)


def test_a_file_that_grows_while_it_is_read_is_not_read_on(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 11)
    assert read_file(path, 11) == b"x" * 11
    # A file of /proc says that it is empty and is not.
    with pytest.raises(Refused, match="more than 0 MiB"):
        read_file("/proc/self/maps", 10)


def test_what_is_no_file_is_not_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(Refused):
            open_file(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(Refused):
        open_file(path)
