from __future__ import annotations

import numpy as np
import pytest

from samari.errors import InputError
from samari.train.data import Sample
from samari.train.heldout import split


def crowd(name: str, count: int = 30, shape: tuple[int, int] = (60, 200)) -> Sample:
    labels = np.zeros(shape, np.int32)
    rng = np.random.default_rng(len(name))
    places = [(r, c) for r in range(2, shape[0] - 8, 9) for c in range(2, shape[1] - 8, 9)]
    for number, i in enumerate(rng.permutation(len(places))[:count], start=1):
        row, col = places[i]
        labels[row : row + 7, col : col + 7] = number
    image = np.where(labels > 0, 200, 30).astype(np.uint8)
    return Sample(np.stack([image] * 3, -1), labels, "own", "own", name, name)


def test_of_many_images_whole_ones_are_held_out() -> None:
    samples = [crowd(f"image {i}") for i in range(10)]
    trained, held = split(samples, 0.2, seed=0)
    assert len(held) == 2
    assert sorted([*trained, *held], key=lambda s: s.key) == samples
    assert split(samples, 0.2, seed=0)[1] == held
    others = {split(samples, 0.2, seed=seed)[1][0].key for seed in range(8)}
    assert len(others) > 1


def test_planes_of_a_stack_stay_together() -> None:
    planes = [
        Sample(s.image, s.labels, "own", "own", f"{s.key}/{z}", s.group)
        for s in (crowd(f"stack {i}") for i in range(4))
        for z in range(3)
    ]
    trained, held = split(planes, 0.25, seed=1)
    assert {s.group for s in trained}.isdisjoint({s.group for s in held})
    assert len(held) == 3


def test_one_image_is_cut_across_its_longer_side() -> None:
    whole = crowd("alone", count=60)
    (trained,), (held,) = split([whole], 0.25, seed=0)
    assert trained.labels.shape[0] == held.labels.shape[0] == 60
    assert trained.labels.shape[1] + held.labels.shape[1] == 200
    left, right = (set(np.unique(s.labels)) - {0} for s in (trained, held))
    assert left.isdisjoint(right)
    assert len(right) == pytest.approx(0.25 * 60, abs=3)
    np.testing.assert_array_equal(np.concatenate([trained.image, held.image], axis=1), whole.image)
    # What the cut goes through teaches nothing and measures nothing.
    for number in left:
        assert (trained.labels == number).sum() == 49


def test_a_tall_image_is_cut_across_its_rows() -> None:
    (trained,), (held,) = split([crowd("tall", 60, (200, 60))], 0.25, seed=0)
    assert trained.labels.shape[0] + held.labels.shape[0] == 200


@pytest.mark.parametrize("count", [1, 8, 12])
def test_too_few_objects_are_refused_with_their_number(count: int) -> None:
    with pytest.raises(InputError, match=r"too few to learn from: .* at least 10 and 4"):
        split([crowd("alone", count)], 0.2, seed=0)
