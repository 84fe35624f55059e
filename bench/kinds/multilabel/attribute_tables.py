"""Tables of a data set's attributes: frequencies, unknown labels, correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.core.table import Column, Table
from bench.data.labels import Parts


def attribute_figures(parts: Parts, train: np.ndarray, rows: np.ndarray) -> list[tuple[str, Any]]:
    """Return counts of the labels of these rows, with their titles."""
    table = parts.table[rows]
    known = (table >= 0).sum(axis=1)
    whole = table[known == table.shape[1]]
    hidden = parts.hidden[rows]
    return [
        ("of these in train", int(train[rows].sum())),
        ("attributes", table.shape[1]),
        ("labels in all", table.size),
        ("unknown labels", int((table < 0).sum())),
        ("of these with a known truth", int((hidden >= 0).sum())),
        ("images with every label known", len(whole)),
        ("label combinations among these", len(np.unique(whole, axis=0))),
        ("images without any known label", int((known == 0).sum())),
    ]


def attribute_tables(parts: Parts, train: np.ndarray, rows: np.ndarray) -> list[Table]:
    """Return tables of attributes, of pairs of attributes, and of images by number of unknown labels.

    rows: positions of the images to count. train: (n,) bool, the others are test.
    """
    table, hidden = parts.table[rows], parts.hidden[rows]
    return [
        _one_by_one(parts.attributes, table, hidden, train[rows]),
        _two_by_two(parts.attributes, table),
        _by_unknown(table),
    ]


def _one_by_one(names: tuple[str, ...], table: np.ndarray, hidden: np.ndarray, train: np.ndarray) -> Table:
    out = []
    for index, name in enumerate(names):
        cells, truth = table[:, index], hidden[:, index]
        yes, no, known = int((cells == 1).sum()), int((cells == 0).sum()), int((truth >= 0).sum())
        out.append(
            {
                "attribute": name,
                "yes": yes,
                "no": no,
                "unknown": len(cells) - yes - no,
                "share": yes / (yes + no) if yes + no else None,
                "missing": 1 - (yes + no) / len(cells) if len(cells) else None,
                "train": int((cells[train] == 1).sum()),
                "test": int((cells[~train] == 1).sum()),
                "truth": float((truth == 1).sum() / known) if known else None,
            }
        )
    columns = [
        Column("attribute", "attribute"),
        Column("yes", "yes", "int"),
        Column("no", "no", "int"),
        Column("unknown", "unknown", "int"),
        Column("share", "yes of known", "ratio"),
        Column("missing", "share unknown", "ratio"),
        Column("train", "yes in train", "int"),
        Column("test", "yes in test", "int"),
        Column("truth", "yes of hidden truth", "ratio"),
    ]
    shown = [column for column in columns if column.key != "truth" or (hidden >= 0).any()]
    kept = [{column.key: row[column.key] for column in shown} for row in out]
    return Table("Attributes", shown, tuple(kept))


def pair_counts(table: np.ndarray) -> np.ndarray:
    """Return the contingency tables of all pairs of attributes, (2, 2, k, k) int64.

    table: (n, k) of 1, 0 and -1. Entry [a, b, i, j] counts rows where attribute i is a and attribute j is b.
    """
    no, yes = ((table == value).astype(np.float64) for value in (0, 1))
    return np.array([[first.T @ second for second in (no, yes)] for first in (no, yes)]).astype(np.int64)


def phi(counts: np.ndarray) -> np.ndarray:
    """Return Pearson's phi of pairs of attributes over rows where both are known, (k, k), NaN if undefined.

    counts: of `pair_counts`. phi is (ad - bc) over the square root of the product of the margins.
    """
    counts = counts.astype(np.float64)
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    top = counts[1, 1] * counts[0, 0] - counts[1, 0] * counts[0, 1]
    bottom = np.sqrt(rows[0]) * np.sqrt(rows[1]) * np.sqrt(columns[0]) * np.sqrt(columns[1])
    answer: np.ndarray = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)
    return answer


def _two_by_two(names: tuple[str, ...], table: np.ndarray, limit: int = 30) -> Table:
    """List pairs of attributes by falling strength of correlation, positive or negative."""
    counts = pair_counts(table)
    strength = phi(counts)
    apart = np.nan_to_num(-np.abs(strength), nan=1.0)
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    pairs.sort(key=lambda pair: (apart[pair], pair))
    rows = []
    for i, j in pairs[:limit]:
        both, one, other = (int(counts[a, b, i, j]) for a, b in ((1, 1), (1, 0), (0, 1)))
        neither = int(counts[0, 0, i, j])
        rows.append(
            {
                "one": names[i],
                "two": names[j],
                "known": both + one + other + neither,
                "both": both,
                "with": both / (both + one) if both + one else None,
                "without": other / (other + neither) if other + neither else None,
                "phi": None if np.isnan(strength[i, j]) else float(strength[i, j]),
            }
        )
    columns = (
        Column("one", "attribute"),
        Column("two", "and"),
        Column("known", "both known", "int"),
        Column("both", "both yes", "int"),
        Column("with", "second yes where first yes", "ratio"),
        Column("without", "where first no", "ratio"),
        Column("phi", "phi", "signed"),
    )
    notes = (f"and {len(pairs) - limit} more pairs, less correlated",) if len(pairs) > limit else ()
    return Table("Attributes together", columns, tuple(rows), notes)


def _by_unknown(table: np.ndarray) -> Table:
    unknown = (table < 0).sum(axis=1)
    columns = (Column("unknown", "unknown labels", "int"), Column("images", "images", "int"))
    numbers, images = np.unique(unknown, return_counts=True)
    rows = tuple(
        {"unknown": number, "images": count}
        for number, count in zip(numbers.tolist(), images.tolist(), strict=True)
    )
    return Table("Unknown labels of one image", columns, rows)
