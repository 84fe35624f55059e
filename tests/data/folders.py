"""Small data folders and images, made by code: good ones and every sort of bad one."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"


def row(item: str, kind: str = "Shirts", year: str = "2012", title: str = "Plain Shirt") -> str:
    """Return one line of styles.csv."""
    return f"{item},Men,Apparel,Topwear,{kind},Navy Blue,Fall,{year},Casual,{title}"


def picture(seed: int = 0, height: int = 12, width: int = 10) -> np.ndarray:
    """Return a smooth random picture, (height, width, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: np.ndarray | Image.Image, form: str = "JPEG", **options: object) -> bytes:
    """Return the image as the bytes of a file."""
    out = io.BytesIO()
    made = image if isinstance(image, Image.Image) else Image.fromarray(image)
    made.save(out, form, **options)
    return out.getvalue()


def kaggle_folder(
    folder: Path, lines: Sequence[str], images: Mapping[str, bytes] | Sequence[str], header: str = HEADER
) -> Path:
    """Write styles.csv and images; images: bytes by file name, or the ids to draw a picture for."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "styles.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    if not isinstance(images, Mapping):
        images = {f"{item}.jpg": encoded(picture(int(item))) for item in images}
    for name, data in images.items():
        (folder / "images" / name).write_bytes(data)
    return folder


def png_header_only(width: int, height: int) -> bytes:
    """Return a PNG that announces a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", b"") + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_orientation(orientation: int) -> Image.Exif:
    """Return EXIF data that holds an orientation alone."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
