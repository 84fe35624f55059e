"""Product titles as shops write them: brand, for whom, a model's name, colour, a word for the type."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.drawn.dice import Dice

_BRANDS = (
    "Northwell", "Urban Loom", "Casa Verde", "Ridgeway", "Blue Heron", "Tiller & Moss", "Kite",
    "Saffron Row", "Velo", "Stride", "Torrent", "Cobble Lane", "Marlow", "Fen & Field", "Rosalind",
    "Petite Pas", "Meridian", "Harbour", "Plainwell", "Indira", "Oak Hill", "Fable", "Lumen", "Parkside",
)  # fmt: skip
_HOUSES: Mapping[str, tuple[str, ...]] = {
    "Apparel": _BRANDS[:10] + _BRANDS[18:],
    "Footwear": _BRANDS[3:16],
    "Accessories": _BRANDS[6:9] + _BRANDS[11:],
}
_MODELS = (
    "Drift", "Nova", "Classic", "Essential", "Basic", "Orbit", "Pace", "Alta", "City", "Echo", "Fresco",
    "Gala", "Trail", "Mono", "Luma", "Premium", "Retro", "Sable", "Terra", "Vista", "Comfort", "Smart",
    "Heritage", "Summit", "Lite", "Weekend", "Quarter", "Signature", "Jazz", "Metro", "Fashion", "Star",
    "Active", "Leather", "Cotton", "Slim", "Wave", "Rally", "Boston", "Milan", "Oslo", "Rio", "Kyoto",
    "Cairo", "Texas", "Aspen", "Indigo", "Ember", "Frost", "Harvest", "Impact", "Jade", "Knit", "Lunar",
    "Mesa", "Nimbus", "Onyx", "Prime", "Quest", "Rapid", "Sierra", "Tempo", "Ultra", "Vega", "Willow",
    "Zenith", "Acorn", "Breeze", "Coral", "Delta", "Elan", "Fusion", "Grove", "Halo", "Iris", "Jetty",
)  # fmt: skip
_PATTERNS = {"solid": "Solid", "striped": "Stripes", "checked": "Check", "printed": "Printed"}

WORDS: Mapping[str, Mapping[str, int]] = {
    "Tshirts": {
        "Tshirt": 24, "T-shirt": 42, "Tshirts": 10, "Polo T-shirt": 14, "Polo Tshirts": 6, "Tee": 2, "Top": 2,
    },
    "Casual Shoes": {"Casual Shoes": 54, "Casual Shoe": 29, "Shoes": 9, "Sports Shoes": 8},
    "Watches": {"Watch": 46, "Dial Watch": 22, "Watches": 24, "Dial Watches": 8},
    "Shirts": {"Shirt": 64, "Shirts": 30, "Casual Shirt": 6},
    "Kurtas": {"Kurta": 60, "Kurtas": 34, "Top": 6},
    "Sports Shoes": {"Sports Shoes": 58, "Sports Shoe": 26, "Shoes": 6, "Casual Shoes": 10},
    "Tops": {"Top": 52, "Tops": 28, "Tank Top": 6, "T-shirt": 10, "Shirt": 4},
    "Handbags": {"Handbag": 54, "Handbags": 38, "Tote Bag": 8},
    "Heels": {"Heels": 50, "Heel": 10, "Flats": 16, "Wedges": 4, "Sandals": 12, "Casual Shoes": 8},
    "Sunglasses": {"Sunglasses": 100},
    "Briefs": {"Brief": 50, "Briefs": 42, "Trunks": 5, "Innerwear": 3},
    "Wallets": {"Wallet": 58, "Wallets": 40, "Card Holder": 2},
    "Flip Flops": {"Flip Flops": 54, "Flip-Flops": 14, "Slippers": 20, "Sandals": 12},
    "Socks": {"Socks": 100},
    "Belts": {"Belt": 62, "Belts": 38},
    "Sandals": {"Sandals": 54, "Sandal": 32, "Slippers": 8, "Casual Shoes": 6},
    "Formal Shoes": {"Formal Shoes": 74, "Formal Shoe": 16, "Shoes": 6, "Semi-Formal Shoes": 4},
    "Dresses": {"Dress": 72, "Dresses": 22, "Top": 6},
    "Sarees": {"Saree": 88, "Sarees": 12},
    "Flats": {"Flats": 46, "Flat": 20, "Sandals": 14, "Casual Shoes": 12, "Heels": 8},
    "Backpacks": {"Backpack": 78, "Backpacks": 20, "Laptop Bag": 2},
    "Jeans": {"Jeans": 100},
    "Trousers": {"Trousers": 52, "Trouser": 38, "Pants": 6, "Chinos": 4},
    "Caps": {"Cap": 62, "Caps": 26, "Beanie": 12},
    "Shorts": {"Shorts": 92, "Bermuda": 8},
    "Track Pants": {"Track Pants": 62, "Track Pant": 34, "Pants": 4},
    "Sweatshirts": {"Sweatshirt": 66, "Sweatshirts": 22, "Hoody": 12},
    "Trunk": {"Trunks": 62, "Trunk": 38},
    "Ties": {"Tie": 74, "Ties": 26},
    "Scarves": {"Scarf": 60, "Scarves": 40},
    "Skirts": {"Skirt": 80, "Skirts": 20},
    "Clutches": {"Clutch": 78, "Clutches": 12, "Purse": 10},
    "Gloves": {"Gloves": 100},
    "Mufflers": {"Muffler": 80, "Mufflers": 20},
    "Umbrellas": {"Umbrella": 100},
}  # fmt: skip


def title(d: Dice, kind: str, master: str, gender: str, colour: str, pattern: str) -> str:
    """Return a product title.

    kind: the article type it speaks of. master: its masterCategory. The words for a type
    are as loose as in a real shop: a heel may be sold as a flat, a shoe as just a shoe.
    """
    words = [d.one_of(_HOUSES[master]), gender]
    words += (d.one_of(_MODELS) for _ in range(d.pick({0: 20, 1: 36, 2: 30, 3: 14})))
    if d.chance(24 if pattern == "solid" else 62):
        words.append(_PATTERNS[pattern])
    if d.chance(80):
        words.append(colour)
    words.append(d.pick(WORDS[kind]))
    return " ".join(words)
