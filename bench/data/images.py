"""Decoding of image files to RGB pixels, and resizing."""

from __future__ import annotations

import importlib
import io
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bench.data.examples import ImageError
from bench.data.tables import printable

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000
"""Limit of pixels by the header; larger images are refused before decoding."""

MAX_SIDE = 65_535
"""Limit of a side, that of JPEG: millions of rows cost more than their pixels."""

RESIZE_MODES = ("squash", "crop", "pad")

FORMATS = (
    *("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM"),
    *("AVIF", "JPEG2000", "QOI", "TGA"),
)
"""Accepted formats. Not all of Pillow's: for PostScript it would start Ghostscript; others hold no photos.

TGA has no signature, so it is tried last.
"""

_LARGE_PIXELS = 8_000_000
_STRIP_PIXELS = 4_000_000
_large_one_at_a_time = threading.Lock()
_ORIENTATION = 0x0112


def decode(data: bytes) -> np.ndarray:
    """Decode an image file to (height, width, 3) uint8 RGB.

    Rotated by its EXIF orientation; the first of several frames; transparency on white; 16 bits per channel
    scaled to 8; CMYK, palette, grey and black-and-white converted. Raises ImageError, whose text is one of
    `empty file`, `not an image`, `truncated`, `broken`, `too many pixels`, `unsupported pixels`, with details
    after a colon. Safe to call from several threads.
    """
    if not data:
        raise ImageError("empty file")
    fast = _decode_plain_jpeg(data)
    return fast if fast is not None else _decode_any(data)


def _decode_plain_jpeg(data: bytes) -> np.ndarray | None:
    """Decode an upright JPEG in half of Pillow's time, to the same bits; None: use Pillow.

    Both use libjpeg-turbo with its exact settings. Unusual and faulty files are left to Pillow.
    """
    turbo = _simplejpeg()
    if (
        turbo is None
        or not data.startswith(b"\xff\xd8\xff")
        or b"Exif\0" in data
        or b"tiff:Orientation" in data
    ):
        return None
    try:
        height, width, space, _ = turbo.decode_jpeg_header(data)
        if space not in ("YCbCr", "Gray") or height * width > _LARGE_PIXELS:
            return None
        pixels: np.ndarray = turbo.decode_jpeg(data, "RGB")
    except ValueError:
        return None
    return pixels


def _decode_any(data: bytes) -> np.ndarray:
    library = _pillow()
    try:
        with library.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
                raise ImageError(_too_many(width, height))
            with _room_for(width * height):
                image.load()
                upright = _turned(_to_rgb(image), image)
                return np.asarray(upright)
    except (ImageError, MemoryError):
        raise
    except (library.DecompressionBombError, library.DecompressionBombWarning):
        raise ImageError(f"too many pixels: more than {MAX_PIXELS // 10**6} million") from None
    except Exception as error:
        # Pillow's readers raise exceptions of any type for broken files.
        raise ImageError(_reason(data, error)) from None


def _too_many(width: int, height: int) -> str:
    limit = f"more than {MAX_PIXELS // 10**6} million"
    if width * height <= MAX_PIXELS:
        limit = f"a side of more than {MAX_SIDE}"
    return f"too many pixels: {width}x{height}, {limit}"


def _room_for(pixels: int) -> AbstractContextManager[object]:
    """Decode large images one at a time, so that memory does not grow with the number of threads."""
    return _large_one_at_a_time if pixels > _LARGE_PIXELS else nullcontext()


