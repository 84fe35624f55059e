from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from bench.data import images
from bench.data.examples import ImageError
from bench.data.images import RESIZE_MODES, decode, resize
from tests.data.folders import encoded, picture, png_header_only, with_orientation

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest undoes what decoding sets


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    text = str(caught.value)
    assert "\n" not in text
    return text.partition(":")[0]


def test_good_files_of_every_format_keep_their_pixels() -> None:
    truth = picture(1, 96, 80)
    for form in ("PNG", "BMP", "TIFF", "PPM", "JPEG2000", "QOI", "TGA"):
        np.testing.assert_array_equal(decode(encoded(truth, form)), truth)
    for form in ("JPEG", "WEBP", "AVIF"):
        got = decode(encoded(truth, form, quality=95))
        assert got.shape == truth.shape
        assert np.abs(got.astype(int) - truth).mean() < 6


def test_broken_files_are_image_errors_with_a_reason() -> None:
    whole = encoded(picture(2, 200, 200), quality=95)
    assert reason(b"") == "empty file"
    assert reason(b"this is a text file, not a picture") == "not an image"
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not an image"
    assert reason(whole[: len(whole) // 2]) == "truncated"
    assert reason(whole[:20]) == "broken"
    assert reason(encoded(picture(2, 99, 99), "PNG")[:700]) == "truncated"
    assert reason(encoded(picture(2, 99, 99), "GIF")[:60]) in {"truncated", "broken"}


def test_any_cut_or_flipped_byte_is_decoded_or_an_image_error() -> None:
    rng = np.random.default_rng(7)
    for form in images.FORMATS:
        whole = encoded(picture(3, 40, 40), form)
        for _ in range(30):
            data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            for place in rng.integers(0, len(data), 3):
                data[place] = rng.integers(0, 256)
            try:
                got = decode(bytes(data))
            except ImageError:
                continue
            assert got.dtype == np.uint8
            assert got.ndim == 3
            assert got.shape[2] == 3


def test_huge_dimensions_are_refused_by_the_header_alone() -> None:
    assert reason(png_header_only(30_000, 30_000)) == "too many pixels"
    assert reason(png_header_only(10_000, 10_000)) == "too many pixels"
    assert reason(png_header_only(100, 100)) in {"truncated", "broken"}


def test_grey_palette_and_black_and_white() -> None:
    grey = picture(4)[..., 0]
    np.testing.assert_array_equal(decode(encoded(grey, "PNG")), np.stack([grey] * 3, axis=-1))
    jpeg = encoded(grey)
    np.testing.assert_array_equal(decode(jpeg), np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")))
    palette = Image.fromarray(picture(4)).quantize(16)
    np.testing.assert_array_equal(decode(encoded(palette, "PNG")), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    np.testing.assert_array_equal(decode(encoded(bits, "PNG"))[..., 1], [[0, 255], [255, 0]])


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 128, 257, 1000], [32768, 40000, 65279, 65535]], np.uint16)
    wanted = np.rint(values / 257).astype(np.uint8)
    for form in ("PNG", "TIFF"):
        got = decode(encoded(Image.fromarray(values), form))
        np.testing.assert_array_equal(got, np.stack([wanted] * 3, axis=-1))
    pgm = b"P5 4 2 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(decode(pgm)[..., 0], wanted)


def test_pixels_without_a_known_range_are_refused() -> None:
    floats = Image.fromarray(np.array([[0.5, 700.0]], np.float32))
    assert reason(encoded(floats, "TIFF")) == "unsupported pixels"
    wide = Image.fromarray(np.array([[-5, 2**30]], np.int32))
    assert reason(encoded(wide, "TIFF")) == "unsupported pixels"


def test_transparency_lies_on_white() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = 255, 0, 0, 255
    clear[1, 1] = 0, 0, 0, 51
    got = decode(encoded(clear, "PNG"))
    np.testing.assert_array_equal(got[0], [[255, 0, 0], [255, 255, 255]])
    np.testing.assert_array_equal(got[1, 1], [204, 204, 204])
    grey = encoded(Image.fromarray(np.array([[7, 9]], np.uint8)), "PNG", transparency=7)
    np.testing.assert_array_equal(decode(grey)[0], [[255, 255, 255], [9, 9, 9]])
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    clear_first = encoded(palette, "PNG", transparency=0)
    np.testing.assert_array_equal(decode(clear_first)[0], [[255, 255, 255], [40, 50, 60]])


def test_cmyk_jpeg() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    got = decode(encoded(ink, quality=100))
    assert got.shape == (16, 16, 3)
    assert np.abs(got.astype(int) - (255, 0, 0)).max() < 12


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "green", "blue")]
    for form in ("GIF", "PNG", "WEBP"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], lossless=True)
        got = decode(data)
        np.testing.assert_array_equal(got, np.broadcast_to((255, 0, 0), (6, 8, 3)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    data = encoded(picture(5, 16, 32), quality=95, exif=with_orientation(orientation))
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decode(data), wanted)
    assert decode(data).shape == ((32, 16, 3) if orientation > 4 else (16, 32, 3))


def test_faulty_exif_turns_nothing() -> None:
    data = encoded(picture(5), exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert decode(data).shape == (12, 10, 3)


def test_reading_from_many_threads_gives_the_same() -> None:
    files = [encoded(picture(seed, 64, 64), form) for seed in range(40) for form in ("JPEG", "PNG", "GIF")]
    alone = [decode(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        for got, wanted in zip(pool.map(decode, files), alone, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_fast_jpeg_path_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    turbo = pytest.importorskip("simplejpeg", reason="the fast JPEG decoder is not installed")
    files = []
    for height, width in ((224, 224), (17, 33), (1, 1), (8, 9)):
        truth = picture(height, height, width)
        files += [
            encoded(truth, subsampling=subsampling, quality=quality, progressive=progressive)
            for subsampling in (0, 1, 2, "4:1:1")
            for quality in (5, 90)
            for progressive in (False, True)
        ]
        files += [turbo.encode_jpeg(truth, colorsubsampling=scheme) for scheme in ("440", "411")]
        files.append(encoded(truth[..., 0]))
    fast = [images._decode_plain_jpeg(data) for data in files]
    monkeypatch.setattr(images, "_simplejpeg", lambda: None)
    for data, got in zip(files, fast, strict=True):
        assert got is not None
        np.testing.assert_array_equal(got, decode(data))


def test_resize_leaves_what_fits() -> None:
    image = picture(6, 20, 30)
    for mode in RESIZE_MODES:
        assert resize(image, (20, 30), mode) is image


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(RESIZE_MODES),
)
def test_resize_gives_the_asked_size_and_keeps_a_plain_colour(
    height: int, width: int, new_height: int, new_width: int, mode: str
) -> None:
    image = np.full((height, width, 3), (10, 100, 200), np.uint8)
    got = resize(image, (new_height, new_width), mode)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, np.broadcast_to((10, 100, 200), (new_height, new_width, 3)))


def test_squash_is_pillows_antialiased_bilinear() -> None:
    image = picture(8, 90, 70)
    wanted = Image.fromarray(image).resize((32, 24), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize(image, (24, 32), "squash"), np.asarray(wanted))


def test_crop_takes_the_centre() -> None:
    image = picture(9, 40, 80)
    wanted = resize(np.ascontiguousarray(image[:, 20:60]), (10, 10), "squash")
    got = resize(image, (10, 10), "crop")
    # The outermost columns also draw on the pixels just beyond the cut.
    np.testing.assert_array_equal(got[:, 1:-1], wanted[:, 1:-1])
    assert np.abs(got.astype(int) - wanted).max() < 16
    np.testing.assert_array_equal(resize(image, (40, 40), "crop"), image[:, 20:60])
    tall = np.ascontiguousarray(image.transpose(1, 0, 2))
    np.testing.assert_array_equal(resize(tall, (40, 40), "crop"), tall[20:60])


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.05, 0.99), st.sampled_from(RESIZE_MODES))
def test_the_centre_is_cut_out_before_resizing(height: int, width: int, share: float, mode: str) -> None:
    """Pillow's own crop and what was there before: the same bits."""
    image = picture(3, height, width)
    tall, wide = max(1, round(height * share)), max(1, round(width * share))
    top, left = (height - tall) // 2, (width - wide) // 2
    cut = np.asarray(Image.fromarray(image).crop((left, top, left + wide, top + tall)))
    np.testing.assert_array_equal(resize(image, (8, 12), mode, share), resize(cut, (8, 12), mode))
    # As much is left on either side, to a pixel.
    assert 0 <= (height - tall - top) - top <= 1 and 0 <= (width - wide - left) - left <= 1


def test_pad_keeps_the_whole_image_on_its_rims_colour() -> None:
    image = np.full((20, 40, 3), 200, np.uint8)
    image[5:15, 10:30] = 30
    got = resize(image, (40, 40), "pad")
    np.testing.assert_array_equal(got[10:30], image)
    assert (got[:10] == 200).all()
    assert (got[30:] == 200).all()


def test_limit_holds_for_what_pillow_only_warns_of(monkeypatch: pytest.MonkeyPatch, recwarn: Any) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert decode(encoded(picture(1, 9, 9), "PNG")).shape == (9, 9, 3)
    assert reason(encoded(picture(1, 20, 20), "PNG")) == "too many pixels"


def claims(form: str, width: int, height: int) -> bytes:
    """Return a small file of a format whose header claims this size."""
    whole = encoded(picture(1, 211, 197), form)
    if form == "PNG":
        return png_header_only(width, height)
    if form == "PPM":
        return whole.replace(b"197 211", b"%d %d" % (width, height), 1)
    if form == "BMP":
        return whole[:18] + struct.pack("<ii", width, height) + whole[26:]
    if form == "TIFF":
        entry = {tag: struct.pack("<HHII", tag, 4, 1, side) for tag, side in ((256, width), (257, height))}
        data = bytearray(whole)
        (place,) = struct.unpack("<I", whole[4:8])
        for start in range(place + 2, place + 2 + 12 * struct.unpack("<H", whole[place : place + 2])[0], 12):
            (tag,) = struct.unpack("<H", whole[start : start + 2])
            data[start : start + 12] = entry.get(tag, whole[start : start + 12])
        return bytes(data)
    if form == "GIF":
        return whole[:6] + struct.pack("<HH", width, height) + whole[10:]
    if form == "JPEG":
        place = whole.index(b"\xff\xc0") + 5
        return whole[:place] + struct.pack(">HH", height, width) + whole[place + 4 :]
    if form == "QOI":
        return whole[:4] + struct.pack(">II", width, height) + whole[12:]
    if form == "TGA":
        return whole[:12] + struct.pack("<HH", width, height) + whole[16:]
    if form == "JPEG2000":
        place = whole.index(b"ihdr") + 4
        return whole[:place] + struct.pack(">II", height, width) + whole[place + 8 :]
    if form == "AVIF":
        place = whole.index(b"ispe") + 8
        return whole[:place] + struct.pack(">II", width, height) + whole[place + 8 :]
    # A canvas whose one frame is smaller.
    canvas = b"VP8X" + struct.pack("<II", 10, 0)[:8] + (width - 1).to_bytes(3, "little")
    body = b"WEBP" + canvas + (height - 1).to_bytes(3, "little") + whole[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("form", images.FORMATS)
def test_a_size_that_is_too_much_is_refused_by_the_header(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"GIF": [(65_535, 65_535)], "JPEG": [(65_500, 65_500)], "WEBP": [(16_384, 16_383)]}
    sizes |= {"TGA": [(65_535, 65_535)], "AVIF": [(9_000, 9_000), (16_384, 8_000)]}
    assert decode(claims(form, 197, 211)).shape if form != "PNG" else True
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("it was decoded"))
    for width, height in sizes.get(form, [(1, 64_000_000), (64_000_000, 1), (9_000, 9_000), (65_536, 2)]):
        assert reason(claims(form, width, height)) == "too many pixels"


def test_strips_of_large_images_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    wide = encoded(rng.integers(0, 65536, (37, 23), np.uint16), "PNG")
    clear = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (37, 23, 4), np.uint8), "RGBA").save(clear, "PNG")
    before = [decode(data) for data in (wide, clear.getvalue())]
    monkeypatch.setattr(images, "_STRIP_PIXELS", 100)
    for data, whole in zip((wide, clear.getvalue()), before, strict=True):
        np.testing.assert_array_equal(decode(data), whole)
