"""Compact text for arrays of predictions inside a baseline file."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING

from bench.core.errors import BenchError

if TYPE_CHECKING:
    import numpy as np


def item_size(k: int) -> int:
    """Return the bytes that one of k classes takes when packed."""
    return 1 if k <= 256 else 2 if k <= 65536 else 4


def pack(indices: np.ndarray, k: int) -> str:
    """Return class indices, (n,), as text: little-endian, deflated, base64."""
    return _deflate(indices.astype(f"<u{item_size(k)}").tobytes())


def unpack(text: str, n: int, k: int) -> np.ndarray:
    """Undo `pack`: return (n,) int32. Raises BenchError if it is not n of k classes."""
    import numpy as np

    try:
        out = np.frombuffer(inflate(text, n * item_size(k)), f"<u{item_size(k)}").astype(np.int32)
    except ValueError as error:
        raise BenchError(f"a pinned baseline is damaged: {error}; pin it again") from None
    if n and int(out.max()) >= k:
        raise BenchError(f"a pinned baseline is damaged: class {out.max()} of {k}; pin it again")
    return out


def pack_bits(bits: np.ndarray) -> str:
    """Return (n,) bool as text."""
    import numpy as np

    return _deflate(np.packbits(bits).tobytes())


def unpack_bits(text: str, n: int) -> np.ndarray:
    """Undo `pack_bits`: return (n,) bool."""
    import numpy as np

    return np.unpackbits(np.frombuffer(inflate(text, (n + 7) // 8), np.uint8), count=n).astype(bool)


def pack_cells(truth: np.ndarray) -> str:
    """Return (n, k) cells of 1, 0 or -1 as text: a byte per cell, holding its value plus one."""
    import numpy as np

    return _deflate((truth + 1).astype(np.uint8).tobytes())


def unpack_cells(text: str, n: int, k: int) -> np.ndarray:
    """Undo `pack_cells`: return (n, k) int32. Raises BenchError for any other text."""
    import numpy as np

    try:
        out = np.frombuffer(inflate(text, n * k), np.uint8).astype(np.int32).reshape(n, k) - 1
    except ValueError as error:
        raise BenchError(f"a pinned baseline is damaged: {error}; pin it again") from None
    if out.size and int(out.max()) > 1:
        raise BenchError(f"a pinned baseline is damaged: {out.max()} is no answer; pin it again")
    return out


def pack_scores(scores: np.ndarray) -> str:
    """Return (n, k) float32 as text, unrounded: little-endian, all first bytes, then all second ones, ...

    Bytes at the same place in different numbers are more alike than the four bytes of one number.
    """
    import numpy as np

    return _deflate(scores.astype("<f4").reshape(-1, 1).view(np.uint8).T.tobytes())


def unpack_scores(text: str, n: int, k: int) -> np.ndarray:
    """Undo `pack_scores`: return (n, k) float32. Raises BenchError for any other text."""
    import numpy as np

    try:
        raw = np.frombuffer(inflate(text, 4 * n * k), np.uint8).reshape(4, n * k)
    except ValueError as error:
        raise BenchError(f"a pinned baseline is damaged: {error}; pin it again") from None
    out = np.ascontiguousarray(raw.T).view("<f4").reshape(n, k).astype(np.float32)
    if np.isnan(out).any():
        raise BenchError("a pinned baseline is damaged: a score is not a number; pin it again")
    return out


def _deflate(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def inflate(text: str, size: int) -> bytes:
    """Return the packed bytes. Raises ValueError unless there are exactly `size` of them."""
    try:
        # Stops one byte after the expected size: a small text must not expand to gigabytes.
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"not base64 of deflated bytes ({error})") from None
    if len(data) != size:
        raise ValueError(f"holds {'more' if len(data) > size else 'fewer'} than {size} bytes")
    return data
