"""JSON files sealed with a digest of their text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DIGEST = "digest"
"""The last key: the sha256 of the text before it."""

_LAST = f',\n "{DIGEST}": "'
_END = '"\n}\n'


def sealed(record: Mapping[str, Any]) -> bytes:
    """Return a record as the content of a file that ends with its digest.

    Lone surrogates, of paths that are not UTF-8, become JSON escapes. Raises ValueError for NaN or an
    infinity.
    """
    return seal(json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1))


def seal(text: str) -> bytes:
    """Return a JSON object, given over several lines, with its digest as the last key."""
    body = text.removesuffix("\n}").encode("utf-8", "backslashreplace")
    return body + f"{_LAST}{_sha256(body)}{_END}".encode("ascii")


def is_sealed(content: bytes) -> bool:
    """Return whether a file's content is unchanged since `sealed`."""
    body, last, end = content.rpartition(_LAST.encode("ascii"))
    return bool(last) and end == f"{_sha256(body)}{_END}".encode("ascii")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
