"""Reader of lists of pairs in LFW's format: `pairsDevTrain.txt`, `pairsDevTest.txt` and `pairs.txt`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import DataError, nearest
from bench.core.regular_files import Refused
from bench.data.examples import Examples, PairList, Problem
from bench.data.files import DataFolder
from bench.data.tables import printable

FILES: Mapping[str, str] = {
    "view1_train": "pairsDevTrain.txt",
    "view1_test": "pairsDevTest.txt",
    "view2": "pairs.txt",
}
"""The file of each list."""

BAD_LIST = "pair_list"
"""The kind of problem of an unusable list; `where` begins with the file's name."""

VIEWS: Mapping[str, tuple[str, ...]] = {"view1": ("view1_train", "view1_test"), "view2": ("view2",)}
"""The lists that each view needs."""

_NUMBER = re.compile(r"[0-9]{1,9}")


class BadList(Exception):
    """A list cannot be used. line: of its file, from 1; str(): the reason."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True)
class ListedPair:
    """One line of a list: the names and numbers of its two photos, as written."""

    line: int
    first: tuple[str, int]
    second: tuple[str, int]
    same: bool
    fold: int


class PhotoIndex:
    """The photos of a data set by person and number, as in lists.

    names: n folder names. numbers: n numbers. shown: n ids, for messages. refused: reasons by name and
    number, for photos that cannot be used.
    """

    def __init__(
        self,
        names: Sequence[str],
        numbers: Sequence[int],
        shown: Sequence[str],
        refused: Mapping[tuple[str, int], str],
    ) -> None:
        self.shown, self.refused = shown, refused
        self.places: dict[tuple[str, int], list[int]] = {}
        self.known: dict[str, str] = {}
        self.images: dict[str, int] = {}
        for index, (name, number) in enumerate(zip(names, numbers, strict=True)):
            self.places.setdefault((name, number), []).append(index)
            self.images[name] = self.images.get(name, 0) + 1
        for name in (*self.images, *(name for name, _ in refused)):
            # Operating systems encode accented letters in file names in two ways.
            self.known.setdefault(unicodedata.normalize("NFC", name), name)

    def find(self, name: str, number: int, line: int) -> int:
        """Return the position of a photo. Raises BadList."""
        own = name if name in self.images else self.known.get(unicodedata.normalize("NFC", name))
        if own is None:
            shown = printable(name)[:80]
            raise BadList(line, f"names the unknown person {shown!r}{nearest(shown, self.images)}")
        places = self.places.get((own, number), [])
        if len(places) == 1:
            return places[0]
        who = f"image {number} of {printable(own)[:80]!r}"
        if places:
            files = " and ".join(self.shown[place] for place in places[:3])
            raise BadList(line, f"names {who}, which could be {files}: keep one")
        if (own, number) in self.refused:
            raise BadList(line, f"names {who}, which cannot be used: {self.refused[own, number]}")
        held = self.images.get(own, 0)
        raise BadList(line, f"names {who}, which is missing (the person has {held} images)")


def read_pair_lists(
    folders: Sequence[tuple[DataFolder, str]], people: PhotoIndex, hashes: Sequence[str]
) -> tuple[dict[str, PairList], list[Problem]]:
    """Read the existing lists, each from the first folder that has its file.

    folders: a folder and the path in it, "" or ending with "/". hashes: of each photo's bytes. A list with
    any fault is left out whole, because a missing pair would shift its folds: its first fault is a problem of
    kind BAD_LIST, and `which_pairs` raises an error if the list is needed. Repeated pairs, and different
    pairs of identical files, are kept and noted.
    """
    lists: dict[str, PairList] = {}
    problems: list[Problem] = []
    for name, file in FILES.items():
        raw = _read(folders, file)
        if raw is None:
            continue
        try:
            if isinstance(raw, Refused):
                raise BadList(0, f"{raw}")
            pairs = parse_pairs(raw)
            lists[name] = _resolved(pairs, people, with_folds=name == "view2")
        except BadList as fault:
            problems.append(
                Problem(BAD_LIST, f"{file} line {fault.line}" if fault.line else file, f"{fault}")
            )
            continue
        problems += _notes(file, pairs, lists[name], people, hashes)
    return lists, problems


def _read(folders: Sequence[tuple[DataFolder, str]], file: str) -> bytes | Refused | None:
    """Return the bytes of a list, the reason why it cannot be read, or None if no folder has it."""
    for folder, path in folders:
        try:
            return folder.read(f"{path}{file}")
        except Refused as why:
            if why.code != "no_file":
                return why
    return None


def parse_pairs(raw: bytes) -> list[ListedPair]:
    """Return the pairs of a file in its order.

    The first line is the number n of same and of different pairs, or the number of folds and n in each. A
    same pair is `name i j`, a different pair `name i other j`, separated by tabs, else by blanks; each fold
    has n same pairs, then n different ones. Any line ends, a byte order mark and blank lines at the end are
    allowed. Raises BadList.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadList(1, "is UTF-16; save it as UTF-8")
    # Bytes that are not UTF-8 are decoded as in file names, so that they match their folder.
    lines = re.split(r"\r\n|\r|\n", raw.decode("utf-8-sig", "surrogateescape"))
    while lines and not lines[-1].strip():
        lines.pop()
    folds, size = _header(lines[0] if lines else "")
    counted = f"{folds} folds of " if folds > 1 else ""
    if len(lines) - 1 != 2 * folds * size:
        raise BadList(
            1, f"declares {counted}{size} same and {size} different pairs, but {len(lines) - 1} lines follow"
        )
    return [
        _pair(text, index + 2, index // size % 2 == 0, index // (2 * size))
        for index, text in enumerate(lines[1:])
    ]


def _header(text: str) -> tuple[int, int]:
    """Return the number of folds and the number of same pairs in each."""
    numbers = text.split()
    if not 1 <= len(numbers) <= 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise BadList(
            1,
            "must be the number of pairs of each kind (300), or folds and pairs in each (10 300), not "
            f"{printable(text.strip())[:40]!r}",
        )
    folds, size = (1, int(numbers[0])) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))
    if not folds or not size:
        raise BadList(1, "declares no pairs")
    return folds, size


