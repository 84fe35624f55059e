"""Runs that are killed at random moments: nothing torn, and in the end every bit as if nobody had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kills import ROOT

pytest.importorskip("tensorflow")


@pytest.mark.slow
def test_kills_at_random_moments_tear_nothing_and_change_no_bit(tmp_path: Path) -> None:
    """Make 200 kills of every task and regime, and a few of commands that are started anew.

    In a process of its own: one that has used TensorFlow, as this one may have, cannot be forked.
    """
    command = ["-m", "benchmarks.kills", "--kills", "200", "--real", "4", "--folder", str(tmp_path)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stdout
