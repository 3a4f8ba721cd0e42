from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from samari.sam import SamImageProcessor
from samari.sam import masks as mk

if TYPE_CHECKING:
    from collections.abc import Callable


def test_crops_and_points_are_those_of_the_reference(frozen: Callable[[str], Any]) -> None:
    arrays = frozen("crops.npz")
    names = sorted({key.rpartition(".")[0] for key in arrays})
    assert len(names) == 24
    for name in names:
        height, width, layers, *ratio = name.split(".")
        overlap = 0.1 if ratio == ["0", "10"] else 512 / 1500
        image = np.zeros((int(height), int(width), 3), np.uint8)
        boxes, points, crops, labels = SamImageProcessor().generate_crop_boxes(
            image, 256, int(layers), overlap, points_per_crop=4
        )
        assert boxes.dtype == torch.float32
        assert points.dtype == torch.float64
        assert labels.dtype == torch.int64
        np.testing.assert_array_equal(boxes, arrays[f"{name}.boxes"])
        np.testing.assert_allclose(points, arrays[f"{name}.points"], rtol=1e-12)
        assert labels.shape == points.shape[:3]
        for crop, (x0, y0, x1, y1) in zip(crops, boxes.tolist(), strict=True):
            assert crop.shape == (y1 - y0, x1 - x0, 3)


def test_the_grid_of_the_model_card_has_1024_points() -> None:
    grid = mk.point_grid(32)
    assert grid.shape == (1024, 2)
    np.testing.assert_allclose(grid[:2], [[1 / 64, 1 / 64], [3 / 64, 1 / 64]])
    np.testing.assert_allclose(grid.mean(axis=0), 0.5)


def test_points_that_differ_in_number_between_crops_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"downscale_factor 2 .* \[16, 64\]"):
        SamImageProcessor().generate_crop_boxes(
            np.zeros((40, 40, 3), np.uint8),
            64,
            1,
            points_per_crop=8,
            crop_n_points_downscale_factor=2,
        )


def test_boxes_hold_their_masks_tightly() -> None:
    masks = torch.zeros(4, 7, 9, dtype=torch.bool)
    masks[0, 2:5, 3:8] = True
    masks[1, 6, 8] = True
    masks[2] = True
    assert mk.mask_boxes(masks).tolist() == [[3, 2, 7, 4], [8, 6, 8, 6], [0, 0, 8, 6], [0, 0, 0, 0]]
    assert mk.mask_boxes(masks[:0]).shape == (0, 4)


@pytest.mark.parametrize("kind", ["random", "empty", "full", "first", "last"])
def test_run_lengths_and_back_is_the_same(kind: str) -> None:
    mask = np.zeros((5, 8), bool)
    if kind == "random":
        mask = np.random.default_rng(0).random((5, 8)) > 0.5
    elif kind == "full":
        mask[:] = True
    elif kind != "empty":
        mask[(0, 0) if kind == "first" else (-1, -1)] = True
    (rle,) = mk.encode_rle(torch.from_numpy(mask)[None])
    assert rle["size"] == [5, 8]
    assert sum(rle["counts"]) == 40
    assert all(isinstance(count, int) for count in rle["counts"])
    np.testing.assert_array_equal(mk.decode_rle(rle), mask)


def test_run_lengths_go_down_the_columns_and_start_outside() -> None:
    mask = torch.tensor([[[1, 0, 0], [1, 0, 1]]], dtype=torch.bool)
    assert mk.encode_rle(mask) == [{"size": [2, 3], "counts": [0, 2, 3, 1]}]


def test_stability_is_the_overlap_of_two_thresholds() -> None:
    logits = torch.tensor([[[3.0, 3.0, 0.5, -3.0]], [[-3.0, -3.0, -3.0, -3.0]]])
    scores = mk.stability_scores(logits, 0, 1)
    assert scores[0] == pytest.approx(2 / 3)
    assert scores[1].isnan()


def test_a_box_at_the_edge_of_its_crop_but_not_of_the_image_is_cut() -> None:
    boxes = torch.tensor([[30, 30, 60, 60], [0, 30, 60, 60], [30, 30, 99, 60], [30, 21, 60, 79]])
    whole = mk.cut_by_crop(boxes, (0, 0, 100, 100), (100, 100))
    assert whole.tolist() == [False] * 4
    left = mk.cut_by_crop(boxes, (0, 0, 100, 100), (100, 200))
    assert left.tolist() == [False, False, True, False]
    right = mk.cut_by_crop(boxes, (100, 0, 200, 100), (100, 200))
    assert right.tolist() == [False, True, False, False]


def test_a_mask_of_a_crop_lands_in_its_place() -> None:
    masks = torch.ones(2, 3, 4, dtype=torch.bool)
    placed = mk.place_in_image(masks, (5, 1, 9, 4), (6, 11))
    assert placed.shape == (2, 6, 11)
    assert placed[:, 1:4, 5:9].all()
    assert placed.sum() == masks.sum()


def test_of_overlapping_boxes_the_best_is_kept_and_the_order_is_by_score() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 0, 10, 9]])
    scores = torch.tensor([0.5, 0.9, 0.7, 0.9])
    assert mk.suppress_overlaps(boxes, scores, 0.78).tolist() == [1, 3, 2]
    assert mk.suppress_overlaps(boxes, scores, 0.5).tolist() == [1, 2]
    assert mk.suppress_overlaps(boxes, scores, 1.0).tolist() == [1, 3, 2, 0]
    assert mk.suppress_overlaps(boxes[:0], scores[:0], 0.5).tolist() == []


def test_boxes_without_area_do_not_suppress_each_other() -> None:
    boxes = torch.zeros(3, 4)
    assert mk.suppress_overlaps(boxes, torch.tensor([1.0, 3.0, 2.0]), 0.5).tolist() == [1, 2, 0]


def test_as_many_scores_as_masks_are_needed() -> None:
    with pytest.raises(ValueError, match=r"\(6, 4, 4\) and \(4,\)"):
        SamImageProcessor().filter_masks(
            torch.zeros(2, 3, 4, 4), torch.zeros(2, 2), (4, 4), (0, 0, 4, 4)
        )
