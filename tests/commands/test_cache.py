"""`bench cache`, and a cache that is pruned or removed while a run uses it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.data.pixels import ensure_pixels
from bench.store.write import Store
from tests.data.test_pixels import made
from tests.place import Place

RUN = (
    *("run", "--task", "fashion", "--sample", "tiny", "--backbone", "lenet", "--seed", "0", "--quiet"),
    *("--method", "none", "--regime", "scratch", "--set", "epochs=4", "--stage", "top20"),
)


def _bench(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["cache", *args], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return int(done.return_value or 0), done.output


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with the pixels of ten images."""
    ensure_pixels(made(10)[0], (12, 10), "squash", tmp_path / "cache")
    return tmp_path / "cache"


def test_list_says_what_there_is_and_what_it_is_for(cache: Path) -> None:
    code, out = _bench("list", "--cache", str(cache), "--format", "json")
    [row] = json.loads(out)
    assert code == 0 and row["kind"] == "pixels" and row["source"] == "made" and row["image"] == "10x12"
    assert row["images"] == 10 and row["size"] > 3600 and row["state"] == "whole"
    assert row["used"].startswith(time.strftime("%Y-"))
    _, out = _bench("list", "--cache", str(cache))
    assert out.startswith(f"Cache {cache}\n") and "1 in all, 4.2 kB." in out
    held = ensure_pixels(made(10)[0], (12, 10), "squash", cache)
    assert "in use" in _bench("list", "--cache", str(cache))[1]
    assert len(held) == 10


def test_an_empty_place_has_no_rows(tmp_path: Path) -> None:
    for command in (["list"], ["verify"], ["prune", "--max-size", "1GB"]):
        code, out = _bench(*command, "--cache", str(tmp_path / "none"))
        assert code == 0 and "(no rows)" in out and "0" in out
    assert not (tmp_path / "none").exists()


def test_verify_names_the_damage(cache: Path) -> None:
    code, out = _bench("verify", "--cache", str(cache))
    assert code == 0 and "good" in out and "No entry is damaged." in out
    [rows] = cache.glob("pixels/*/pixels.u8")
    raw = bytearray(rows.read_bytes())
    raw[5 * 360 + 7] ^= 1
    rows.write_bytes(raw)
    code, out = _bench("verify", "--cache", str(cache), "--format", "json")
    [row] = json.loads(out)
    assert code == 4 and row["state"] == "damaged"
    assert row["why"] == "row 5 of pixels.u8 does not match its digest"


def test_prune_says_what_it_removed(cache: Path) -> None:
    _, out = _bench("prune", "--max-size", "1kB", "--dry-run", "--cache", str(cache))
    assert "would be removed" in out and "Would remove 1 (4.2 kB); 0 stay (0 B)." in out
    _, out = _bench("prune", "--older-than", "1h", "--cache", str(cache))
    assert "(no rows)" in out and "Removed 0 (0 B); 1 stay (4.2 kB)." in out
    _, out = _bench("prune", "--max-size", "1kB", "--cache", str(cache))
    assert "removed" in out and "Removed 1 (4.2 kB); 0 stay (0 B)." in out
    assert not list(cache.glob("pixels/*/"))


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ([], "give --max-size"),
        (["--max-size", "many"], "--max-size 'many': write a number and a unit"),
        (["--older-than", "-3d"], "--older-than '-3d': write hours, days or weeks"),
        (["--max-size", ""], "--max-size '': write a number and a unit"),
    ],
)
def test_a_wrong_limit_is_one_line(cache: Path, args: list[str], why: str) -> None:
    with pytest.raises(BenchError, match=why):
        _bench("prune", *args, "--cache", str(cache))


def test_a_cache_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BenchError, match="not a folder"):
        _bench("list", "--cache", str(tmp_path / "file"))


def test_listing_imports_nothing_heavy(cache: Path) -> None:
    code = (
        "import sys; from bench.commands.main import cli\n"
        "for args in (['list'], ['prune', '--older-than', '1d']):\n"
        "    cli.main(['cache', *args, '--cache', sys.argv[1]], standalone_mode=False)\n"
        "print(sorted({'numpy', 'pandas', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(cache)], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")


def _answers(place: Place, results: str) -> dict[str, bytes]:
    stored, problems = Store(place.folder / results).load()
    assert not problems
    return {cell.id: cell.predictions("test").scores.tobytes() for cell in stored}


@pytest.mark.slow
def test_a_run_goes_on_while_its_cache_is_pruned_or_removed(tmp_path: Path) -> None:
    """Nets read pixels in every epoch; prune leaves them alone, and rm -r cannot take them away."""
    place = Place(tmp_path)
    _, err = place.bench(*RUN, "--results", "cold", "--cache", "cold-cache")
    wanted = _answers(place, "cold")
    assert wanted
    for harm in ("prune", "remove", "invert"):
        running = place.start(*RUN, "--results", harm, "--cache", "cache")
        pixels = place.folder / "cache" / "pixels"
        end = time.monotonic() + 600
        while not list(pixels.glob("*/pixels.json")) or any(pixels.glob("*.part*")):
            assert time.monotonic() < end and running.poll() is None
            time.sleep(0.01)
        spared = False
        while running.poll() is None:
            if harm == "prune":
                out, _ = place.bench("cache", "prune", "--max-size", "0B", "--cache", "cache")
                spared = spared or "in use" in out
            elif harm == "remove":
                shutil.rmtree(place.folder / "cache", ignore_errors=True)
                break
            else:
                [path] = pixels.glob("32x32*/pixels.u8")
                with path.open("r+b") as file:
                    head = file.read(200_000)
                    file.seek(0)
                    file.write(bytes(255 - byte for byte in head))
                break
        _, err = running.communicate(timeout=900)
        assert running.returncode == 0, err
        assert _answers(place, harm) == wanted
        assert spared == (harm == "prune")
        if harm == "invert":
            assert err.count("it is built again") == 1, err
        shutil.rmtree(place.folder / "cache", ignore_errors=True)


@pytest.mark.slow
def test_warnings_of_a_worker_reach_the_terminal(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.bench(*RUN, "--results", "first")
    [rows] = place.folder.glob("cache/pixels/32x32*/pixels.u8")
    rows.write_bytes(bytes(255 - byte for byte in rows.read_bytes()))
    _, err = place.bench(*RUN, "--results", "second")
    lines = [line for line in err.splitlines() if "again" in line]
    assert len(lines) == 1 and lines[0].startswith("bench: pixel cache 32x32-squash-"), err
    assert _answers(place, "first") == _answers(place, "second")
