"""Coverage-guided fuzzing of every reader and of the grammar of methods.

    python -m benchmarks.fuzz [--runs 5000] [--target NAME]... [--save DIR] [--seed 1]

Each target of tests/fuzz/targets.py runs in a process of its own under atheris, which the extra `fuzz`
installs, from its whole inputs and the corpus of what was found before. A finding is an exception that the
target does not announce, an input that takes more than 5 s, or a gigabyte of memory; its input is saved. Exit
code 1 says that there was one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
SLOW_SECONDS = 5
MEMORY_MIB = 1024


def main() -> int:
    """Fuzz the targets one after the other; print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--target", action="append", default=[])
    parser.add_argument("--save", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if find_spec("atheris") is None:
        print("fuzzing needs atheris: pip install 'messybench[fuzz]'")
        return 0
    if given.child:
        fuzz(given.child, given.runs, given.seed, given.save)
        return 0
    from tests.fuzz.targets import TARGETS

    runs, found = 0, 0
    print(f"{'target':<14}{'inputs':>8}{'seconds':>9}{'CPU, s':>7}{'MiB':>6}{'slowest, s':>12}  findings")
    for name in given.target or TARGETS:
        place = given.save / name
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, "--child", name, "--runs", str(given.runs)]
        command += ["--seed", str(given.seed), "--save", str(place)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        with (place / "log").open("wb") as log:
            child = subprocess.Popen(command, env=env, stdout=log, stderr=log)
            _, status, used = os.wait4(child.pid, 0)
        cpu = used.ru_utime + used.ru_stime
        # libFuzzer itself ends a process that hangs, dies or takes too much memory.
        ours = ("finding-", "timeout-", "oom-", "crash-")
        findings = sorted(path.name for path in place.iterdir() if path.name.startswith(ours))
        if status and not findings:
            findings = [f"ended with {status}, see {place / 'log'}"]
        slowest = float((place / "slowest").read_text()) if (place / "slowest").exists() else 0.0
        runs, found = runs + given.runs, found + len(findings)
        numbers = f"{given.runs:>8}{time.perf_counter() - began:>9.1f}{cpu:>7.1f}{used.ru_maxrss // 1024:>6}"
        print(f"{name:<14}{numbers}{slowest:>12.2f}  {', '.join(findings)}", flush=True)
    print(f"{runs} inputs, {found} findings")
    return 1 if found else 0


def fuzz(name: str, runs: int, seed: int, place: Path) -> None:
    """Run one target under atheris; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["bench", "tomllib", "csv", "json", "zipfile"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    work, start = Path(tempfile.mkdtemp(prefix="bench-fuzz-")), Path(tempfile.mkdtemp(prefix="bench-seeds-"))
    for number, data in enumerate(target.seeds()):
        (start / f"seed-{number}").write_bytes(data)
    known = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    limits = f"-timeout={4 * SLOW_SECONDS}", f"-rss_limit_mb={MEMORY_MIB}", "-max_len=8192"
    others = f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={place}/"
    atheris.Setup(
        [sys.argv[0], str(start), *known, *limits, *others],
        watched(name, lambda data: target.run(work, data), target.allowed, place),
    )
    atheris.Fuzz()


def watched(
    name: str, run: Callable[[bytes], object], allowed: tuple[type[Exception], ...], place: Path
) -> Callable[[bytes], None]:
    """Return the target for libFuzzer: findings are saved, one for each place in the code, and it goes on."""
    slowest = 0.0

    def one(data: bytes) -> None:
        nonlocal slowest
        began = time.perf_counter()
        try:
            run(data)
        except allowed:
            pass
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in frames if f"{os.sep}bench{os.sep}" in frame.filename] or frames
            where = f"{type(error).__name__}-{Path(ours[-1].filename).stem}-{ours[-1].lineno}"
            if not (path := place / f"finding-{where}").exists():
                path.write_bytes(data)
                print(f"{name}: {where}\n{traceback.format_exc()[-2000:]}", flush=True)
        seconds = time.perf_counter() - began
        if seconds > slowest:
            slowest = seconds
            (place / "slowest").write_text(f"{seconds:.3f}")
        if seconds > SLOW_SECONDS and not (path := place / f"finding-slow-{int(seconds)}").exists():
            path.write_bytes(data)

    return one


if __name__ == "__main__":
    sys.exit(main())
