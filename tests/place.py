"""A folder to type the real command in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bench.runs.context import CHECKPOINTS
from bench.store.write import Store
from bench.training.nets.checkpoints import read_checkpoint
from tests import forked

ROOT = Path(__file__).resolve().parents[1]


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
        """Run a command, forked from a process that has imported TensorFlow; return what it wrote."""
        done = forked.run(args, self.folder, self.env)
        return checked(done.returncode, done.stdout, done.stderr, code)

    def started(self, *args: str, code: int = 0) -> tuple[str, str]:
        """Run a command in a process that is started anew, as a user does; return what it wrote."""
        process = self.start(*args)
        out, err = process.communicate(timeout=900)
        return checked(process.returncode, out, err, code)

    def draw_weights(self) -> str:
        """Write weights of a small net, drawn at random; return the file's name."""
        code = (
            "from bench.backbones.registry import build_backbone, get_backbone\n"
            "build_backbone(get_backbone('lenet'), (32, 32), 'random', 7).save_weights('lenet.weights.h5')"
        )
        subprocess.run([sys.executable, "-c", code], cwd=self.folder, env=self.env, check=True)
        return "lenet.weights.h5"

    def kill(self, *args: str, cache: str, epochs: int = 1) -> int:
        """Kill a command that trains a net once so many epochs are written down; return how many are."""
        running = self.start(*args, "--cache", cache)
        try:
            return _epochs_behind(self.folder / cache / CHECKPOINTS, epochs, running)
        finally:
            # The command and the process that trains, at once, as the machine's loss of power would.
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()

    @property
    def store(self) -> Store:
        return Store(self.folder / "results")


def checked(found: int, out: str, err: str, wanted: int) -> tuple[str, str]:
    """Return what a command wrote, that ended as is wanted."""
    assert found == wanted, f"exit {found}\n{out}\n{err}"
    assert "Traceback" not in out + err
    return out, err


def _epochs_behind(folder: Path, wanted: int, running: subprocess.Popen[str]) -> int:
    """Wait until a net in training has written down so many epochs, and return how many there are."""
    end = time.monotonic() + 600
    while time.monotonic() < end and running.poll() is None:
        found = [read_checkpoint(path) for path in folder.glob("[!.]*.npz")]
        behind = max((len(one.history) for one in found if one is not None), default=0)
        if behind >= wanted:
            return behind
        time.sleep(0.005)
    raise AssertionError("it wrote nothing down, or ended before it was killed")
