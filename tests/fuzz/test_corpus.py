"""What fuzzing found once, and whole inputs, go through every reader: announced errors only, and at once."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
SECONDS = 60
"""What hangs takes longer on any machine; what is read takes milliseconds."""


def run(name: str, folder: Path, data: bytes) -> bool:
    """Run a target; say whether it read the input. Anything but an announced error is raised."""
    target = TARGETS[name]
    began = time.perf_counter()
    try:
        target.run(folder, data)
    except target.allowed as error:
        assert "\n" not in str(error).strip()
        return False
    finally:
        assert time.perf_counter() - began < SECONDS
    return True


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_is_no_finding_any_more(path: Path, tmp_path: Path) -> None:
    run(path.parent.name, tmp_path, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_whole_inputs_are_read_and_damaged_ones_are_announced_errors(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(len(name))
    for seed in TARGETS[name].seeds():
        assert run(name, tmp_path, seed)
        for _ in range(25):
            data = bytearray(seed[: rng.integers(1, len(seed) + 1)])
            for place in rng.integers(0, len(data), 3):
                data[place] = rng.integers(0, 256)
            run(name, tmp_path, bytes(data))


def test_every_folder_of_the_corpus_is_a_target() -> None:
    assert {path.parent.name for path in FOUND} <= TARGETS.keys()
