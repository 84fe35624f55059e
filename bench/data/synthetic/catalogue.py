"""The article types of the synthetic fashion sample: their frequencies and typical attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bench.data.synthetic.colours import CLOTHES, LEATHER, MENSWEAR, METALS, SHOES, WOMENSWEAR

Weights = Mapping[str, int]

MEN: Weights = {"Men": 83, "Women": 12, "Unisex": 2, "Boys": 3}
WOMEN: Weights = {"Women": 97, "Girls": 3}
BOTH: Weights = {"Men": 52, "Women": 40, "Unisex": 8}
SHARED: Weights = {"Unisex": 72, "Men": 18, "Women": 10}
CASUAL: Weights = {"Casual": 96, "Sports": 3, "NA": 1}
FORMAL: Weights = {"Formal": 88, "Casual": 12}
SPORTY: Weights = {"Sports": 72, "Casual": 28}
ETHNIC: Weights = {"Ethnic": 94, "Casual": 6}
MIXED: Weights = {"Casual": 66, "Formal": 32, "Smart Casual": 2}

ANY: Weights = {"solid": 66, "striped": 12, "checked": 5, "printed": 17}
JERSEY: Weights = {"solid": 70, "striped": 13, "checked": 1, "printed": 16}
SHIRTING: Weights = {"solid": 26, "striped": 32, "checked": 40, "printed": 2}
ETHNIC_PRINT: Weights = {"solid": 42, "striped": 8, "checked": 4, "printed": 46}
PLAIN: Weights = {"solid": 88, "striped": 5, "checked": 3, "printed": 4}
WOVEN: Weights = {"solid": 40, "striped": 32, "checked": 16, "printed": 12}


class Article(NamedTuple):
    """One article type.

    master, sub: masterCategory and subCategory. small, tiny: rows in (even, odd) years.
    alike: the types that its rows are mislabelled as. passes: another type that some of its rows look like,
    and the percentage that do.
    """

    master: str
    sub: str
    small: tuple[int, int]
    tiny: tuple[int, int]
    genders: Weights
    colours: Weights
    patterns: Weights
    alike: tuple[str, ...]
    usages: Weights = CASUAL
    passes: tuple[str, int] | None = None


ARTICLES: Mapping[str, Article] = {
    "Tshirts": Article("Apparel", "Topwear", (150, 160), (9, 5),
        MEN, MENSWEAR, JERSEY, ("Tops", "Shirts"), passes=("Tops", 28)),
    "Casual Shoes": Article("Footwear", "Shoes", (78, 76), (5, 3),
        MEN, SHOES, PLAIN, ("Sports Shoes", "Formal Shoes", "Flats"), passes=("Formal Shoes", 34)),
    "Watches": Article("Accessories", "Watches", (70, 50), (5, 2), BOTH, METALS, PLAIN, ("Belts",)),
    "Shirts": Article("Apparel", "Topwear", (62, 84), (5, 3),
        MEN, MENSWEAR, SHIRTING, ("Tshirts", "Kurtas"), MIXED),
    "Kurtas": Article("Apparel", "Topwear", (46, 32), (4, 1),
        WOMEN, WOMENSWEAR, ETHNIC_PRINT, ("Tops", "Dresses"), ETHNIC, passes=("Dresses", 45)),
    "Sports Shoes": Article("Footwear", "Shoes", (34, 36), (4, 2),
        MEN, SHOES, PLAIN, ("Casual Shoes",), SPORTY),
    "Tops": Article("Apparel", "Topwear", (24, 32), (4, 2), WOMEN, WOMENSWEAR, ANY, ("Tshirts", "Kurtas")),
    "Handbags": Article("Accessories", "Bags", (34, 36), (4, 2),
        WOMEN, LEATHER, PLAIN, ("Clutches", "Backpacks")),
    "Heels": Article("Footwear", "Shoes", (36, 28), (4, 1),
        WOMEN, SHOES, PLAIN, ("Flats", "Sandals"), passes=("Flats", 52)),
    "Sunglasses": Article("Accessories", "Eyewear", (30, 24), (3, 1), BOTH, METALS, PLAIN, ("Watches",)),
    "Briefs": Article("Apparel", "Innerwear", (20, 14), (3, 1), MEN, MENSWEAR, WOVEN, ("Trunk", "Shorts")),
    "Wallets": Article("Accessories", "Wallets", (18, 16), (3, 1),
        BOTH, LEATHER, PLAIN, ("Handbags", "Clutches")),
    "Flip Flops": Article("Footwear", "Flip Flops", (26, 20), (3, 1),
        BOTH, SHOES, PLAIN, ("Sandals",), passes=("Sandals", 45)),
    "Socks": Article("Accessories", "Socks", (17, 12), (3, 1), MEN, MENSWEAR, WOVEN, ("Briefs",)),
    "Belts": Article("Accessories", "Belts", (16, 14), (3, 1), BOTH, LEATHER, PLAIN, ("Watches",), MIXED),
    "Sandals": Article("Footwear", "Sandal", (12, 16), (3, 1), MEN, SHOES, PLAIN, ("Flip Flops", "Flats")),
    "Formal Shoes": Article("Footwear", "Shoes", (13, 18), (3, 1),
        {"Men": 1}, {"Black": 66, "Brown": 30, "Tan": 4}, {"solid": 1}, ("Casual Shoes",), FORMAL),
    "Dresses": Article("Apparel", "Dress", (12, 14), (3, 1), WOMEN, WOMENSWEAR, ANY, ("Kurtas", "Tops")),
    "Sarees": Article("Apparel", "Saree", (12, 0), (3, 0),
        {"Women": 1}, WOMENSWEAR, ANY, ("Kurtas",), ETHNIC),
    "Flats": Article("Footwear", "Shoes", (11, 14), (3, 1), WOMEN, SHOES, PLAIN, ("Heels", "Sandals")),
    "Backpacks": Article("Accessories", "Bags", (9, 12), (2, 2), SHARED, LEATHER, PLAIN, ("Handbags",)),
    "Jeans": Article("Apparel", "Bottomwear", (9, 13), (2, 1), MEN, MENSWEAR, {"solid": 1}, ("Trousers",)),
    "Trousers": Article("Apparel", "Bottomwear", (8, 11), (2, 1),
        MEN, LEATHER, WOVEN, ("Track Pants", "Jeans"), MIXED),
    "Caps": Article("Accessories", "Headwear", (8, 8), (2, 1), SHARED, CLOTHES, PLAIN, ("Backpacks",)),
    "Shorts": Article("Apparel", "Bottomwear", (7, 9), (2, 1),
        MEN, LEATHER, WOVEN, ("Trunk", "Trousers"), SPORTY),
    "Track Pants": Article("Apparel", "Bottomwear", (6, 6), (0, 0),
        MEN, LEATHER, PLAIN, ("Trousers",), SPORTY),
    "Sweatshirts": Article("Apparel", "Topwear", (7, 11), (0, 0), MEN, MENSWEAR, PLAIN, ("Tshirts",)),
    "Trunk": Article("Apparel", "Innerwear", (5, 5), (0, 0),
        {"Men": 1}, CLOTHES, WOVEN, ("Briefs", "Shorts")),
    "Ties": Article("Accessories", "Ties", (5, 5), (0, 0), {"Men": 1}, CLOTHES, WOVEN, ("Scarves",), FORMAL),
    "Scarves": Article("Accessories", "Scarves", (4, 5), (0, 0), BOTH, CLOTHES, WOVEN, ("Ties",)),
    "Skirts": Article("Apparel", "Bottomwear", (4, 3), (0, 0), WOMEN, WOMENSWEAR, ANY, ("Dresses",)),
    "Clutches": Article("Accessories", "Bags", (3, 5), (0, 0), {"Women": 1}, LEATHER, PLAIN, ("Wallets",)),
    "Gloves": Article("Accessories", "Gloves", (0, 4), (0, 1), BOTH, LEATHER, PLAIN, ("Socks",)),
    "Mufflers": Article("Accessories", "Mufflers", (0, 4), (0, 0), BOTH, CLOTHES, WOVEN, ("Scarves",)),
    "Umbrellas": Article("Accessories", "Umbrellas", (0, 3), (0, 0), SHARED, CLOTHES, ANY, ("Caps",)),
}  # fmt: skip
