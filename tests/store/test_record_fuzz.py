"""Whatever stands in result.json, its digest fitting or not, costs one line and never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.core.sealed_json import DIGEST, seal
from bench.store.write import RESULT
from tests.grids import answers, put

DEEP = "[" * 200 + "]" * 200

ODD = (
    *("null", "true", "0", "-1", "7", "0.5", "-1e300", str(2**63), "1e308", "1e999", "NaN", "-Infinity"),
    *(
        "1" * 400,
        "-" + "1" * 400,
        '""',
        '"x"',
        r'"\u001b[2J\n"',
        '"=1+1"',
        r'"\ud800"',
        r'"\u0000"',
        '"../../x"',
    ),
    *("[]", "[[]]", '[1, "a", null]', "{}", '{"": {}}', '{"a": {"b": [NaN]}}', DEEP, f'{{"x": {DEEP}}}'),
)
"""JSON texts, each of which is read anew: what it gives may be changed."""

COMMANDS = (
    ("results", "--format", "json"),
    ("results",),
    ("leaderboard", "--task", "fashion"),
    ("leaderboard", "--task", "fashion", "--effects"),
    ("compare", "--task", "fashion", "--all"),
    ("compare", "lenet/none", "lenet/focal", "--task", "fashion"),
    ("verify",),
    ("export", "--out", "{tmp}/x.csv"),
    ("export", "--out", "{tmp}/x.parquet"),
    ("baseline", "pin", "new", "--task", "fashion", "--force", "--baselines", "{tmp}/b"),
)

CHECKS = {
    "duplicates": {"same": 2, "same_torn": 1, "near": 3, "near_across": 1, "near_torn": 0},
    "titles": {
        "masked": False,
        "train": {"titles": 9, "holding": 3, "empty": 1, "emptied": 0, "unknown": 0},
        "test": {"titles": 9, "holding": 3, "empty": 1, "emptied": 0, "unknown": 1},
    },
    "signal": {
        "auc": 0.5,
        "chance_mean": 0.5,
        "chance_high": 0.6,
        "p": 0.4,
        "rows": 9,
        "permutations": 99,
        "attributes": {"a": {"auc": 0.5, "p": 0.3}},
    },
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of two cells, one of which is edited again and again."""
    root = tmp_path_factory.mktemp("fuzz") / "results"
    like = answers(40, 6, 0.5, 9)
    put(root, answers(40, 6, 0.6, 1, like), method="none", val=answers(20, 6, 0.5, 3))
    put(root, answers(40, 6, 0.7, 2, like), method="focal", val=answers(20, 6, 0.5, 3))
    return root


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in a record anything stands."""
    items: Any = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def edited(record: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Return the record with something else, or nothing, in a place or two."""
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(sorted(places(record), key=repr)))
        there: Any = record
        for key in path:
            there = there[key]
        if data.draw(st.integers(0, 4)) == 0:
            del there[last]
        else:
            there[last] = json.loads(data.draw(st.sampled_from(ODD)))
    return record


def fuzz(whole: Path, tmp: Path, data: st.DataObject, fitting: bool) -> None:
    """Edit one record and let a command read it: it ends with a code of ours, and with no traceback."""
    root = tmp / "edited"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root)
    (path,) = root.glob(f"*/*/focal/*/{RESULT}")
    record = json.loads(path.read_text(encoding="utf-8"))
    del record[DIGEST]
    text = json.dumps(edited({**record, "checks": json.loads(json.dumps(CHECKS))}, data), indent=1)
    path.write_bytes(seal(text) if fitting else text.encode())
    command = data.draw(st.sampled_from(COMMANDS))
    args = [part.replace("{tmp}", str(tmp)) for part in command]
    done = CliRunner().invoke(cli, [*args, "--results", str(root)], standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, BenchError), (command, done.exc_info)
    named = done.stderr.count(f"bench: {path}: ")
    if not fitting:
        assert named == 1 and (done.return_value == 4 or done.exception is not None)
    assert named <= 1


@pytest.mark.parametrize("count", [0, -1, -0.5, None])
@pytest.mark.parametrize("command", [("results",), ("leaderboard", "--task", "fashion")])
def test_a_measured_cell_without_test_items_is_named(
    whole: Path, tmp_path: Path, count: float | None, command: tuple[str, ...]
) -> None:
    root = tmp_path / "results"
    shutil.copytree(whole, root)
    (path,) = root.glob(f"*/*/focal/*/{RESULT}")
    record = json.loads(path.read_text(encoding="utf-8"))
    del record[DIGEST]
    record["counts"]["test"] = count
    path.write_bytes(seal(json.dumps(record, indent=1)))
    done = CliRunner().invoke(cli, [*command, "--results", str(root)], standalone_mode=False)
    assert done.exception is None and done.return_value == 4
    assert f"bench: {path}: " in done.stderr and "counts.test" in done.stderr


FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck), print_blob=True)
MANY = settings(max_examples=400, suppress_health_check=list(HealthCheck), print_blob=True)


@FEW
@given(data=st.data(), fitting=st.booleans())
def test_whatever_stands_in_a_record_is_one_line(whole: Path, data: st.DataObject, fitting: bool) -> None:
    fuzz(whole, whole.parent, data, fitting)


@pytest.mark.slow
@MANY
@given(data=st.data())
def test_whatever_stands_in_a_record_is_one_line_400_times(whole: Path, data: st.DataObject) -> None:
    fuzz(whole, whole.parent, data, True)
