"""Small folders of people and lists of pairs, made by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.data.examples import Examples
from bench.data.person_folders import open_people
from tests.data.folders import encoded, picture


def people_folder(place: Path, images: Mapping[str, int], inside: str = "lfw") -> Path:
    """Write `<inside>/<name>/<name>_0001.jpg` and so on; images: how many of each person, all different."""
    seed = 0
    for name, count in images.items():
        folder = place / inside / name
        folder.mkdir(parents=True)
        for number in range(1, count + 1):
            (folder / f"{name}_{number:04d}.jpg").write_bytes(encoded(picture(seed)))
            seed += 1
    return place


def opened(folder: Path) -> Examples:
    return open_people(folder, folder.parent / "cache", ("person",))


def list_text(same: Sequence[Sequence[object]], different: Sequence[Sequence[object]], head: str = "") -> str:
    """Return the text of a list of one fold."""
    lines = [head or str(len(same)), *("\t".join(map(str, pair)) for pair in (*same, *different))]
    return "\n".join(lines) + "\n"
