from __future__ import annotations

import numpy as np
import pytest

from samari.train.measures import (
    THRESHOLDS,
    boundary_f,
    clicks_to,
    iou,
    segmentation_accuracy,
)


def disc(y: float, x: float, radius: float, shape: tuple[int, int] = (60, 60)) -> np.ndarray:
    rows, cols = np.indices(shape)
    return np.hypot(rows - y, cols - x) <= radius


def test_iou_of_half_overlapping_masks() -> None:
    a, b = np.zeros((2, 4, 4), bool)
    a[:, :2] = True
    b[:, 1:3] = True
    assert iou(a, b) == pytest.approx(1 / 3)
    assert iou(a, a) == 1.0
    assert iou(a, ~a) == 0.0


def test_an_outline_within_the_tolerance_is_a_full_hit() -> None:
    truth = disc(30, 30, 15)
    assert boundary_f(truth, truth) == 1.0
    assert boundary_f(disc(30, 31, 15), truth) > 0.95
    assert boundary_f(disc(30, 30, 11), truth) == 0.0
    assert boundary_f(disc(30, 30, 11), truth, tolerance=4.5) == 1.0


def test_half_an_object_has_part_of_its_outline() -> None:
    truth = disc(30, 30, 15)
    half = truth & (np.indices(truth.shape)[0] < 30)
    assert 0.5 < boundary_f(half, truth) < 0.8
    assert boundary_f(half, truth) == boundary_f(truth, half)


def test_outlines_at_the_planes_edge_and_empty_masks() -> None:
    edge = np.zeros((10, 10), bool)
    edge[:, 6:] = True
    assert boundary_f(edge, edge) == 1.0
    empty = np.zeros_like(edge)
    assert boundary_f(empty, empty) == 1.0
    assert boundary_f(empty, edge) == boundary_f(edge, empty) == 0.0


def test_clicks_to_a_goal() -> None:
    assert clicks_to(0.8, [0.85, 0.7]) == 1
    assert clicks_to(0.8, [0.5, 0.79, 0.8]) == 3
    assert clicks_to(0.9, [0.5] * 10) == 10
    assert clicks_to(0.9, [0.5] * 11 + [0.95]) == 10


def test_segmentation_accuracy_counts_hits_misses_and_what_is_too_much() -> None:
    truth = np.zeros((20, 20), np.int32)
    truth[2:8, 2:8], truth[12:18, 2:8] = 1, 2
    assert segmentation_accuracy(truth * 7, truth) == 1.0  # ids do not matter
    one = np.where(truth == 1, 5, 0)
    assert segmentation_accuracy(one, truth) == 0.5
    more = truth.copy()
    more[12:18, 12:18] = 9
    assert segmentation_accuracy(more, truth) == pytest.approx(2 / 3)
    assert segmentation_accuracy(truth * 0, truth) == 0.0
    assert segmentation_accuracy(truth * 0, truth * 0) == 1.0


def test_segmentation_accuracy_is_the_mean_over_overlaps() -> None:
    truth = np.zeros((10, 10), np.int32)
    truth[:, :] = 1
    guess = truth.copy()
    guess[7:] = 0  # IoU 0.7: a hit at 0.5 to 0.7
    hits = sum(threshold <= 0.7 for threshold in THRESHOLDS)
    assert hits == 5
    assert segmentation_accuracy(guess, truth) == pytest.approx(hits / 10)
