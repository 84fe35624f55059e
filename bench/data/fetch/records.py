"""Record of downloads: unpublished checksums, compared from the second download on."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from bench.core.atomic_files import replacing
from bench.core.errors import StoreError

NAME = "fetched.json"


class Records:
    """The file `fetched.json` in the cache folder: size and checksum of each URL's download."""

    def __init__(self, cache: Path) -> None:
        self.path = cache / NAME

    def of(self, url: str) -> dict[str, Any]:
        """Return the record of a URL, empty if there is none. Raises StoreError if the file is unreadable."""
        found = self._read().get(url, {})
        return found if isinstance(found, dict) else {}

    def sha256(self, url: str) -> str | None:
        """Return the recorded checksum of a URL, None if there is none."""
        found = self.of(url).get("sha256")
        return found if isinstance(found, str) and len(found) == 64 else None

    def add(self, url: str, **facts: Any) -> None:
        """Record the download of a URL, with today's date. Raises StoreError if it cannot be written."""
        known = self._read()
        known[url] = {**facts, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as fresh:
                fresh.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", "utf-8")
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror})") from None

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise StoreError(f"{self.path}: cannot be read; repair or delete it (it records checksums)")
        return found
