from __future__ import annotations

import numpy as np
import pytest
import torch

from samari.train.prompts import (
    centre_click,
    correction_click,
    jittered_boxes,
    object_box,
    pick_objects,
    sample_clicks,
)


def rectangle(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_the_first_click_is_the_middle_of_a_square() -> None:
    assert centre_click(rectangle(5, 8, 12, 15)) == (8.0, 11.0)


def test_the_first_click_keeps_away_from_the_border_of_the_image() -> None:
    y, x = centre_click(rectangle(0, 0, 7, 7))
    assert (y, x) == (3.0, 3.0)


def test_the_first_click_into_a_ring_lies_on_the_ring() -> None:
    ring = rectangle(2, 2, 18, 18) & ~rectangle(6, 6, 14, 14)
    y, x = centre_click(ring)
    assert ring[int(y), int(x)]


def test_a_missed_part_is_corrected_by_a_positive_click_in_it() -> None:
    truth, guess = rectangle(2, 2, 12, 20), rectangle(2, 2, 12, 10)
    (y, x), label = correction_click(truth, guess)
    assert label == 1
    assert truth[int(y), int(x)]
    assert not guess[int(y), int(x)]


def test_a_part_too_much_is_corrected_by_a_negative_click_in_it() -> None:
    truth, guess = rectangle(2, 2, 12, 10), rectangle(2, 2, 12, 20)
    (y, x), label = correction_click(truth, guess)
    assert label == 0
    assert guess[int(y), int(x)]
    assert not truth[int(y), int(x)]


def test_a_perfect_answer_needs_no_click() -> None:
    assert correction_click(rectangle(2, 2, 5, 5), rectangle(2, 2, 5, 5)) is None


def test_a_box_runs_along_the_outer_edges_of_the_pixels() -> None:
    assert object_box(rectangle(3, 4, 8, 10)) == (2.5, 3.5, 7.5, 9.5)


def test_only_objects_of_the_least_size_are_picked_and_none_twice() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[:5, :5], labels[10:12, 10:12], labels[15:20, :4] = 1, 2, 3
    picked = pick_objects(labels, 10, 20, np.random.default_rng(0))
    assert sorted(picked.tolist()) == [1, 3]


@pytest.mark.parametrize("centred", [True, False])
def test_sampled_clicks_lie_on_their_objects(centred: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    region = torch.rand(50, 16, 16, generator=generator) < 0.1
    region[:, 3, 4] = True
    where = sample_clicks(region, torch.full((50,), centred), generator)
    assert region[torch.arange(50), where[:, 0], where[:, 1]].all()


def test_centred_clicks_lie_deeper_than_others() -> None:
    generator = torch.Generator().manual_seed(2)
    region = torch.zeros(60, 32, 32, dtype=torch.bool)
    region[:, 6:27, 6:27] = True
    middle = torch.tensor([16.0, 16.0])
    away = [
        (sample_clicks(region, torch.full((60,), kind), generator) - middle).norm(dim=1).mean()
        for kind in (True, False)
    ]
    assert away[0] < 0.6 * away[1]


def test_a_box_without_jitter_is_tight_and_with_jitter_stays_in_the_frame() -> None:
    mask = torch.zeros(2, 16, 24, dtype=torch.bool)
    mask[0, 2:6, 3:9] = True
    mask[1, 10:16, 20:24] = True
    generator = torch.Generator().manual_seed(0)
    assert jittered_boxes(mask, 0.0, generator).tolist() == [[3, 2, 9, 6], [20, 10, 24, 16]]
    rough = jittered_boxes(mask.repeat(100, 1, 1), 0.5, generator)
    assert (rough >= 0).all()
    assert (rough[:, [0, 2]] <= 24).all()
    assert (rough[:, [1, 3]] <= 16).all()
    assert (rough[:, 0] < rough[:, 2]).all()