def _reason(data: bytes, error: Exception) -> str:
    if type(error).__name__ == "UnidentifiedImageError":
        known = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
        return "broken: its header cannot be read" if data.startswith(known) else "not an image"
    text = printable(" ".join(str(error).split()))
    return (
        "truncated" if "truncated" in text.lower() or isinstance(error, EOFError) else f"broken: {text[:80]}"
    )


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return the loaded first frame in mode RGB."""
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode.startswith("I"):
        return _in_strips(image, _from_wide)
    if mode == "F":
        raise ImageError("unsupported pixels: floating point")
    if image.has_transparency_data:
        return _in_strips(image, _on_white)
    return image.convert("RGB")


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert to RGB in strips of rows, to limit memory."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // max(1, width))
    if rows >= height:
        return convert(image)
    out = _pillow().new("RGB", image.size)
    for top in range(0, height, rows):
        out.paste(convert(image.crop((0, top, width, min(top + rows, height)))), (0, top))
    return cast("Image.Image", out)


def _on_white(image: Image.Image) -> Image.Image:
    picture = image.convert("RGBA")
    white = _pillow().new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return cast("Image.Image", white.convert("RGB"))


def _from_wide(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits: 65535 becomes 255. Pillow keeps the high byte of 16-bit colour."""
    values = np.asarray(image).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise ImageError("unsupported pixels: integers beyond 16 bits")
    grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
    return cast("Image.Image", _pillow().fromarray(grey).convert("RGB"))


def _turned(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Rotate the picture by the EXIF orientation of its source; unreadable EXIF is ignored."""
    try:
        orientation = source.getexif().get(_ORIENTATION, 1)
    except Exception:
        return picture
    turn = _turns().get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


@cache
def _turns() -> dict[int, Any]:
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }


@cache
def _pillow() -> Any:
    """Return the module PIL.Image with the readers of `FORMATS` loaded."""
    from PIL import Image

    names = ("Jpeg", "Mpo", "Png", "Gif", "WebP", "Bmp", "Tiff", "Ppm")
    for name in (*names, "Avif", "Jpeg2K", "Qoi", "Tga"):
        importlib.import_module(f"PIL.{name}ImagePlugin")
    # Pillow's warnings (faulty EXIF, many pixels) are harmless here or have errors of our own.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    return Image


@cache
def _simplejpeg() -> Any | None:
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None


def resize(image: np.ndarray, size: tuple[int, int], mode: str, crop: float = 1.0) -> np.ndarray:
    """Resize to (height, width, 3) uint8 by bilinear interpolation with antialiasing.

    image: (h, w, 3) uint8. size: (height, width). crop: the share of each side of a centre crop, taken first.
    mode: `squash` ignores the aspect ratio; `crop` takes the largest centre crop of the new aspect ratio;
    `pad` fits the whole image in and fills the rest with the mean colour of its border, so that product
    photos on white get no visible frame. An image of the right size is returned unchanged.
    """
    if crop != 1.0:
        image = _centre(image, crop)
    if image.shape[:2] == size:
        return image
    return _RESIZERS[mode](image, size)


def _centre(image: np.ndarray, share: float) -> np.ndarray:
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _squash(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return _scaled(image, size, (0.0, 0.0, image.shape[1], image.shape[0]))


def _crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(height / size[0], width / size[1])
    crop_height, crop_width = size[0] * scale, size[1] * scale
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    right, bottom = min(left + crop_width, width), min(top + crop_height, height)
    return _scaled(image, size, (max(left, 0.0), max(top, 0.0), right, bottom))


def _pad(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    fitted = min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale)))
    small = _squash(image, fitted)
    rim = np.concatenate([small[0], small[-1], small[1:-1, 0], small[1:-1, -1]])
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = np.rint(rim.mean(axis=0)).astype(np.uint8)
    top, left = (size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2
    canvas[top : top + fitted[0], left : left + fitted[1]] = small
    return canvas


def _scaled(image: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    library = _pillow()
    picture = library.fromarray(image)
    return np.asarray(picture.resize((size[1], size[0]), library.Resampling.BILINEAR, box=box))


_RESIZERS: dict[str, Callable[[np.ndarray, tuple[int, int]], np.ndarray]] = {
    "squash": _squash,
    "crop": _crop,
    "pad": _pad,
}
