"""Changed views of pairs: one change for all photos, or one for each."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.augmentation import Recipe, load_change

SIZE = (24, 24)


@pytest.mark.parametrize("name", ["crop", "colour", "rotate", "flip"])
def test_a_shared_recipe_changes_all_photos_in_one_way(name: str) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.uint8)
    photos = np.repeat(photo, 12, axis=0)
    positions = np.arange(12) * 7
    shared, own = (load_change(Recipe(name, 0.5, together), SIZE) for together in (True, False))
    changed = [shared(photos, positions, view) for view in range(6)]
    assert all((view == view[0]).all() for view in changed)
    assert any((view[0] != photo[0]).any() for view in changed)
    assert not all(
        (own(photos, positions, view) == own(photos, positions, view)[0]).all() for view in range(6)
    )


def test_only_a_shared_recipe_has_a_key_of_its_own() -> None:
    assert "shared" not in Recipe("crop").key
    assert Recipe("crop", shared=True).key == {**Recipe("crop").key, "shared": True}