def _pair(text: str, line: int, same: bool, fold: int) -> ListedPair:
    """Read one line. same: which kind of pair it must be."""
    fields = [field.strip() for field in text.strip().split("\t")] if "\t" in text.strip() else text.split()
    form = "a same pair: name i j" if same else "a different pair: name i other j"
    if len(fields) != (3 if same else 4) or not all(fields):
        found = printable(text.strip())[:60]
        raise BadList(line, f"must be {form}, not {found!r}" if found else f"must be {form}, but is blank")
    numbers = fields[1:] if same else fields[1::2]
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise BadList(line, f"must be {form}, and {printable(number)[:40]!r} is not an image number")
    other = fields[0] if same else fields[2]
    first, second = (fields[0], int(numbers[0])), (other, int(numbers[1]))
    if first == second:
        raise BadList(line, f"pairs image {first[1]} of {printable(first[0])[:80]!r} with itself")
    if not same and fields[0] == other:
        raise BadList(line, f"is a different pair, but both images are of {printable(other)[:80]!r}")
    return ListedPair(line, first, second, same, fold)


def _resolved(pairs: Sequence[ListedPair], people: PhotoIndex, with_folds: bool) -> PairList:
    """Return the positions of all photos. with_folds: whether the list must have several folds."""
    last = pairs[-1].fold
    if with_folds and not last:
        raise BadList(1, "has one fold, but View 2 needs several: write folds and pairs (10 300)")
    if not with_folds and last:
        raise BadList(
            1, f"has {last + 1} folds, but this list must have none: write only the number of pairs"
        )
    first = tuple(people.find(*pair.first, pair.line) for pair in pairs)
    second = tuple(people.find(*pair.second, pair.line) for pair in pairs)
    return PairList(first, second, tuple(pair.same for pair in pairs), tuple(pair.fold for pair in pairs))


def _notes(
    file: str, pairs: Sequence[ListedPair], listed: PairList, people: PhotoIndex, hashes: Sequence[str]
) -> list[Problem]:
    """Return notes on odd pairs, which are kept."""
    seen: dict[tuple[int, int], int] = {}
    notes = []
    for pair, one, two in zip(pairs, listed.first, listed.second, strict=True):
        where = f"{file} line {pair.line}"
        before = seen.setdefault((min(one, two), max(one, two)), pair.line)
        if before != pair.line:
            why = f"repeats the pair of line {before}: kept"
            notes.append(Problem("duplicate_pair", where, why, fatal=False))
        if not pair.same and hashes[one] == hashes[two]:
            why = f"a different pair of identical files, {people.shown[one]} and {people.shown[two]}: kept"
            notes.append(Problem("identical_different", where, why, fatal=False))
    return notes


def which_pairs(examples: Examples, asked: str) -> str:
    """Return the pairs to use for this data: `view1`, `view2` or `made`.

    asked: one of these, or `auto`: View 1 if the data has any of its lists, else generated pairs. Raises
    DataError if a list is missing or cannot be used.
    """
    faults = {
        problem.where.partition(" line ")[0]: problem
        for problem in examples.problems
        if problem.code == BAD_LIST
    }
    there = {name for name, file in FILES.items() if name in examples.pair_lists or file in faults}
    if asked == "auto":
        asked = "view1" if there.intersection(VIEWS["view1"]) else "made"
    for name in VIEWS.get(asked, ()):
        file = FILES[name]
        if name not in there:
            raise DataError(f"pairs={asked} needs {file}, which is missing; add it, or set pairs=made")
        if file in faults:
            fault = faults[file]
            raise DataError(f"{fault.where} {fault.why}; repair the list or the folder, or set pairs=made")
    return asked
