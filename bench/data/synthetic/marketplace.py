"""The synthetic marketplace sample: listings of used goods, photographed and labelled by their sellers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.data.examples import Examples
from bench.data.synthetic.catalogue import ARTICLES
from bench.data.synthetic.images import STREAM, GoodsImage, SyntheticImages, check_size, fingerprint
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.write import write_sample

SIZES: Mapping[str, tuple[int, int]] = {"tiny": (48, 14), "small": (480, 90)}
"""The sample's sizes: numbers of listings and of senders."""

TRUTH = "true_category"
"""The column with the true category of a listing; "" for a photo that shows something else."""


class Goods(NamedTuple):
    """A category of the sample.

    share: percent of the listings. shapes: the article types that are shown. price: the typical price. alike:
    the wrong categories of its listings.
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


def marketplace_sample(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no image is rendered before it is read.

    Listings have one to four photos, some of them of something else; some listings are under a wrong
    category; prices depend on the true category, not on the given one. Raises BenchError for an unknown size.
    """
    check_size(size, SIZES)
    listings, senders = SIZES[size]
    rows = [row for number in range(listings) for row in _listing(number, senders, f"{size}/{seed}")]
    columns, images = zip(*rows, strict=True)
    items: dict[str, None] = {}
    s = RandomStream("market", STREAM, size, seed)
    while len(items) < len(rows):
        items[f"{s.integer(0, 2**32 - 1):08x}"] = None
    return Examples(
        items=tuple(items),
        columns={name: tuple(row[name] for row in columns) for name in columns[0]},
        images=SyntheticImages(images),
        fingerprint=fingerprint("market", size, seed),
        source=f"drawn-market-{size}",
    )


def _listing(number: int, senders: int, key: str) -> list[tuple[dict[str, str], GoodsImage]]:
    """Return columns and image of each photo of one listing."""
    s = RandomStream("listing", STREAM, key, number)
    # Every category is there, however small the sample; few senders have many listings.
    order = tuple(GOODS)
    certain = number < len(order)
    true = order[number] if certain else s.weighted({name: good.share for name, good in GOODS.items()})
    good = GOODS[true]
    given = s.choice(good.alike) if not certain and s.chance(_MISTAKEN) else true
    sender = f"s{min(s.integer(0, senders - 1), s.integer(0, senders - 1))}"
    cents = good.price * (40 + s.integer(0, 70) + s.integer(0, 70))
    price = f"{cents // 100}.{cents % 100:02d}"
    if s.chance(_UNPRICED):
        price = ""
    elif s.chance(_ODDLY_PRICED):
        price = s.choice(("0.01", "9999.00", "1.00"))
    shape = s.choice(good.shapes)
    colour, pattern = s.weighted(ARTICLES[shape].colours), s.weighted(ARTICLES[shape].patterns)
    others = tuple(one for name in order if name != true for one in GOODS[name].shapes)
    columns = {"category": given, "sender": sender, "listing": f"l{number}", "price": price, "group": sender}
    rows = []
    for photo in range(s.weighted(_PHOTOS)):
        off_topic = photo > 0 and s.chance(_OFF_TOPIC)
        shown = s.choice(others) if off_topic else shape
        image = GoodsImage(f"{key}/{number}/{photo}", shown, colour, pattern, at_home=True)
        rows.append(({**columns, TRUTH: "" if off_topic else true}, image))
    return rows


def write_listings(examples: Examples, folder: Path) -> None:
    """Write examples as the `listings` source reads them; raises DataError as `write_sample` does."""
    columns = {name: cells for name, cells in examples.columns.items() if name != "group"}
    write_sample(examples, folder, {"listings.csv": ("image", columns)}, "images/{}.jpg")
