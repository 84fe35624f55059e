"""The drawn faces: a person is the same on all his photos, photos differ, and he can be learned."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.drawn import face_picture, face_shape, faces
from bench.data.drawn.dice import Dice
from bench.data.drawn.face_hair import THICK
from bench.data.drawn.face_person import Person, Portrait, Shot, roll_person, roll_shot
from bench.data.drawn.face_picture import SIDE, render
from bench.data.drawn.faces import AWKWARD, SIZES, draw_faces, write_people
from bench.data.drawn.raster import SUB, cover, oval
from bench.data.examples import Examples
from bench.data.people import open_people
from bench.errors import BenchError, DataError

# Another value here means other data under an old fingerprint: raise FACES_VERSION with it.
ROWS = {
    "tiny": "59a748599353beac0c59ae901abe2dfd6f6dd1ce743954100ff11ae011121bbc",
    "small": "a7a5867ddfcc153446dae0c8454a9d814bdfae233815d6226f13d999e83591de",
}
PIXELS = {
    "tiny": "0b804cc8e3ec66785abd8686da7640ae9417d583c55e7c4e0c67c91dc2e5e03d",
    "small": "468f95fb44d589c9812d119951805ffebe8ff89b77ec150691e40a29f98100fa",
}
EVERY = {"tiny": 1, "small": 16}

FRONT = Shot(
    yaw=0, pitch=0, roll=0, scale=100, right=0, down=0, smile=20, gap=0, raised=0, lids=100, gaze=0,
    light_right=30, light_down=0, gain=256, contrast=256, cast=(256, 256, 256), blur=0,
    over="none", ground="sky", top="vee",
)  # fmt: skip
SOMEONE = replace(
    roll_person(Dice("someone")),
    hair="short",
    glasses="round",
    beard="none",
    marks=(),
    cheeks=10,
    tone=150,
    frame=0,
)


@pytest.fixture(scope="module", params=SIZES)
def examples(request: pytest.FixtureRequest) -> Examples:
    return draw_faces(request.param)


def portraits(examples: Examples) -> tuple[Portrait, ...]:
    assert isinstance(examples.images, faces.FaceImages)
    return examples.images.portraits


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
        "import hashlib; from bench.data.drawn.faces import draw_faces; images = draw_faces('tiny').images\n"
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
    for name, portrait in zip(examples.columns["person"], portraits(examples), strict=True):
        by_name.setdefault(name, set()).add(portrait.person)
    assert all(len(persons) == 1 for persons in by_name.values())
    vectors = [list(asdict(persons.pop()).values()) for persons in by_name.values()]
    for place, one in enumerate(vectors):
        for other in vectors[:place]:
            assert sum(a != b for a, b in zip(one, other, strict=True)) > 15
    shots = [portrait.shot for portrait in portraits(examples)]
    assert len(set(shots)) == len(shots) == len(set(examples.images.content_hashes()))


def test_a_tenth_or_so_of_the_photos_hide_something() -> None:
    over = Counter(portrait.shot.over for portrait in portraits(draw_faces("small")))
    assert set(over) == {"none", "cap", "beanie", "hand", "scarf"}
    assert 0.08 < 1 - over["none"] / over.total() < 0.2


def unlike(one: np.ndarray, other: np.ndarray) -> int:
    """How many pixels differ by more than rounding."""
    return int((np.abs(one.astype(int) - other) > 5).any(axis=2).sum())


SHOTS = {
    "yaw": 300, "pitch": 120, "roll": 140, "scale": 112, "right": 5, "down": 4, "smile": 95, "gap": 120,
    "raised": 70, "lids": 8, "gaze": 30, "light_right": -120, "light_down": -60, "gain": 200, "contrast": 190,
    "cast": (226, 250, 284), "blur": 2, "over": "scarf", "ground": "lights", "top": "collar",
}  # fmt: skip
PERSONS = {
    "width": 100, "jaw": -14, "chin": 110, "chin_width": 110, "tone": 200, "warm": 18, "hair": "long",
    "hair_colour": "blond", "hue": -30, "hairline": 130, "peak": 120, "volume": 80, "part": 90, "brow": -30,
    "brow_tilt": -100, "brow_arch": 80, "brow_gap": 80, "brow_height": 80, "eye": 44, "eye_open": -50,
    "eye_gap": 70, "eye_tilt": 70, "eye_height": 80, "iris": "blue", "crease": None, "lashes": None,
    "nose": 120, "nose_width": 90, "bridge": 44, "mouth": 110, "mouth_height": 90, "upper_lip": 50,
    "lower_lip": 60, "lip_red": 60, "ear": 90, "ear_height": 80, "beard": "full",
    "glasses": "none", "frame": 1, "cheeks": 10, "lines": None, "marks": ((200, 250, 36),),
}  # fmt: skip


def test_no_part_of_a_description_is_left_out_below() -> None:
    assert set(SHOTS) == {field.name for field in fields(Shot)}
    assert set(PERSONS) == {field.name for field in fields(Person)}


@pytest.mark.parametrize("name", SHOTS)
def test_how_a_photo_was_taken_is_seen_and_leaves_the_person(name: str) -> None:
    first = Portrait(SOMEONE, FRONT, 1, "k")
    second = replace(first, shot=replace(FRONT, **{name: SHOTS[name]}))  # type: ignore[arg-type]
    assert second.person == first.person and second.content_hash != first.content_hash
    assert unlike(render(first), render(second)) > 15


@pytest.mark.parametrize("name", PERSONS)
def test_every_trait_of_a_person_is_seen(name: str) -> None:
    own, change = getattr(SOMEONE, name), PERSONS[name]
    other = not own if change is None else own + change if isinstance(change, int) else change
    assert other != own
    changed = replace(SOMEONE, **{name: other})  # type: ignore[arg-type]
    pictures = [render(Portrait(person, FRONT, 1, "k")) for person in (SOMEONE, changed)]
    assert unlike(*pictures) > 5


@pytest.mark.parametrize("hair", ["bald", *THICK])
@pytest.mark.parametrize("over", ["none", "cap", "beanie"])
def test_every_style_of_hair_goes_with_every_hat(hair: str, over: str) -> None:
    usual = render(Portrait(SOMEONE, FRONT, 1, "k"))
    picture = render(Portrait(replace(SOMEONE, hair=hair), replace(FRONT, over=over), 1, "k"))
    assert (unlike(picture, usual) > 15) is ((hair, over) != ("short", "none"))


@given(st.integers(0, 10**9))
def test_whoever_is_rolled_can_be_drawn(key: int) -> None:
    person, shot = roll_person(Dice("any", key)), roll_shot(Dice("any shot", key))
    pieces = face_picture._pieces(person, shot)
    assert len(pieces) < 200, "a byte numbers the pieces and what is behind them"
    assert all(piece.points.dtype == np.int64 and len(piece.points) > 2 for piece in pieces)
    assert {piece.material for piece in pieces} <= set(range(face_shape.BACK_3 + 1, face_shape.COUNT))


@given(st.integers(-430, 430), st.integers(-140, 140), st.integers(-160, 160))
def test_the_pose_is_a_rotation(yaw: int, pitch: int, roll: int) -> None:
    """In floats, by matrices: about the vertical, then nodding, then about the neck."""
    points = np.array([(0, 0), (300, -20), (-300, 620), (0, 1000), (700, -200)])
    shot = replace(FRONT, yaw=yaw, pitch=pitch, roll=roll)
    got = face_picture._posed([face_shape.Piece(points, face_shape.SKIN, lift=100)], shot)[0]
    a, b, c = (float(np.arcsin(s / 1000)) for s in (yaw, pitch, roll))
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c)], [np.sin(c), np.cos(c)]])
    solid = np.column_stack([points, face_shape.depth(points) + 100.0])
    flat = (solid @ turn.T @ nod.T)[:, :2]
    want = (flat - [0, 900]) @ tilt.T + [0, 900]
    middle = np.array([SIDE, SIDE - 4]) * SUB
    assert np.abs(got - middle - want * 67 * SUB / 1000).max() < 3


def test_the_head_is_a_dome() -> None:
    x = np.arange(0, 800, 50)
    across = face_shape.depth(np.column_stack([x, np.zeros_like(x)]))
    assert (np.diff(across) < 0).all() and across[0] == face_shape.DEPTH
    corners = np.array([(0, -1100), (900, 0), (0, 0), (0, 620)])
    assert face_shape.depth(corners).tolist()[1:3] == [0, 700] and 0 <= face_shape.depth(corners)[0] < 50
    assert face_shape.depth(corners)[3] > 600, "the mouth stands forward"


def test_outlines_that_are_joined_cover_what_each_covers() -> None:
    spots = [np.array(oval(x, 20, 8, 12), np.int64) * SUB for x in (12, 31, 50)]
    alone = np.zeros((64, 64), bool)
    for spot in spots:
        alone |= cover([spot], 64) > 0
    np.testing.assert_array_equal(cover([face_shape.joined(spots)], 64) > 0, alone)
    ring = cover([face_shape.joined([np.array(oval(32, 32, r, r), np.int64) * SUB for r in (24, 12)])], 64)
    assert ring[32, 32] == 0 and ring[32, 50] == 1, "one within the other is a hole"


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=3, max_size=8))
def test_smoothing_stays_within(points: list[tuple[int, int]]) -> None:
    corners, line = np.array(points), face_shape.smooth(points)
    assert len(line) == 4 * len(points)
    assert (line >= corners.min(axis=0)).all() and (line <= corners.max(axis=0)).all()


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

    examples = draw_faces("small")
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
    drawn = draw_faces("tiny")
    write_people(drawn, tmp_path / "d")
    got = open_people(tmp_path / "d", tmp_path / "c", ("person",))
    assert (got.items, dict(got.columns), got.problems) == (drawn.items, dict(drawn.columns), ())
    for row in range(0, len(drawn), 7):
        np.testing.assert_array_equal(got.images.read(row), drawn.images.read(row))
    assert len(set(got.images.content_hashes())) == len(drawn)


def test_rows_and_hashes_need_neither_pixels_nor_numpy() -> None:
    code = "import sys; from bench.data.drawn.faces import draw_faces as d\n"
    code += "d('tiny').images.content_hashes()"
    subprocess.run([sys.executable, "-c", code + "; assert 'numpy' not in sys.modules"], check=True)


def test_rows_are_cheap() -> None:
    """A tenth of a second would be felt in every command; the limit leaves room for a busy machine."""
    spent = []
    for _ in range(5):
        start = time.process_time()
        draw_faces("small")
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1


def test_threads_read_what_one_reader_reads() -> None:
    images = draw_faces("tiny").images
    alone = [images.read(index).tobytes() for index in range(20)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda index: images.read(index).tobytes(), [*range(20)] * 2)) == alone * 2


def test_another_seed_is_other_people() -> None:
    one, two = draw_faces("tiny", 0), draw_faces("tiny", 1)
    assert one == draw_faces("tiny", 0) and one.fingerprint != two.fingerprint
    assert not {p.person for p in portraits(one)} & {p.person for p in portraits(two)}
    assert not set(one.columns["person"]) & set(two.columns["person"]) - set(AWKWARD)


def test_the_fingerprint_follows_size_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {size: draw_faces(size).fingerprint for size in SIZES}
    assert len(set(before.values())) == len(SIZES)
    monkeypatch.setattr(faces, "FACES_VERSION", faces.FACES_VERSION + 1)
    assert all(draw_faces(size).fingerprint != before[size] for size in SIZES)


@pytest.mark.parametrize(
    "item", ["../up", "a", "a/b/c", "a/..", "/a", "a/", "a/nul\0", "C:/a", "a\\b/c", ".a/b"]
)
def test_an_item_that_leads_elsewhere_is_refused(tmp_path: Path, item: str) -> None:
    drawn = draw_faces("tiny")
    with pytest.raises(DataError, match="cannot be the name of a folder and of a photo"):
        write_people(replace(drawn, items=(item, *drawn.items[1:])), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="'smal'; did you mean 'small'"):
        draw_faces("smal")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"^cannot write the sample to .*file"):
        write_people(draw_faces("tiny"), tmp_path / "file")
