"""Pictures that are there more than once: on which sides of the split, and whether their labels agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.near import near_twins
from bench.data.pixels import Pixels

Labels = Sequence[str] | np.ndarray
"""n class names, "" for none, or (n, k) integers, one column per attribute, -1 for unknown."""


@dataclass(frozen=True)
class Duplicates:
    """Usable images that are byte for byte another one.

    groups: how many pictures are there more than once. extra: images that could go without losing a
    picture. straddling: pictures that are in train and in test. leaked: test images that train also
    holds. disagreeing: pictures whose images carry different labels; an unknown label contradicts nothing.
    torn: of each attribute, how many pictures disagree on it; one number where there are classes.
    """

    groups: int
    extra: int
    straddling: int
    leaked: int
    disagreeing: int
    torn: tuple[int, ...]


@dataclass(frozen=True)
class Twins:
    """Pairs of usable images that look nearly the same and are not byte-identical (`bench.data.near`).

    pairs: (p, 2) positions, the first one lower. straddling: how many are in train and in test. disagreeing
    and torn: as in `Duplicates`.
    """

    pairs: np.ndarray
    straddling: int
    disagreeing: int
    torn: tuple[int, ...]


def label_table(labels: Labels) -> np.ndarray:
    """Return labels as (n, k) integers: attributes as they are, a class as its number; -1 for unknown."""
    if isinstance(labels, np.ndarray) and labels.ndim == 2:
        return labels
    numbers = {name: number for number, name in enumerate(dict.fromkeys(name for name in labels if name))}
    return np.array([numbers.get(name, -1) for name in labels], np.int64).reshape(-1, 1)


def identical(hashes: Sequence[str], rows: np.ndarray) -> list[list[int]]:
    """Return the positions of images with one content hash, for every hash that several rows have."""
    same: dict[str, list[int]] = {}
    for row in rows.tolist():
        same.setdefault(hashes[row], []).append(row)
    return [members for members in same.values() if len(members) > 1]


def disagree(table: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return (k,) bool: the columns in which these rows know different values."""
    own = table[np.asarray(rows, np.int64)]
    known = own >= 0
    highest = np.where(known, own, -1).max(axis=0)
    lowest = np.where(known, own, np.iinfo(own.dtype).max).min(axis=0)
    answer: np.ndarray = known.any(axis=0) & (lowest < highest)
    return answer


def find_duplicates(hashes: Sequence[str], labels: Labels, train: np.ndarray, rows: np.ndarray) -> Duplicates:
    """Compare the content hashes of the given rows. train: (n,) bool, the others are test."""
    table, groups = label_table(labels), identical(hashes, np.asarray(rows))
    in_train = [sum(bool(train[row]) for row in members) for members in groups]
    torn = np.zeros((len(groups), table.shape[1]), bool)
    for place, members in enumerate(groups):
        torn[place] = disagree(table, members)
    return Duplicates(
        groups=len(groups),
        extra=sum(len(members) - 1 for members in groups),
        straddling=sum(0 < mine < len(members) for mine, members in zip(in_train, groups, strict=True)),
        leaked=sum(len(members) - mine for mine, members in zip(in_train, groups, strict=True) if mine),
        disagreeing=int(torn.any(axis=1).sum()),
        torn=tuple(torn.sum(axis=0).tolist()),
    )


def find_twins(
    pixels: Pixels, hashes: Sequence[str], labels: Labels, train: np.ndarray, rows: np.ndarray
) -> Twins:
    """Compare the given rows as pictures. pixels: at `near.SIDE`. hashes: n content hashes."""
    table, rows = label_table(labels), np.asarray(rows)
    content = np.unique(np.array([hashes[row] for row in rows.tolist()], dtype=str), return_inverse=True)[1]
    found = near_twins(pixels, rows)
    found = found[content[found[:, 0]] != content[found[:, 1]]]
    pairs = rows[found]
    one, two = pairs.T
    torn = contradicted(table, pairs)
    return Twins(
        pairs=pairs,
        straddling=int((train[one] != train[two]).sum()),
        disagreeing=int(torn.any(axis=1).sum()),
        torn=tuple(torn.sum(axis=0).tolist()),
    )


def contradicted(table: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return (p, k) bool: the columns on which the two rows of each pair know different values."""
    one, two = table[pairs[:, 0]], table[pairs[:, 1]]
    answer: np.ndarray = (one >= 0) & (two >= 0) & (one != two)
    return answer


def on_both_sides(ids: Sequence[str], train: np.ndarray, rows: np.ndarray) -> int:
    """Return how many ids have a row in train and one in test. train: (n,) bool; rows: positions."""
    sides = [{ids[row] for row in rows.tolist() if bool(train[row]) is side} for side in (True, False)]
    return len(sides[0] & sides[1])
