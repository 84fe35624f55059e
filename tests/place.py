"""A folder to type the real command in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.store import Store

ROOT = Path(__file__).resolve().parent.parent


class Place:
    """A folder to type commands in, with its own results and cache."""

    out = err = ""
    """What the run of the fixture printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BENCH_CACHE": str(folder / "cache"),
            "BENCH_RESULTS": str(folder / "results"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bench", *args],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def bench(self, *args: str, code: int = 0) -> tuple[str, str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in out + err
        return out, err

    @property
    def store(self) -> Store:
        return Store(self.folder / "results")
