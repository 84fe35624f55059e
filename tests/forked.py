"""Commands in processes forked from one that has imported everything and used nothing.

Such a command has its own exit code, output, folder and environment, and its worker is a process too, but
TensorFlow is imported once for all of them. What is read while modules are imported (LD_PRELOAD, how many
threads OpenBLAS has) is as it was in the first process.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]

LIBRARIES = (
    *("tensorflow", "keras", "tensorflow.python.framework.convert_to_constants"),
    *("pandas", "pyarrow.parquet", "pyarrow.pandas_compat", "scipy.optimize", "scipy.spatial", "scipy.stats"),
    *("sklearn.cluster", "sklearn.linear_model", "sklearn.metrics", "sklearn.neighbors"),
    *("imblearn.over_sampling", "cleanlab.filter", "skimage.feature", "matplotlib.pyplot"),
    *("PIL.JpegImagePlugin", "PIL.PngImagePlugin", "filelock", "jinja2", "rich.table", "tabulate", "tomli_w"),
)
"""What commands and workers import where they need it."""

PATIENCE = 900.0
"""Seconds after which a command counts as hanging."""


Done = subprocess.CompletedProcess[str]


class Server:
    """A process that has imported everything and forks commands, one after the other."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, args: Sequence[str], folder: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run `bench` with these arguments in a folder; return its exit code and what it wrote."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([args, str(folder), dict(env)]) + "\n")
        self.process.stdin.flush()
        code, out, err = json.loads(self.process.stdout.readline())
        return Done(args, code, out, err)


_servers: list[Server] = []


def run(args: Sequence[str], folder: Path, env: Mapping[str, str]) -> Done:
    """Run `bench` by the server of this process, which ends with it."""
    if not _servers:
        _servers.append(Server(os.environ))
    return _servers[0].run(args, folder, env)


def serve() -> None:
    """Run a command for each line of standard input: its arguments, its folder and its environment."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_everything()
    for line in sys.stdin:
        args, folder, env = json.loads(line)
        with tempfile.TemporaryDirectory() as name:
            files = [Path(name) / "out", Path(name) / "err"]
            for path in files:
                path.touch()
            command = os.fork()
            if not command:
                os.close(answers.fileno())
                _command(args, folder, env, files)
            code = _ended(command)
            texts = [path.read_bytes().decode("utf-8", "replace") for path in files]
        answers.write(json.dumps([code, *texts]) + "\n")
        answers.flush()


def _ended(process: int) -> int:
    """Return the exit code of a child, negative for a signal; one that hangs is killed."""
    end = time.monotonic() + PATIENCE
    while not (gone := os.waitpid(process, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(gone[1])


@cache
def import_everything() -> None:
    """Import every module of bench and what they import where they need it; use none.

    A process that has used TensorFlow cannot be forked.
    """
    import bench
    from bench.core.environment import quiet
    from bench.core.paths import keep_library_files

    quiet()
    keep_library_files()
    ours = [
        module.name
        for module in pkgutil.walk_packages(bench.__path__, "bench.")
        if not module.name.startswith(("bench.testing", "bench.__main__"))
    ]
    for name in (*ours, *LIBRARIES):
        # What an extra brings may not be installed.
        with suppress(ImportError):
            importlib.import_module(name)
    from bench.backbones.engines import import_openvino

    import_openvino()


def _command(args: list[str], folder: str, env: dict[str, str], files: Sequence[Path]) -> NoReturn:
    """Be a command, in a process of its own."""
    code: Any = 70
    try:
        for own, path in enumerate((Path(os.devnull), *files)):
            handle = os.open(path, os.O_RDWR | os.O_APPEND)
            os.dup2(handle, own)
            os.close(handle)
        _settle(env)
        os.chdir(folder)
        sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
        sys.argv = [str(ROOT / "bench" / "__main__.py"), *args]
        replace_workers(lambda env: Forked(env, _worker))
        from bench.__main__ import main

        main()
        code = 0
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code)


def _settle(env: Mapping[str, str]) -> None:
    """Take on an environment, and write to where it says."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _leave(code: Any) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _worker() -> None:
    """Do what `bench.runs.launch.WORKER` does."""
    from bench.runs.worker import main

    main()


def replace_workers(start: Callable[[dict[str, str]], Forked]) -> None:
    """Let this process fork its workers. start: makes one with this environment."""
    import bench.runs.launch

    def popen(_command: Sequence[str], *, env: dict[str, str], **_pipes: Any) -> Forked:
        return start(env)

    library = SimpleNamespace(PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired, Popen=popen)
    vars(bench.runs.launch)["subprocess"] = library


class Forked:
    """A worker forked from the command, with what `bench.runs.launch` needs of `subprocess.Popen`."""

    def __init__(self, env: Mapping[str, str], body: Callable[[], None], keep: Sequence[int] = ()) -> None:
        """body: what the worker does. keep: handles of files that it shares with the command."""
        self.returncode: int | None = None
        pipes = [os.pipe() for _ in range(3)]
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = pipes
        self.pid = os.fork()
        if not self.pid:
            for own, handle in enumerate((in_read, out_write, err_write)):
                os.dup2(handle, own)
            self._work(env, body, keep)
        for handle in (in_read, out_write, err_write):
            os.close(handle)
        self.stdin = os.fdopen(in_write, "w", encoding="utf-8")
        self.stdout = os.fdopen(out_read, encoding="utf-8", errors="replace")
        self.stderr = os.fdopen(err_read, encoding="utf-8", errors="replace")

    def _work(self, env: Mapping[str, str], body: Callable[[], None], keep: Sequence[int]) -> NoReturn:
        code: Any = 70
        try:
            # As in a process that was started: nothing is shared, the lock of the results least of all.
            at = 3
            for handle in sorted(keep):
                os.closerange(at, handle)
                at = handle + 1
            os.closerange(at, 4096)
            _settle(env)
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
            body()
            code = 0
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
        finally:
            _leave(code)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        if self.returncode is None and (gone := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(gone[1])
        return self.returncode

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end, and return the exit code."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("worker", timeout)
            time.sleep(0.002)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
