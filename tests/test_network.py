"""No command reaches another machine, or writes outside results, cache, --out and TMPDIR."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.core.paths import search_path
from bench.data.task_card import REGIMES, find_cards
from bench.inference.serving_formats import FORMATS
from tests.forked import Server
from tests.place import ROOT, Place, checked

GUARD = Path(__file__).parent / "guard"
TASKS = tuple(find_cards(search_path("tasks")))
ENGINES = ("auto", "tensorflow")
"""As it is by default, with OpenVINO, and as it is where a GPU is."""

METHODS = {
    ("faces", "frozen"): "pair_logistic",
    ("faces", "scratch"): "siamese",
    ("faces", "finetune"): "siamese",
    ("marketplace", "frozen"): "clean(confident)" if find_spec("cleanlab") else "none",
}


class Guarded(Place):
    """A place whose commands cannot leave the machine, with a home folder that must stay empty."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.log, self.home = folder / "guard.log", folder / "home"
        for path in (self.home, folder / "tmp"):
            path.mkdir()
        for name in ("KERAS_HOME", "MPLCONFIGDIR", "KAGGLEHUB_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            self.env.pop(name, None)
        allowed = (folder / name for name in ("cache", "results", "tmp", "out"))
        self.env |= {
            "HOME": str(self.home),
            "TMPDIR": str(folder / "tmp"),
            "GUARD_LOG": str(self.log),
            "GUARD_FOLDERS": os.pathsep.join(map(str, allowed)),
            "PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if (compiler := shutil.which("cc")) is not None:
            library = folder / "refuse.so"
            flags = ("-shared", "-fPIC", "-O1", "-o", str(library), str(GUARD / "refuse.c"), "-ldl")
            subprocess.run([compiler, *flags], check=True)
            self.env["LD_PRELOAD"] = str(library)

    def bench(self, *args: str, code: int = 0) -> tuple[str, str]:
        """Run a command, forked from a process that was guarded from its start."""
        done = self.server.run(args, self.folder, self.env)
        return checked(done.returncode, done.stdout, done.stderr, code)

    @cached_property
    def server(self) -> Server:
        """Return the process from which commands are forked."""
        return Server(self.env)

    def python(self, code: str) -> str:
        """Run a few lines of Python in a guarded process; return what they print."""
        done = subprocess.run(
            [sys.executable, "-c", code], env=self.env, capture_output=True, text=True, check=True
        )
        return done.stdout

    def attempts(self) -> list[str]:
        """Return what was tried, and what lies in the home folder."""
        tried = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [*tried, *(f"in HOME: {path.relative_to(self.home)}" for path in self.home.rglob("*"))]


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    return Guarded(tmp_path)


def test_the_guard_notices(guarded: Guarded) -> None:
    """A test that cannot fail would prove nothing."""
    guarded.python(
        "import os, socket\n"
        "for call in (lambda: socket.create_connection(('192.0.2.1', 80), 1),\n"
        "             lambda: socket.getaddrinfo('example.org', 80),\n"
        "             lambda: open(os.path.expanduser('~/stray'), 'w').close()):\n"
        "    try: call()\n"
        "    except OSError: pass\n"
        "socket.getaddrinfo('localhost', 80)\n"
    )
    found = "\n".join(guarded.attempts())
    for part in ("getaddrinfo 192.0.2.1", "getaddrinfo example.org", "write", "in HOME: stray"):
        assert part in found
    assert "localhost" not in found


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_guard_notices_native_code(guarded: Guarded) -> None:
    guarded.python(
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "found = ctypes.c_void_p()\n"
        "assert libc.getaddrinfo(b'example.org', None, None, ctypes.byref(found)) != 0\n"
        "address = bytes([2, 0, 0, 80, 192, 0, 2, 1]) + bytes(8)\n"
        "assert libc.connect(libc.socket(2, 1, 0), address, 16) == -1\n"
    )
    assert guarded.attempts() == ["native getaddrinfo example.org", "native connect 192.0.2.1"]


def test_openvino_reports_to_nobody(guarded: Guarded) -> None:
    code = "from bench.backbones.engines import import_openvino as ov\nprint(ov().Core().available_devices)"
    assert "CPU" in guarded.python(code)
    assert guarded.attempts() == []


def test_openvino_is_imported_in_one_place_and_in_the_program_that_users_copy() -> None:
    files = [
        path for path in (ROOT / "bench").rglob("*.py") if "import openvino\n" in path.read_text("utf-8")
    ]
    assert sorted(path.name for path in files) == ["engines.py", "serving_script.py"]


def test_keras_and_matplotlib_leave_the_home_folder_alone(guarded: Guarded) -> None:
    code = (
        "from bench.core.paths import keep_library_files, keras_models\n"
        "keep_library_files()\n"
        "import matplotlib.pyplot\n"
        "import importlib.util, os\n"
        "print(keras_models(), os.environ['KERAS_HOME'])"
    )
    models, keras = guarded.python(code).split()
    assert models == str(guarded.home / ".keras" / "models")
    assert Path(keras).is_relative_to(guarded.folder / "cache")
    assert guarded.attempts() == []


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_nothing_of_a_task_leaves_the_machine(guarded: Guarded, task: str) -> None:
    """One cell of every regime and engine, then what is made of stored cells."""
    weights = guarded.draw_weights()
    (guarded.folder / "out").mkdir()
    shutil.rmtree(guarded.home)
    guarded.home.mkdir()
    guarded.log.unlink(missing_ok=True)
    common = ("--task", task, "--sample", "tiny", "--seed", "0", "--set", "epochs=1", "--keep-model")
    for regime in REGIMES:
        # One is started as a user starts it, imports included.
        bench = guarded.started if regime == "scratch" else guarded.bench
        method = METHODS.get((task, regime), "none")
        grid: tuple[str, ...] = ("--regime", regime, "--method", method, "--backbone", "lenet")
        if regime == "finetune":
            bench("run", *common, *grid, "--weights", weights)
            continue
        for engine in ENGINES if regime == "frozen" else ENGINES[:1]:
            bench("run", *common, *grid, "--weights", "random", "--set", f"engine={engine}")
    guarded.bench("report", "--task", task, "--out", "out/page")
    guarded.bench("leaderboard", "--task", task)
    for name in ("cells.csv", "cells.parquet"):
        guarded.bench("export", "--out", f"out/{name}")
    if find_spec("mlflow"):
        guarded.bench("export", "--mlflow", "out/runs.db")
    guarded.bench("data", "draw", "--task", task, "--out", "out/drawn")
    guarded.bench("data", "check", "--task", task, "--data", "out/drawn", code=0)
    guarded.bench("data", "describe", "--task", task, "--data", "out/drawn", "--out", "out/described")
    drawn = sorted((guarded.folder / "out/drawn").rglob("*"))
    photos = [str(path) for path in drawn if path.suffix in (".jpg", ".png", ".pgm")][:2]
    cell = next(
        stored for stored in guarded.store.load(task)[0] if stored.record["cell"]["regime"] == "frozen"
    )
    guarded.bench("predict", cell.id, *photos)
    if find_spec("lime"):
        guarded.bench("explain", cell.id, *photos, "--out", "out/explained", "--samples", "50")
    assert guarded.attempts() == []


@pytest.mark.slow
def test_the_export_of_a_model_and_the_exported_program_report_to_nobody(guarded: Guarded) -> None:
    grid = ("--task", "fashion", "--sample", "tiny", "--stage", "top20", "--backbone", "lenet", "--seed", "0")
    guarded.bench("run", *grid, "--method", "none", "--set", "epochs=1", "--keep-model")
    (cell,) = guarded.store.load("fashion")[0]
    installed = [name for name, wanted in FORMATS.items() if all(map(find_spec, wanted.needs))]
    for name in installed:
        guarded.bench("export-model", cell.id, "--format", name, "--out", f"out/{name}")
    guarded.bench("data", "draw", "--task", "fashion", "--out", "out/drawn")
    photo = str(next((guarded.folder / "out" / "drawn").rglob("*.jpg")))
    # Keras, in a program of its own, makes ~/.keras.
    for name in set(installed) & {"openvino", "onnx"}:
        program = str(guarded.folder / "out" / name / "predict.py")
        run = f"import runpy, sys\nsys.argv[1:] = [{photo!r}]\nrunpy.run_path({program!r}, None, '__main__')"
        assert '"decision"' in guarded.python(run)
    assert guarded.attempts() == []
