"""Product titles as shops write them: brand, gender, model, colour, a word for the type."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.synthetic.random_stream import RandomStream

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
    "Cairo",
)  # fmt: skip
_PATTERNS = {"solid": "Solid", "striped": "Stripes", "checked": "Check", "printed": "Printed"}

WORDS: Mapping[str, Mapping[str, int]] = {
    "Tshirts": {"Tshirt": 24, "T-shirt": 44, "Tshirts": 10, "Polo Tshirts": 20, "Top": 2},
    "Casual Shoes": {"Casual Shoes": 54, "Casual Shoe": 29, "Shoes": 9, "Sports Shoes": 8},
    "Watches": {"Watch": 46, "Dial Watch": 22, "Watches": 32},
    "Kurtas": {"Kurta": 60, "Kurtas": 34, "Top": 6},
    "Sports Shoes": {"Sports Shoes": 58, "Sports Shoe": 26, "Shoes": 6, "Casual Shoes": 10},
    "Tops": {"Top": 52, "Tops": 28, "Tank Top": 6, "T-shirt": 10, "Shirt": 4},
    "Heels": {"Heels": 50, "Heel": 10, "Flats": 16, "Wedges": 4, "Sandals": 12, "Casual Shoes": 8},
    "Briefs": {"Brief": 50, "Briefs": 42, "Trunks": 5, "Innerwear": 3},
    "Flip Flops": {"Flip Flops": 54, "Flip-Flops": 14, "Slippers": 20, "Sandals": 12},
    "Sandals": {"Sandals": 54, "Sandal": 32, "Slippers": 8, "Casual Shoes": 6},
    "Formal Shoes": {"Formal Shoes": 74, "Formal Shoe": 16, "Shoes": 6, "Semi-Formal Shoes": 4},
    "Dresses": {"Dress": 94, "Top": 6},
    "Flats": {"Flats": 46, "Flat": 20, "Sandals": 14, "Casual Shoes": 12, "Heels": 8},
    "Track Pants": {"Track Pants": 62, "Track Pant": 34, "Pants": 4},
    "Trousers": {"Trousers": 52, "Trouser": 38, "Pants": 10},
}
"""Words for the types that a title may mistake; the others are called what they are."""


def title(s: RandomStream, kind: str, master: str, gender: str, colour: str, pattern: str) -> str:
    """Return a product title.

    kind: the article type that it names. master: its masterCategory. The words for a type are as loose as in
    a real shop: heels may be sold as flats, casual shoes as just shoes.
    """
    words = [s.choice(_HOUSES[master]), gender]
    words += (s.choice(_MODELS) for _ in range(s.weighted({0: 20, 1: 36, 2: 30, 3: 14})))
    if s.chance(24 if pattern == "solid" else 62):
        words.append(_PATTERNS[pattern])
    if s.chance(80):
        words.append(colour)
    words.append(s.weighted(WORDS.get(kind, {kind: 1})))
    return " ".join(words)
