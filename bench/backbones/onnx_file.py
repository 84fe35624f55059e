"""Inputs and outputs of an ONNX file, read without a library: a few fields of its protocol buffers.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, and the encoding of protocol buffers.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.backbones.keras_config import Unsupported
from bench.core.regular_files import open_file

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_FLOAT, _UINT8, _STRING, _HALF = 1, 2, 8, 10

Bytes = memoryview
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class OnnxModel:
    """Description of a model, read from its file.

    size: (height, width) of its images, None where both are free. channels_first: whether they are
    (n, 3, h, w). whole: whether it takes whole numbers from 0 to 255.
    """

    size: tuple[int, int] | None
    channels_first: bool
    whole: bool


def read_onnx(path: Path) -> OnnxModel:
    """Return a model's description. Raises Unsupported for a file that is not a backbone, and Refused."""
    with open_file(path) as file:
        try:
            # Not closed here: slices of it live as long as an error that passes through.
            return _read(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except (ValueError, IndexError, UnicodeDecodeError):
            raise Unsupported("is not an ONNX file, or not a whole one") from None


def _read(content: Bytes) -> OnnxModel:
    graphs = [value for number, value in _fields(content) if number == 7 and isinstance(value, memoryview)]
    if len(graphs) != 1:
        raise ValueError
    inputs, outputs, held = [], 0, set()
    for number, value in _fields(graphs[0]):
        if not isinstance(value, memoryview):
            continue
        if number == 5:
            held.add(_initializer(value))
        elif number == 11:
            inputs.append(_value_info(value))
        elif number == 12:
            outputs += 1
    taken = [one for one in inputs if one[0] not in held]
    for what, count in (("inputs", len(taken)), ("outputs", outputs)):
        if count != 1:
            raise Unsupported(f"has {count} {what}; a backbone has one")
    [(_, kind, shape)] = taken
    if kind == _STRING:
        raise Unsupported("takes text; a backbone takes images")
    if kind not in (_FLOAT, _UINT8):
        raise Unsupported(f"takes numbers of ONNX type {kind}: export it for float32 or uint8")
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        shown = ", ".join("?" if side is None else str(side) for side in shape)
        raise Unsupported(f"takes arrays of shape ({shown}), not images of 3 channels")
    first = shape[1] == 3
    height, width = shape[2:] if first else shape[1:3]
    if (height is None) != (width is None):
        raise Unsupported("fixes one side of its images: export it with both fixed, or both free")
    size = None if height is None or width is None else (height, width)
    return OnnxModel(size, first, kind == _UINT8)


def _initializer(tensor: Bytes) -> str:
    """Return a weight's name. Raises Unsupported where its numbers are in another file."""
    name = ""
    for number, value in _fields(tensor):
        if number == 8 and isinstance(value, memoryview):
            name = bytes(value).decode("utf-8")
        elif number == 14 and value == 1:
            raise Unsupported("keeps its weights in other files: export it into a single file")
    return name


def _value_info(info: Bytes) -> tuple[str, int, Shape]:
    """Return name, element type and shape, free sides None."""
    name, kind, shape = "", 0, []
    for number, value in _fields(info):
        if not isinstance(value, memoryview):
            continue
        if number == 1:
            name = bytes(value).decode("utf-8")
        elif number == 2:
            for _, tensor in _messages(value, 1):
                kind = next((own for field, own in _fields(tensor) if field == 1 and type(own) is int), 0)
                for _, whole in _messages(tensor, 2):
                    shape += [_side(dim) for _, dim in _messages(whole, 1)]
    return name, kind, tuple(shape)


def _side(dim: Bytes) -> int | None:
    sides = [value for number, value in _fields(dim) if number == 1 and isinstance(value, int)]
    return sides[0] if sides and sides[0] > 0 else None


def _messages(content: Bytes, wanted: int) -> Iterator[tuple[int, Bytes]]:
    for number, value in _fields(content):
        if number == wanted and isinstance(value, memoryview):
            yield number, value


def _fields(content: Bytes) -> Iterator[tuple[int, int | Bytes]]:
    """Yield number and value of each field: a whole number, or bytes. Raises ValueError, IndexError."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, place = _varint(content, place)
            yield number, value
            continue
        if wire == _LENGTH:
            length, place = _varint(content, place)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise ValueError
        if place + length > len(content):
            raise ValueError
        yield number, content[place : place + length]
        place += length


def _varint(content: Bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = content[place]
        place, value, shift = place + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, place
    raise ValueError
