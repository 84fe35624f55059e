"""The synthetic faces: a person is the same on all photos, photos differ, and identity can be learned."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError, DataError
from bench.data.examples import Examples
from bench.data.person_folders import open_people
from bench.data.synthetic import images, portrait
from bench.data.synthetic.face import COVER_DARK, FLAT, SKIN, STYLES, Piece, pieces_of
from bench.data.synthetic.faces import AWKWARD, SIZES, Portrait, faces_sample, write_people
from bench.data.synthetic.images import SyntheticImages
from bench.data.synthetic.person import Person, Shot, random_description
from bench.data.synthetic.portrait import SIDE
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.raster import SUB
from tests.calls import count_calls

# Another value here means other data under an old fingerprint: raise VERSION with it.
ROWS = {
    "tiny": "de1551e7bd12be38bf9f68ca3b0683cffc4a6d314cf90ace1ebea5ca1bbd4f6f",
    "small": "c9490d6561783a66cd38dc751f7cb09b1b889e578a2c3b2bc209961ae43b8d61",
}
PIXELS = {
    "tiny": "955b07af26861625ff6c56a944b5cc8632d24c0a2e517a70ed41f7c20882f51d",
    "small": "9938ad6a81474c5cdef5260d7d824e4a0b5bb8e280a15a49766324d90c663ab1",
}
EVERY = {"tiny": 1, "small": 16}

FRONT = Shot(
    yaw=0, pitch=0, roll=0, scale=100, right=0, down=0, smile=20, gap=0, light=(30, 0), gain=256, cast=0,
    blur=0, ground="wall", cap=False,
)  # fmt: skip
SOMEONE = replace(
    random_description(Person, RandomStream("someone")),
    hair="short", glasses="round", beard="none", mole=None, tone=150, iris="dark",
    hair_colour="black",
)  # fmt: skip


@pytest.fixture(scope="module", params=SIZES)
def examples(request: pytest.FixtureRequest) -> Examples:
    return faces_sample(request.param)


def portraits(examples: Examples) -> tuple[Portrait, ...]:
    assert isinstance(examples.images, SyntheticImages)
    found = tuple(one for one in examples.images.descriptions if isinstance(one, Portrait))
    assert len(found) == len(examples)
    return found


def digest_of_rows(examples: Examples) -> str:
    rows = repr((examples.items, sorted(examples.columns.items()), examples.images.content_hashes()))
    return hashlib.sha256(rows.encode()).hexdigest()


def digest_of_pixels(examples: Examples, step: int) -> str:
    digest = hashlib.sha256()
    for index in range(0, len(examples), step):
        digest.update(examples.images.read(index).tobytes())
    return digest.hexdigest()


def test_rows_and_pixels_are_pinned(examples: Examples) -> None:
    size = examples.source.removeprefix("drawn-faces-")
    assert digest_of_rows(examples) == ROWS[size]
    assert digest_of_pixels(examples, EVERY[size]) == PIXELS[size]


def test_another_process_draws_the_same() -> None:
    code = (
        "import hashlib\nfrom bench.data.synthetic.faces import faces_sample\n"
        "images = faces_sample('tiny').images\n"
        "print(hashlib.sha256(b''.join(images.read(k).tobytes() for k in range(80))).hexdigest())"
    )
    got = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert got.stdout.strip() == PIXELS["tiny"]


def test_shape_of_the_sample(examples: Examples) -> None:
    size = examples.source.removeprefix("drawn-faces-")
    people, photos = SIZES[size]
    assert len(examples) == people * photos and not examples.problems and not examples.pair_lists
    assert set(Counter(examples.columns["person"]).values()) == {photos}
    assert len(set(examples.columns["person"])) == people
    assert set(AWKWARD) <= set(examples.columns["person"])
    assert list(examples.items) == sorted(set(examples.items))
    for item, name, number in zip(examples.items, *examples.columns.values(), strict=True):
        assert item == f"{name}/{name}_{int(number):04d}"
    assert examples.columns["number"][:photos] == tuple(str(k) for k in range(1, photos + 1))
    image = examples.images.read(0)
    assert image.shape == (SIDE, SIDE, 3) and image.dtype == np.uint8


def test_small_is_as_large_as_a_task_of_faces_needs() -> None:
    people, photos = SIZES["small"]
    assert people >= 60 and photos >= 6


def test_a_person_is_one_on_all_photos_and_no_two_are_alike(examples: Examples) -> None:
    by_name: dict[str, set[Person]] = {}
    for name, photo in zip(examples.columns["person"], portraits(examples), strict=True):
        by_name.setdefault(name, set()).add(photo.person)
    assert all(len(persons) == 1 for persons in by_name.values())
    vectors = [list(asdict(persons.pop()).values()) for persons in by_name.values()]
    for place, one in enumerate(vectors):
        for other in vectors[:place]:
            assert sum(a != b for a, b in zip(one, other, strict=True)) > 15
    shots = [photo.shot for photo in portraits(examples)]
    assert len(set(shots)) == len(shots) == len(set(examples.images.content_hashes()))


def test_a_tenth_or_so_of_the_photos_hide_something() -> None:
    caps = [photo.shot.cap for photo in portraits(faces_sample("small"))]
    assert 0.08 < sum(caps) / len(caps) < 0.2


def unlike(one: np.ndarray, other: np.ndarray) -> int:
    """How many pixels differ by more than rounding."""
    return int((np.abs(one.astype(int) - other) > 5).any(axis=2).sum())


SHOTS = {
    "yaw": 300, "pitch": 120, "roll": 140, "scale": 112, "right": 5, "down": 4, "smile": 95, "gap": 120,
    "light": (-120, -60), "gain": 200, "cast": 30, "blur": 2, "ground": "lights", "cap": True,
}  # fmt: skip
PERSONS = {
    "width": 100, "jaw": -14, "chin": 110, "tone": 200, "hair": "long", "hair_colour": "blond",
    "hairline": 130, "volume": 80, "brow": -30, "brow_tilt": -100, "brow_height": 80, "eye": 44,
    "eye_open": -30, "eye_gap": 70, "iris": "blue", "nose": 120, "nose_width": 90, "mouth": 110, "lips": 50,
    "lip_red": 60, "ear": 90, "beard": "full", "glasses": "none", "mole": (200, 250),
}  # fmt: skip


def test_no_part_of_a_description_is_left_out_below() -> None:
    assert set(SHOTS) == {field.name for field in fields(Shot)}
    assert {*PERSONS, "strong"} == {field.name for field in fields(Person)}


@pytest.mark.parametrize("name", SHOTS)
def test_how_a_photo_was_taken_is_seen_and_leaves_the_person(name: str) -> None:
    first = Portrait("k", SOMEONE, FRONT)
    second = replace(first, shot=replace(FRONT, **{name: SHOTS[name]}))  # type: ignore[arg-type]
    assert second.person == first.person and second.content_hash != first.content_hash
    assert unlike(first.render(), second.render()) > 15


@pytest.mark.parametrize("name", PERSONS)
def test_every_trait_of_a_person_is_seen(name: str) -> None:
    own, change = getattr(SOMEONE, name), PERSONS[name]
    other = own + change if isinstance(change, int) else change
    assert other != own
    changed = replace(SOMEONE, **{name: other})  # type: ignore[arg-type]
    pictures = [Portrait("k", person, FRONT).render() for person in (SOMEONE, changed)]
    assert unlike(*pictures) > 5


@pytest.mark.parametrize("hair", STYLES)
@pytest.mark.parametrize("cap", [False, True])
def test_every_style_of_hair_goes_with_a_cap(hair: str, cap: bool) -> None:
    usual = Portrait("k", SOMEONE, FRONT).render()
    picture = Portrait("k", replace(SOMEONE, hair=hair), replace(FRONT, cap=cap)).render()
    assert (unlike(picture, usual) > 15) is ((hair, cap) != ("short", False))


@given(st.integers(0, 10**9))
def test_every_random_person_can_be_rendered(key: int) -> None:
    stream = RandomStream("any", key)
    person, shot = random_description(Person, stream), random_description(Shot, stream)
    pieces = pieces_of(person, shot)
    assert len(pieces) < 200, "a byte numbers the pieces and what is behind them"
    assert all(len(piece.points) > 2 for piece in pieces)
    assert {piece.material for piece in pieces} <= set(range(SKIN, COVER_DARK + 1))
    assert person.strong or person.beard == "none"


@given(st.integers(-430, 430), st.integers(-140, 140), st.integers(-160, 160))
def test_the_pose_is_a_rotation(yaw: int, pitch: int, roll: int) -> None:
    """In floats, by matrices: about the vertical, then nodding, then about the neck."""
    corners = [(0, 0), (300, -20), (-300, 620), (0, 1000), (700, -200)]
    shot = replace(FRONT, yaw=yaw, pitch=pitch, roll=roll)
    got = portrait.posed([Piece(corners, SKIN, FLAT, lift=100)], shot)[0]
    a, b, c = (float(np.arcsin(s / 1000)) for s in (yaw, pitch, roll))
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]])
    solid = np.column_stack([corners, np.full(5, 100.0)])
    flat = (solid @ turn.T @ nod.T)[:, :2]
    want = (flat - [0, 900]) @ tilt.T + [0, 900]
    middle = np.array([SIDE, SIDE - 4]) * SUB
    assert np.abs(got - middle - want * 67 * SUB / 1000).max() < 3


def test_the_middle_of_a_face_moves_most_when_the_head_turns() -> None:
    corners, shot = [(0, 0), (400, 0), (780, 0)], replace(FRONT, yaw=300)
    one, two = (portrait.posed([Piece(corners, SKIN)], s)[0][:, 0] for s in (FRONT, shot))
    moved = two - one
    assert moved[0] > moved[1] > moved[2] and moved[0] > 4 * SUB


def area(features: np.ndarray, who: np.ndarray) -> float:
    """ROC area of the cosine over all pairs."""
    from sklearn.metrics import roc_auc_score

    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    one, two = np.triu_indices(len(who), 1)
    return float(roc_auc_score(who[one] == who[two], (unit @ unit.T)[one, two]))


def test_pixels_do_not_give_people_away_and_learning_does() -> None:
    """On people that nothing was fitted on: grey pixels tell a little, an embedding of others much more."""
    from PIL import Image
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    examples = faces_sample("small")
    rows = [row for row, number in enumerate(examples.columns["number"]) if int(number) <= 5]
    images = [Image.fromarray(examples.images.read(row)) for row in rows]
    size, box = (32, 32), Image.Resampling.BOX
    small = np.array([np.asarray(image.resize(size, box)) for image in images], float)
    grey = np.array([np.asarray(image.convert("L").resize(size, box)).ravel() for image in images], float)
    pixels = small.reshape(len(images), -1)
    who = np.unique(examples.columns["person"], return_inverse=True)[1][rows]
    fitted = np.random.default_rng(0).permutation(SIZES["small"][0])[who] % 2 == 0
    pca = PCA(50, random_state=0).fit(pixels[fitted])
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(
        pca.transform(pixels[fitted]), who[fitted]
    )
    others = who[~fitted]
    raw = area(grey[~fitted], others)
    colour = area((small.mean(axis=(1, 2)) - small[fitted].mean(axis=(0, 1, 2)))[~fitted], others)
    learned = area(lda.transform(pca.transform(pixels[~fitted]))[:, :25], others)
    assert 0.58 < raw < 0.8
    assert colour < 0.65, "one colour does not tell who it is"
    assert learned > max(0.75, raw + 0.1)


def test_a_written_folder_reads_back_the_same(tmp_path: Path) -> None:
    drawn = faces_sample("tiny")
    write_people(drawn, tmp_path / "d")
    got = open_people(tmp_path / "d", tmp_path / "c", ("person",))
    assert (got.items, dict(got.columns), got.problems) == (drawn.items, dict(drawn.columns), ())
    for row in range(0, len(drawn), 7):
        np.testing.assert_array_equal(got.images.read(row), drawn.images.read(row))
    assert len(set(got.images.content_hashes())) == len(drawn)


def test_rows_and_hashes_need_neither_pixels_nor_numpy() -> None:
    code = "import sys; from bench.data.synthetic.faces import faces_sample as d\n"
    code += "d('tiny').images.content_hashes()"
    subprocess.run([sys.executable, "-c", code + "; assert 'numpy' not in sys.modules"], check=True)


def test_rows_are_cheap() -> None:
    """Some 120 calls a row take a hundredth of a second; a tenth would be felt in every command."""
    rows = len(faces_sample("small"))
    assert count_calls(lambda: faces_sample("small")) < 200 * rows


def test_threads_read_what_one_reader_reads() -> None:
    images = faces_sample("tiny").images
    alone = [images.read(index).tobytes() for index in range(20)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda index: images.read(index).tobytes(), [*range(20)] * 2)) == alone * 2


def test_another_seed_is_other_people() -> None:
    one, two = faces_sample("tiny", 0), faces_sample("tiny", 1)
    assert one == faces_sample("tiny", 0) and one.fingerprint != two.fingerprint
    assert not {p.person for p in portraits(one)} & {p.person for p in portraits(two)}
    assert not set(one.columns["person"]) & set(two.columns["person"]) - set(AWKWARD)


def test_the_fingerprint_follows_size_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {size: faces_sample(size).fingerprint for size in SIZES}
    assert len(set(before.values())) == len(SIZES)
    monkeypatch.setattr(images, "VERSION", images.VERSION + 1)
    assert all(faces_sample(size).fingerprint != before[size] for size in SIZES)


@pytest.mark.parametrize(
    "item", ["../up", "a", "a/b/c", "a/..", "/a", "a/", "a/nul\0", "C:/a", "a\\b/c", ".a/b"]
)
def test_an_item_that_leads_elsewhere_is_refused(tmp_path: Path, item: str) -> None:
    drawn = faces_sample("tiny")
    with pytest.raises(DataError, match="cannot be the name of an image file"):
        write_people(replace(drawn, items=(item, *drawn.items[1:])), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="'smal'; did you mean 'small'"):
        faces_sample("smal")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"^cannot write the sample to .*file"):
        write_people(faces_sample("tiny"), tmp_path / "file")
