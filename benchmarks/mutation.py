"""How many small faults, put into the code that decides numbers or stores them, the tests notice.

    python -m benchmarks.mutation [--sample 6] [--seed 0] [--module PART...] [--seconds S]
        [--out FILE] [--again]

Of each module in `TESTS` so many faults are drawn: a comparison turned, a sum for a difference, `and` for
`or`, a number one off, a truth reversed, a statement left out, a result withheld. The module's tests are
collected once and run once, traced. For each fault a forked process gives the function its faulty code and
runs the tests that reach its line, then, if none fails, those that start processes. The file has the fault
too, in a copy of the repository, for these processes; a fault outside functions is imported with its module.
A fault is caught where a test fails or none ends in time.

Each is written to FILE as it is tried, and not tried again while its module is the same; --again tries those
that survived. mutmut and cosmic-ray start pytest anew for each fault: importing TensorFlow and pandas takes
ten times as long as most of these tests.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import importlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import cache_from_source
from pathlib import Path
from types import FrameType
from typing import Any

from tests.mutants import TESTS, Mutant, mutants, put_in, with_fault

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.92
PYTEST = ("-x", "-q", "-s", "-m", "not slow", "-p", "no:cacheprovider")

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"})
"""Events of audit hooks: a process is started."""

Record = dict[str, Any]


@dataclass
class Module:
    """A module of the copy, its text, and the faults that are to be tried."""

    name: str
    path: Path
    chosen: Sequence[Mutant]
    write: Callable[[Record], None]
    source: str = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.path.read_text(encoding="utf-8")

    def said(self, mutant: Mutant, code: int) -> Record:
        """Return what is written of a fault that was tried. code: of the tests, see `forked`."""
        text = self.source.splitlines()[mutant.line - 1].strip()
        record = {"module": self.name, "digest": digest(self.source), "number": mutant.number}
        return {
            **record,
            "line": mutant.line,
            "what": mutant.what,
            "text": text,
            "caught": code != 0,
            "late": code == -1,
        }


@dataclass(frozen=True)
class Reach:
    """What a test took, which lines of the module it ran, and whether it started a process."""

    seconds: float
    lines: frozenset[int]
    starts: bool


class Trials:
    """A plugin of pytest that tries faults in forked processes, once the tests are collected."""

    def __init__(self, module: Module, log: Path) -> None:
        self.module, self.log = module, log

    def pytest_runtestloop(self, session: Any) -> bool:
        """Try every fault that is in a function, in the place of running the tests."""
        imported = importlib.import_module("bench." + self.module.name.replace("/", "."))
        reach = self._reach(session.items, session)
        if not reach:
            print(f"{self.module.name}: no test passes\n{self.log.read_text(errors='replace')[-2000:]}")
            return True
        for mutant in self.module.chosen:
            if mutant.function:
                self.module.path.write_text(
                    faulty := with_fault(self.module.source, mutant), encoding="utf-8"
                )
                first = [number for number, one in reach.items() if one.lines & mutant.lines]
                order = sorted(first, key=lambda number: reach[number].seconds)
                others = [number for number, one in reach.items() if one.starts and number not in first]
                order += sorted(others, key=lambda number: reach[number].seconds)
                limit = 20.0 + 10.0 * sum(one.seconds for one in reach.values())

                def run(
                    order: Sequence[int] = tuple(order), mutant: Mutant = mutant, faulty: str = faulty
                ) -> int:
                    if not put_in(imported, faulty, mutant):
                        raise RuntimeError(f"{mutant} cannot be put into the module")
                    return run_tests(session, [session.items[number] for number in order])

                code = forked(run, limit, self.log)
                self.module.path.write_text(self.module.source, encoding="utf-8")
                if code == 70:
                    print(f"{self.module.name}: {mutant}: {self.log.read_text(errors='replace')[-1000:]}")
                else:
                    self.module.write(self.module.said(mutant, code))
        return True

    def _reach(self, items: Sequence[Any], session: Any) -> dict[int, Reach]:
        """Return what each test that passes reaches, by its place among the items."""
        told, own = self.log.with_suffix(".reach"), str(self.module.path)
        lines: set[int] = set()
        started: list[str] = []
        sys.addaudithook(lambda event, _: started.append(event) if event in STARTS else None)

        def line(frame: FrameType, event: str, _: object) -> Any:
            lines.add(frame.f_lineno)
            return line

        def call(frame: FrameType, event: str, _: object) -> Any:
            return line if frame.f_code.co_filename == own else None

        def run() -> int:
            found: dict[int, tuple[float, list[int], bool]] = {}
            for number, item in enumerate(items):
                lines.clear()
                started.clear()
                began, before = time.monotonic(), session.testsfailed
                threading.settrace(call)
                sys.settrace(call)
                run_tests(session, [item])
                sys.settrace(None)
                if session.testsfailed == before:
                    found[number] = time.monotonic() - began, sorted(lines), bool(started)
            told.write_text(json.dumps(found), encoding="ascii")
            return 0

        told.unlink(missing_ok=True)
        forked(run, 1800.0, self.log)
        found = json.loads(told.read_text(encoding="ascii")) if told.exists() else {}
        return {
            int(number): Reach(seconds, frozenset(rows), starts)
            for number, (seconds, rows, starts) in found.items()
        }


def run_tests(session: Any, items: Sequence[Any]) -> int:
    """Run tests until one fails; return 1 if one does."""
    failed = session.testsfailed
    for number, item in enumerate(items):
        following = items[number + 1] if number + 1 < len(items) else None
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed > failed:
            return 1
    return 0


def forked(run: Callable[[], int], limit: float, log: Path) -> int:
    """Run a function in a forked process with a cache of its own; return its code, -1 if it is too slow."""
    child = os.fork()
    if not child:
        code = 70
        try:
            os.setpgid(0, 0)
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            os.environ["BENCH_CACHE"] = tempfile.mkdtemp(dir=log.parent)
            code = run()
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    end = time.monotonic() + limit
    while (gone := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    # What a test has started goes too.
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if gone == (0, 0):
        os.waitpid(child, 0)
        return -1
    return os.waitstatus_to_exitcode(gone[1])


def warm() -> None:
    """Import what tests import of others, so that a fork has it at once."""
    import hypothesis  # noqa: F401
    import keras  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import pytest  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import statsmodels.api  # noqa: F401
    import tensorflow  # noqa: F401


def try_module(module: Module, tests: tuple[str, ...], log: Path) -> None:
    """Try the faults chosen of one module."""
    import pytest

    def collect() -> int:
        os.dup2(screen, 1)
        return int(pytest.main([*PYTEST, f"--basetemp={log.parent / 'tmp'}", *tests], [Trials(module, log)]))

    def start() -> int:
        return int(pytest.main([*PYTEST, f"--basetemp={log.parent / 'tmp'}", *tests]))

    screen = os.dup(2)
    Path(cache_from_source(str(module.path))).unlink(missing_ok=True)
    forked(collect, float("inf"), log.with_suffix(".pytest"))
    for mutant in module.chosen:
        if not mutant.function:
            module.path.write_text(with_fault(module.source, mutant), encoding="utf-8")
            module.write(module.said(mutant, forked(start, 600.0, log)))
            module.path.write_text(module.source, encoding="utf-8")


def copied(folder: Path) -> Path:
    """Copy what git knows of the repository, and compile it; return the copy."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    compileall.compile_dir(folder / "bench", quiet=2, workers=1)
    return folder


