"""Builds sdist and wheel, checks that no file is missing, and tries the wheel in clean places elsewhere.

By the Python that runs this, and by the newest that is supported, where this machine has one that is newer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"bench/": "bench/", "tasks/": "bench/tasks/", "baselines/": "bench/baselines/"}
"""Folders of the checkout, and where a wheel carries them."""

NEWEST = 13
"""The last minor version of CPython 3 that is supported."""

CELL = ("--task", "fashion", "--sample", "tiny", "--backbone", "lenet", "--method", "none", "--seed", "0")


def tracked() -> list[str]:
    """Return the files git tracks, those just deleted left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def build(files: list[str], work: Path) -> Path:
    """Build the sdist from these files alone, and the wheel from the sdist; return the wheel."""
    source, out = work / "source", work / "dist"
    for name in files:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        out,
        source,
        cwd=work,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def check_files(files: list[str], wheel: Path) -> None:
    """Exit with a list where the wheel lacks a tracked file, or carries one that is not tracked."""
    expected = {
        place + name.removeprefix(folder)
        for name in files
        for folder, place in PLACES.items()
        if name.startswith(folder)
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    for title, names in (("missing from", expected - found), ("not tracked, but in", found - expected)):
        if names:
            sys.exit(f"{title} the wheel: {', '.join(sorted(names))}")
    print(f"wheel-check: all {len(expected)} files of {', '.join(PLACES)} are in {wheel.name}")


def newest_python() -> str | None:
    """Return the newest supported Python that is newer than this one, on PATH or of pyenv, if any."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(NEWEST, sys.version_info.minor, -1):
        name = f"python3.{minor}"
        found = [shutil.which(name) or "", *map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/{name}")))]
        for one in filter(None, found):
            # A shim of pyenv is there for versions that are not chosen, too.
            if not subprocess.run([one, "-c", "import ensurepip, venv"], capture_output=True).returncode:
                return one
    return None


def install(python: str, wheel: Path, work: Path) -> Path:
    """Install the wheel into a clean venv; return the folder of its commands."""
    run(python, "-m", "venv", "--symlinks", work / "venv", cwd=work)
    commands = work / "venv" / "bin"
    pip = (commands / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    constraints = ("-c", ROOT / "constraints.txt")
    run(*pip, *constraints, "setuptools", cwd=work)
    run(*pip, *constraints, "--no-build-isolation", wheel, cwd=work)
    return commands


def try_it(commands: Path, work: Path) -> None:
    """Train one cell in a folder that has unrelated files under names of ours."""
    place = work / "a folder of someone"
    (place / "tasks" / "fashion").mkdir(parents=True)
    (place / "tasks" / "fashion" / "task.toml").write_text("not a card of ours")
    (place / "baselines").mkdir()
    (place / "bench.py").write_text("raise SystemExit('this is not messybench')")
    results = place / "out"
    run(commands / "bench", "--help", cwd=place, stdout=subprocess.DEVNULL)
    run(commands / "messybench", "list", "tasks", cwd=place)
    run(commands / "bench", "run", *CELL, "--set", "epochs=2", "--results", results, cwd=place)
    run(commands / "bench", "compare", "--task", "fashion", "--no-classes", "--results", results, cwd=place)
    told = run(
        commands / "bench",
        "results",
        "--format",
        "json",
        "--results",
        results,
        cwd=place,
        stdout=subprocess.PIPE,
    )
    statuses = [row["status"] for row in json.loads(told)]
    if not statuses or set(statuses) != {"ok"}:
        sys.exit(f"the installed wheel trained no whole cell: {statuses}")
    version = run(commands / "python", "--version", cwd=place, stdout=subprocess.PIPE).strip()
    print(f"wheel-check: {len(statuses)} cells trained by the installed wheel, {version}")


def run(*command: str | Path, cwd: Path, stdout: int | None = None) -> str:
    """Run a command away from this checkout; return what it printed where `stdout` is PIPE."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("BENCH_", "PYTHONPATH"))
    }
    env = {**kept, "BENCH_CACHE": str(cwd / "cache")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, stdout=stdout, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"wheel-check: exit {done.returncode} from {' '.join(map(str, command))}")
    return done.stdout or ""


def main() -> None:
    """Do it all in a temporary folder that is gone afterwards."""
    files = tracked()
    with tempfile.TemporaryDirectory(prefix="messybench-wheel-") as folder:
        work = Path(folder).resolve()
        wheel = build(files, work)
        check_files(files, wheel)
        pythons = [sys.executable, *filter(None, [newest_python()])]
        places = [work / str(number) for number in range(len(pythons))]
        for place in places:
            place.mkdir()
        # Side by side: pip works on one core.
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(lambda python, place: try_it(install(python, wheel, place), place), pythons, places)
            )


if __name__ == "__main__":
    main()
