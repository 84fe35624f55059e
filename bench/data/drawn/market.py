"""The embedded marketplace sample: listings of used goods, photographed and labelled by their sellers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.data.drawn.catalogue import ARTICLES
from bench.data.drawn.dice import Dice
from bench.data.drawn.drawing import Drawing
from bench.data.drawn.garments import DrawnImages
from bench.data.examples import Examples
from bench.errors import DataError, unknown

MARKET_VERSION = 1
"""Bumped when the same size and seed would no longer give the same rows and pixels."""

SIZES: Mapping[str, tuple[int, int]] = {"tiny": (48, 14), "small": (480, 90)}
"""The sample's sizes: listings, and the senders they come from."""

TRUTH = "true_category"
"""The column that says what a listing really is; "" for a photo that shows something else."""


class Goods(NamedTuple):
    """A category of the sample.

    share: how many of a hundred listings are of it. shapes: what is drawn for it. price: what it costs.
    alike: the categories that its listings are put into by mistake.
    """

    share: int
    shapes: tuple[str, ...]
    price: int
    alike: tuple[str, ...]


GOODS: Mapping[str, Goods] = {
    "T-Shirt": Goods(20, ("Tshirts",), 9, ("Blouse", "Sweater")),
    "Shoes": Goods(16, ("Casual Shoes", "Sports Shoes", "Formal Shoes"), 38, ("Heels", "Sandals")),
    "Trousers": Goods(13, ("Jeans", "Trousers"), 24, ("Shorts",)),
    "Dress": Goods(10, ("Dresses",), 32, ("Blouse", "T-Shirt")),
    "Blouse": Goods(9, ("Tops",), 14, ("T-Shirt", "Shirt")),
    "Shirt": Goods(8, ("Shirts",), 18, ("Blouse", "Sweater")),
    "Bag": Goods(7, ("Handbags", "Backpacks"), 55, ("Wallet",)),
    "Sweater": Goods(5, ("Sweatshirts",), 22, ("Shirt", "T-Shirt")),
    "Shorts": Goods(4, ("Shorts",), 12, ("Trousers",)),
    "Sandals": Goods(3, ("Sandals", "Flip Flops"), 15, ("Shoes", "Heels")),
    "Heels": Goods(3, ("Heels",), 42, ("Sandals", "Shoes")),
    "Wallet": Goods(2, ("Wallets",), 20, ("Bag",)),
}

_PHOTOS = {1: 38, 2: 30, 3: 20, 4: 12}
_OFF_TOPIC = 8  # percent of a listing's further photos that show something else
_MISTAKEN = 14  # percent of listings under a wrong category
_UNPRICED = 6  # percent of listings without a price
_ODDLY_PRICED = 3  # percent with a price that says nothing


@dataclass(frozen=True)
class _Row:
    columns: Mapping[str, str]
    drawing: Drawing


def draw_market(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no pixel is drawn before it is read.

    Listings have one to four photos, of which some show something else, some
    listings are under a wrong category, and prices depend on what a thing is, not on what it is called.
    Raises BenchError for an unknown size.
    """
    if size not in SIZES:
        raise unknown("sample", size, SIZES, f"known: {', '.join(SIZES)}")
    listings, senders = SIZES[size]
    rows = [row for number in range(listings) for row in _listing(number, senders, f"{size}/{seed}")]
    items: dict[str, None] = {}
    d = Dice("market", MARKET_VERSION, size, seed)
    while len(items) < len(rows):
        items[f"{d.between(0, 2**32 - 1):08x}"] = None
    return Examples(
        items=tuple(items),
        columns={name: tuple(row.columns[name] for row in rows) for name in rows[0].columns},
        images=DrawnImages(tuple(row.drawing for row in rows), at_home=True),
        fingerprint=hashlib.sha256(f"market {MARKET_VERSION} {size} {seed}".encode("ascii")).hexdigest(),
        source=f"drawn-market-{size}",
    )


def _listing(number: int, senders: int, key: str) -> list[_Row]:
    """Roll one listing: what it is, what it is called, what it costs, and its photos."""
    d = Dice("listing", MARKET_VERSION, key, number)
    # Every category is there, however small the sample; few senders have many listings.
    order = tuple(GOODS)
    true = (
        order[number] if number < len(order) else d.pick({name: good.share for name, good in GOODS.items()})
    )
    good = GOODS[true]
    given = d.one_of(good.alike) if number >= len(order) and d.chance(_MISTAKEN) else true
    sender = min(d.between(0, senders - 1), d.between(0, senders - 1))
    cents = good.price * (40 + d.between(0, 70) + d.between(0, 70))
    price = f"{cents // 100}.{cents % 100:02d}"
    if d.chance(_UNPRICED):
        price = ""
    elif d.chance(_ODDLY_PRICED):
        price = d.one_of(("0.01", "9999.00", "1.00"))
    shape = d.one_of(good.shapes)
    article = ARTICLES[shape]
    colour, pattern = d.pick(article.colours), d.pick(article.patterns)
    rows = []
    for photo in range(d.pick(_PHOTOS)):
        shown, what = shape, true
        if photo and d.chance(_OFF_TOPIC):
            shown, what = d.one_of(tuple(s for name in order if name != true for s in GOODS[name].shapes)), ""
        columns = {
            "category": given,
            "sender": f"s{sender}",
            "listing": f"l{number}",
            "price": price,
            "group": f"s{sender}",
            TRUTH: what,
        }
        rows.append(_Row(columns, Drawing(shown, colour, pattern, MARKET_VERSION, f"{key}/{number}/{photo}")))
    return rows


def write_listings(examples: Examples, folder: Path) -> None:
    """Write examples as a folder that the `listings` source reads: `listings.csv` and `images/<id>.jpg`.

    Raises DataError when the folder cannot be written.
    """
    import csv

    from PIL import Image

    names = [name for name in examples.columns if name != "group"]
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with open(folder / "listings.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("image", *names))
            writer.writerows(zip(examples.items, *(examples.columns[name] for name in names), strict=True))
        for index, item in enumerate(examples.items):
            Image.fromarray(examples.images.read(index)).save(folder / "images" / f"{item}.jpg", quality=95)
    except OSError as error:
        raise DataError(f"cannot write the sample to {folder}: {error.strerror or error}") from error
