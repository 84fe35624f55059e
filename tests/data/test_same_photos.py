"""The same photos give the same predictions, bit for bit, from whatever layout they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.store.read import Stored
from tests.data.layouts import Shot, as_csv, as_folders, as_kaggle, as_parquet, shots
from tests.in_process import InProcess

OWN: dict[str, tuple[Callable[[Path, Sequence[Shot]], Path], tuple[str, ...]]] = {
    "kaggle": (as_kaggle, ("--label", "articleType")),
    "folders": (as_folders, ()),
    "csv": (as_csv, ("--label", "Kind")),
    "parquet": (as_parquet, ("--label", "kind")),
    "bytes": (lambda folder, photos: as_parquet(folder, photos, struct=False), ("--label", "kind")),
}
"""How the photos are written, and what is said of them."""

GRID = ("--backbone", "grey", "--method", "none", "--seed", "0", "--quiet")


def answers(cells: Sequence[Stored]) -> dict[str, tuple[bytes, ...]]:
    """Return the scores on validation and test by method and seed, with truth, as bytes."""
    out = {}
    for stored in cells:
        assert stored.ok, stored.record["reason"]
        parts = [stored.predictions(split) for split in ("val", "test")]
        assert all(len(set(part.items)) == len(part.items) > 5 for part in parts)
        cell = stored.record["cell"]
        out[f"{cell['method']} {cell['seed']}"] = tuple(
            np.ascontiguousarray(array).tobytes() for part in parts for array in (part.truth, part.scores)
        )
    return out


@pytest.mark.parametrize("split", ["stratified", "column"])
def test_the_same_photos_give_the_same_bits_from_every_layout(
    split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, photos = InProcess(tmp_path, monkeypatch), shots()
    found = {}
    for name, (write, says) in OWN.items():
        if name == "folders":
            folder = as_folders(tmp_path / name, photos, published=split == "column")
        else:
            folder = write(tmp_path / name, photos)
        rule = ("--set", f"split={split}", "--set", "split_column=split")
        # Another cache for each: nothing can be taken from another layout.
        cells = run.bench(
            "run", "--data", str(folder), *says, *GRID, *rule, results=f"r-{name}", cache=f"c-{name}"
        )
        assert len(cells) == 1
        found[name] = answers(cells)
    first = found.pop("kaggle")
    scores = first["[] 0"][1::2]
    assert len({scores[0][place : place + 4] for place in range(0, len(scores[0]), 4)}) > 10
    for name, own in found.items():
        assert own == first, name
