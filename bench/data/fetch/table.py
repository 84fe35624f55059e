"""Table of the public data sets behind the tasks: files, sizes, licences, checksums, layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.core.errors import unknown
from bench.core.paths import shipped
from bench.data.task_card import find_cards, read_card

GB = 1_000_000_000


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    size: bytes, None if nobody publishes it. sha256: hex digits, None if nobody publishes them: the ones of
    the first download are then recorded, and compared from then on. unpack: whether it is an archive.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    unpack: bool = False


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    sources: which sources of `bench.data.sources` read it. licence: None if only its page names one. keeps:
    files and folders of the data folder, looked for in whatever the archives hold. files: what to download.
    kaggle: handle of a data set of Kaggle, in place of files. most: bytes at which to stop.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    licence: str | None
    page: str
    keeps: tuple[str, ...]
    files: tuple[RemoteFile, ...] = ()
    kaggle: str = ""
    most: int = 4 * GB

    @property
    def size(self) -> int | None:
        """Bytes to download, None where that is not known for every file."""
        sizes = [file.size for file in self.files]
        return None if not sizes or None in sizes else sum(size or 0 for size in sizes)


_FIGSHARE = "https://ndownloader.figshare.com/files/"

# Sizes and checksums: scikit-learn (sklearn/datasets/_lfw.py) and TensorFlow Datasets (lfw/checksums.tsv).
_LFW_LISTS = (
    RemoteFile(
        "pairsDevTrain.txt",
        f"{_FIGSHARE}5976012",
        56_579,
        "1d454dada7dfeca0e7eab6f65dc4e97a6312d44cf142207be28d688be92aabfa",
    ),
    RemoteFile(
        "pairsDevTest.txt",
        f"{_FIGSHARE}5976009",
        26_002,
        "7cb06600ea8b2814ac26e946201cdb304296262aad67d046a16a7ec85d0ff87c",
    ),
    RemoteFile(
        "pairs.txt",
        f"{_FIGSHARE}5976006",
        155_335,
        "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
    ),
)
_LFW_LICENCE = "none; published for research"
_LFW_PAGE = "https://scikit-learn.org/stable/datasets/real_world.html"
_FASHION = ("kaggle-fashion", "fashion-attributes")

SETS: Mapping[str, DataSet] = {
    data.name: data
    for data in (
        DataSet(
            name="fashion-small",
            title="Fashion Product Images, 60x80 pixels",
            sources=_FASHION,
            licence=None,
            page="https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-small",
            kaggle="paramaggarwal/fashion-product-images-small",
            keeps=("styles.csv", "images"),
        ),
        DataSet(
            name="fashion-full",
            title="Fashion Product Images, full size",
            sources=_FASHION,
            licence=None,
            page="https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset",
            kaggle="paramaggarwal/fashion-product-images-dataset",
            keeps=("styles.csv", "images"),
        ),
        DataSet(
            name="lfw",
            title="Labeled Faces in the Wild, with its lists of pairs",
            sources=("people",),
            licence=_LFW_LICENCE,
            page=_LFW_PAGE,
            keeps=("lfw", *(file.name for file in _LFW_LISTS)),
            files=(
                *_LFW_LISTS,
                RemoteFile(
                    "lfw.tgz",
                    f"{_FIGSHARE}5976018",
                    180_566_744,
                    "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
                    unpack=True,
                ),
            ),
        ),
        DataSet(
            name="lfw-funneled",
            title="Labeled Faces in the Wild, aligned by funneling",
            sources=("people",),
            licence=_LFW_LICENCE,
            page=_LFW_PAGE,
            keeps=("lfw_funneled", *(file.name for file in _LFW_LISTS)),
            files=(
                *_LFW_LISTS,
                RemoteFile(
                    "lfw-funneled.tgz",
                    f"{_FIGSHARE}5976015",
                    243_346_528,
                    "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
                    unpack=True,
                ),
            ),
        ),
        DataSet(
            name="orl",
            title="ORL faces: 40 people, 10 photos each",
            sources=("people",),
            licence="none; credit to AT&T Laboratories Cambridge",
            page="https://cam-orl.co.uk/facedatabase.html",
            keeps=tuple(f"s{number}" for number in range(1, 41)),
            files=(
                RemoteFile(
                    "att_faces.zip",
                    "https://www.cl.cam.ac.uk/Research/DTG/attarchive/pub/data/att_faces.zip",
                    unpack=True,
                ),
            ),
            most=GB,
        ),
        DataSet(
            name="clothing",
            title="Clothing dataset: photos of clothes by their owners, 20 labels",
            sources=("listings",),
            licence="CC0 1.0",
            page="https://github.com/alexeygrigorev/clothing-dataset",
            keeps=("images.csv", "images"),
            files=(
                # A commit fixes the photos. GitHub packs the archive anew, so its checksum is not published.
                RemoteFile(
                    "clothing-dataset.zip",
                    "https://codeload.github.com/alexeygrigorev/clothing-dataset/zip/"
                    "08b50460cf229fd852bb6c11564e0959f52578ca",
                    unpack=True,
                ),
            ),
        ),
    )
}
"""Data sets by name; the first of a task is the one that its name stands for."""


def tasks_of(data: DataSet) -> dict[str, tuple[str, ...]]:
    """Return the tasks of this installation that read a set, each with the options for it."""
    found: dict[str, tuple[str, ...]] = {}
    for card in map(read_card, find_cards([shipped("tasks")]).values()):
        if card.source in data.sources:
            found[card.name] = ()
        for name, source in card.sources.items():
            if source in data.sources:
                found.setdefault(card.name, ("--set", f"source={name}"))
    return found


def find_sets(name: str) -> list[DataSet]:
    """Return the sets of a task, or the one set of this name. Raises BenchError for an unknown name."""
    if name in SETS:
        return [SETS[name]]
    tasks = {data.name: tasks_of(data) for data in SETS.values()}
    found = [data for data in SETS.values() if name in tasks[data.name]]
    if not found:
        known = sorted({task for names in tasks.values() for task in names})
        raise unknown(
            "task or data set", name, (*known, *SETS), "bench data fetch --list has those there are"
        )
    return found
