"""Training gives the same bits in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

SCRIPT = """
from tests.models import test_cohort, test_nets
print([test_cohort.digest(), *test_nets.digests()])
"""


def test_another_process_gives_the_same_bits() -> None:
    from tests.models import test_cohort, test_nets

    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-1] == repr([test_cohort.digest(), *test_nets.digests()])