def digest(source: str) -> str:
    """Return what tells one text of a module from another."""
    return hashlib.sha256(source.encode("utf-8")).hexdigest()[:12]


def main() -> int:
    """Print the faults that survive, and return 1 where fewer than `GOAL` are caught."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--module", action="append", help="only modules whose names hold this")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no module after so long")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mutation.jsonl")
    parser.add_argument("--again", action="store_true", help="try those that survived again")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    out, began = options.out.resolve(), time.monotonic()
    # Hypothesis as in CI: the same examples each time, none remembered.
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CI": "true"}
    sys.dont_write_bytecode = True
    drawn: list[tuple[str, str, int]] = []

    def write(record: Record) -> None:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    with tempfile.TemporaryDirectory(prefix="bench-mutation-") as name:
        place = copied(Path(name) / "copy")
        os.chdir(place)
        sys.path[:] = [str(place), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
        for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] in ("bench", "tests")]:
            del sys.modules[loaded]
        os.environ["PYTHONPATH"] = str(place)
        warm()
        for module, tests in TESTS.items():
            if options.module and not any(part in module for part in options.module):
                continue
            path = place / "bench" / f"{module}.py"
            source = path.read_text(encoding="utf-8")
            every = mutants(source)
            chosen = random.Random(f"{options.seed} {module}").sample(every, min(options.sample, len(every)))
            keys = {mutant.number: (module, digest(source), mutant.number) for mutant in chosen}
            drawn += keys.values()
            tried = records(out)
            left = [
                mutant
                for mutant in sorted(chosen, key=lambda one: one.line)
                if (known := tried.get(keys[mutant.number])) is None
                or (options.again and not known["caught"])
            ]
            if left and time.monotonic() - began <= options.seconds:
                try_module(Module(module, path, left, write), tests, Path(name) / "log")
                print(f"{time.monotonic() - began:6.0f} s  {module}", flush=True)
    return said([one for key, one in records(out).items() if key in drawn])


def records(out: Path) -> dict[tuple[str, str, int], Record]:
    """Return the last record of each fault that was tried."""
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return {(one["module"], one["digest"], one["number"]): one for one in map(json.loads, lines)}


def said(tried: Iterable[Record]) -> int:
    """Print what came of the faults, and return the exit code."""
    from statsmodels.stats.proportion import proportion_confint

    tried = list(tried)
    by_module: dict[str, list[Record]] = {}
    for one in tried:
        by_module.setdefault(one["module"], []).append(one)
    for module, mine in by_module.items():
        print(f"{module}: {sum(one['caught'] for one in mine)} of {len(mine)} caught")
        for one in mine:
            if not one["caught"]:
                print(f"  {module}:{one['line']}: {one['what']}: {one['text']}")
    caught = sum(one["caught"] for one in tried)
    low, high = proportion_confint(caught, max(len(tried), 1), method="wilson")
    share = caught / max(len(tried), 1)
    print(f"{caught} of {len(tried)} faults caught: {share:.1%} [{low:.1%}, {high:.1%}], goal {GOAL:.0%}")
    print(f"{sum(one.get('late', False) for one in tried)} of them by tests that did not end in time")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{spent.ru_utime + spent.ru_stime:.0f} s of processor time")
    return int(share < GOAL)


if __name__ == "__main__":
    sys.exit(main())
