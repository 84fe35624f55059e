"""Training gives the same bits in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

SCRIPT = """
from bench.backbones.determinism import make_deterministic
make_deterministic()
from tests.training import test_heads as test_cohort, test_nets
print([test_cohort.digest(), *test_nets.digests()])
"""


def test_another_process_gives_the_same_bits() -> None:
    root = Path(__file__).resolve().parents[2]
    runs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    ]
    first, second = (run.stdout.splitlines()[-1] for run in runs)
    assert first == second
    assert len(first) > 100
