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


@pytest.mark.parametrize("shape", [(60, 200), (200, 60)])
def test_one_image_is_cut_where_few_objects_are(shape: tuple[int, int]) -> None:
    whole = crowd("alone", 60, shape)
    (trained,), (held,) = split([whole], 0.25, seed=0)
    sides = [
        axis
        for axis in (0, 1)
        if trained.labels.shape[axis] + held.labels.shape[axis] == shape[axis]
    ]
    assert len(sides) == 1
    np.testing.assert_array_equal(
        np.concatenate([trained.image, held.image], axis=sides[0]), whole.image
    )
    left, right = (set(np.unique(s.labels)) - {0} for s in (trained, held))
    assert left.isdisjoint(right)
    # The crowd stands in rows and columns, so a cut between them loses nobody.
    assert len(left | right) == 60
    assert len(right) == pytest.approx(15, abs=2)


def test_an_object_on_the_cut_is_in_neither_part() -> None:
    labels = np.zeros((38, 110), np.int32)
    for number in range(20):
        row, col = 2 + 9 * (number // 5), 2 + 20 * (number % 5) + 3 * (number // 5)
        labels[row : row + 7, col : col + 19] = number + 1
    image = np.stack([labels.astype(np.uint8)] * 3, -1)
    whole = Sample(image, labels, "own", "own", "bricks", "bricks")
    (trained,), (held,) = split([whole], 0.3, seed=0)
    for part in (trained, held):
        for number in set(np.unique(part.labels)) - {0}:
            assert (part.labels == number).sum() == (whole.labels == number).sum()


def test_planes_of_one_stack_are_cut_at_the_same_place() -> None:
    stack = [
        Sample(s.image, s.labels, "own", "own", f"{z}", "stack")
        for z, s in enumerate([crowd("a", 60), crowd("bb", 60), crowd("ccc", 60)])
    ]
    trained, held = split(stack, 0.25, seed=0)
    assert len(trained) == len(held) == 3
    assert len({s.labels.shape for s in trained}) == 1


@pytest.mark.parametrize("seed", range(5))
def test_an_image_with_few_objects_is_not_held_out_alone(seed: int) -> None:
    samples = [crowd(f"image {i}") for i in range(4)] + [crowd("sparse one", 2)]
    trained, held = split(samples, 0.2, seed)
    assert sum(len(np.unique(s.labels)) - 1 for s in held) >= 4
    assert trained


def test_something_is_always_left_to_train_on() -> None:
    trained, held = split([crowd(f"image {i}") for i in range(4)], 0.95, seed=0)
    assert (len(trained), len(held)) == (1, 3)


@pytest.mark.parametrize("count", [1, 8, 12])
def test_too_few_objects_are_refused_with_their_number(count: int) -> None:
    with pytest.raises(
        InputError, match=rf"too few objects to learn from: of {count} .* at least 10 and 4"
    ):
        split([crowd("alone", count)], 0.2, seed=0)


def test_an_image_of_one_pixel_is_left_out() -> None:
    pixel = Sample(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.int32), "own", "own", "a", "a")
    with pytest.raises(InputError, match="too few objects to learn from"):
        split([pixel], 0.2, seed=0)
    whole = crowd("alone", 60)
    trained, held = split([pixel, whole], 0.2, seed=0)
    assert [one.group for one in (*trained, *held)] == ["alone", "alone"]
