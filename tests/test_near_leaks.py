"""Near duplicates of training photos in test, through the command: counted, told, left out where asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from bench.data.synthetic.marketplace import marketplace_sample
from bench.store.write import Store, Stored
from tests.data.folders import encoded, kaggle_folder, row
from tests.place import Place

TINY = ("--stage", "top20", "--set", "epochs=2")


def folder_of(path: Path) -> None:
    """Forty photos of two classes in train; in test ten others, and nine rescaled, mirrored or cropped."""
    drawn = marketplace_sample("small").images
    images: dict[str, bytes] = {}
    rows: list[str] = []
    for number in range(50):
        photo = Image.fromarray(drawn.read(number)).resize((160, 200), Image.Resampling.BICUBIC)
        label, year = ("Shirts", "Tops")[number % 2], ("2012", "2011")[number >= 40]
        images[f"{number}.jpg"] = encoded(np.asarray(photo))
        rows.append(row(str(number), label, year))
        if number < 9:
            copy = (
                photo.resize((128, 160)),
                photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
                photo.crop((6, 8, 154, 192)),
            )[number % 3]
            images[f"{number + 100}.jpg"] = encoded(np.asarray(copy))
            rows.append(row(str(number + 100), label, "2011"))
    kaggle_folder(path, rows, images)


def test_near_duplicates_are_counted_reported_and_dropped(tmp_path: Path) -> None:
    place = Place(tmp_path)
    folder_of(tmp_path / "d")
    asked = (
        "run",
        "--task",
        "fashion",
        "--data",
        "d",
        "--backbone",
        "hog",
        "--method",
        "none",
        "--seed",
        "0",
    )

    def cell(results: str) -> Stored:
        [stored] = Store(tmp_path / results).load("fashion")[0]
        assert stored.ok, stored.record
        return stored

    out, err = place.bench(*asked, *TINY, "--results", "kept")
    kept = cell("kept")
    found = kept.record["counts"]["leaked_near"]
    assert 8 <= found <= 9 and kept.record["counts"]["leaked"] == 0
    assert f"0 of 19 test images are also in train, byte for byte, {found} more nearly so" in out + err
    place.bench(*asked, *TINY, "--results", "dropped", "--set", "duplicates=drop")
    dropped = cell("dropped")
    counts = dropped.record["counts"]
    assert (counts["test"], counts["leaked_near"]) == (19 - found, found)
    gone = {*kept.predictions("test").items} - {*dropped.predictions("test").items}
    assert len(gone) == found and all(int(item) >= 100 for item in gone)
    # The others are predicted as before: near duplicates in test change no training.
    both = [
        dict(zip(own.items, own.scores.tolist(), strict=True))
        for own in (kept.predictions("test"), dropped.predictions("test"))
    ]
    assert all(np.allclose(both[0][item], scores, atol=1e-5) for item, scores in both[1].items())
    page = tmp_path / "page"
    place.bench("report", "--task", "fashion", "--results", "kept", "--out", str(page))
    text = (page / "index.html").read_text(encoding="utf-8")
    assert f"{found} more nearly so" in text and "others with a near duplicate in train" in text
