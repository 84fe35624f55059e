"""Stored cells as TensorBoard logs: loss, validation loss and score, and learning rate by epoch.

The files are written byte by byte, which is little work for plain numbers: neither TensorFlow, which takes
seconds to import, nor TensorBoard is needed.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import BenchError, StoreError
from bench.store import slug
from bench.stored import HISTORY, RESULT, FileFault, Stored

EVENTS = "events.out.tfevents.0000000000.messybench"
"""The one file of a cell's log; TensorBoard knows it by the middle of its name."""

_CASTAGNOLI = 0x82F63B78
"""The polynomial of CRC-32C, lowest bit first."""


def logs_dir(text: str) -> Path:
    """Return the folder of logs, which need not be there. Raises BenchError where it cannot be one."""
    path = Path(text).expanduser()
    if not text.strip() or (path.exists() and not path.is_dir()):
        raise BenchError(f"--tensorboard {text!r}: give a folder, which is made where it is not there")
    return path


def write_logs(cells: Sequence[Stored], folder: Path) -> int:
    """Write a log for each cell that has a history; return how many.

    A cell's log is in <folder>/<task>/<stage>/<backbone>/<method>/s<seed>-<id8> and replaces what an earlier
    run wrote there. Numbers are those of history.csv, by its names (`epoch/val_loss`), at the step of their
    epoch; their time is that of the result. Raises StoreError where the folder cannot be written, FileFault
    for a history that cannot be read.
    """
    written = 0
    for stored in cells:
        if not stored.history:
            continue
        task, *rest = stored.folder.parts[-4:]
        home = folder.joinpath(task, slug(stored.record["cell"]["stage"]), *rest)
        fresh = home / f".{EVENTS}"
        try:
            home.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(b"".join(_framed(event) for event in _events(stored)))
            os.replace(fresh, home / EVENTS)
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"--tensorboard {str(home)!r}: cannot be written ({why})") from None
        written += 1
    return written


def _events(stored: Stored) -> Iterator[bytes]:
    """Yield the messages of one cell, TensorFlow's `Event`: the version first, then one for each epoch."""
    time = _key(1, 1) + struct.pack("<d", (stored.folder / RESULT).stat().st_mtime)
    yield time + _text(3, b"brain.Event:2")
    for row in stored.history:
        epoch = row["epoch"]
        if type(epoch) is not int or epoch < 0:
            raise FileFault(
                f"{stored.folder / HISTORY}: epoch {epoch} is no count; run the cell with --rerun"
            )
        values = b"".join(
            _text(1, _text(1, f"epoch/{name}".encode()) + _key(2, 5) + _float(value))
            for name, value in row.items()
            if name != "epoch" and value is not None
        )
        yield time + _key(2, 0) + _varint(epoch) + _text(5, values)


def _key(field: int, kind: int) -> bytes:
    """Return what stands before a field of a protocol buffer. kind: 0 varint, 1 and 5 of 8 and 4 bytes."""
    return _varint(field << 3 | kind)


def _text(field: int, data: bytes) -> bytes:
    """Return a field of a protocol buffer that holds text or another message."""
    return _key(field, 2) + _varint(len(data)) + data


def _float(value: float) -> bytes:
    """Return a number in four bytes, infinite where it does not fit."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", math.copysign(math.inf, value))


def _varint(value: int) -> bytes:
    """Return a whole number from 0 on, seven bits to a byte, lowest first.

    >>> _varint(300).hex()
    'ac02'
    """
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def _framed(data: bytes) -> bytes:
    """Return a record of TensorFlow's file format: length, its sum, the data, its sum."""
    length = struct.pack("<Q", len(data))
    return length + _masked_sum(length) + data + _masked_sum(data)


def _masked_sum(data: bytes) -> bytes:
    total = crc32c(data)
    return struct.pack("<I", ((total >> 15 | total << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    total = 0xFFFFFFFF
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (_CASTAGNOLI if total & 1 else 0)
    return total ^ 0xFFFFFFFF
