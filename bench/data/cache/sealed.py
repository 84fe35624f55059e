"""Digests of cache files, and sealed JSON files that describe them.

A digest detects damage (a bad disk, a program that wrote to the wrong file), not malice. Rows have xxHash's
XXH3, which runs at the speed of memory, so that they are checked on every access; descriptions are sealed
like stored cells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import xxhash

from bench.core.atomic_files import replacing
from bench.core.regular_files import read_regular
from bench.core.sealed_json import DIGEST, is_sealed, sealed


class Damaged(Exception):
    """A file of the cache is damaged; the text says how."""


def digest(data: bytes) -> str:
    """Return the 128-bit XXH3 digest as 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(data)


def read_checked(path: Path) -> bytes:
    """Return the bytes that `write_checked` wrote. Raises Damaged, or FileNotFoundError for no file."""
    try:
        raw = read_regular(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read: {error.strerror or error}") from None
    if hashlib.sha256(memoryview(raw)[32:]).digest() != raw[:32]:
        raise Damaged(f"{path.name} does not match its digest")
    return raw[32:]


def write_checked(path: Path, body: bytes) -> None:
    """Write bytes after their sha256, whole or not at all. Raises OSError."""
    with replacing(path) as fresh:
        fresh.write_bytes(hashlib.sha256(body).digest() + body)


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write strict JSON with the digest of its text, whole or not at all. Raises OSError."""
    with replacing(path, durable=True) as fresh:
        fresh.write_bytes(sealed(value))


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a file of `write_sealed`. Raises Damaged for any other or a missing file."""
    try:
        content = read_regular(path)
        value = json.loads(content, parse_constant=_no_number)
    except FileNotFoundError:
        raise Damaged(f"{path.name} is missing") from None
    except OSError as error:
        raise Damaged(f"{path.name} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise Damaged(f"{path.name} is not JSON") from None
    if not isinstance(value, dict) or DIGEST not in value:
        raise Damaged(f"{path.name} has no digest: it is of an older version")
    if not is_sealed(content):
        raise Damaged(f"{path.name} does not match its digest")
    del value[DIGEST]
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
