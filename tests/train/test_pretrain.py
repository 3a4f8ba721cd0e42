from __future__ import annotations

import numpy as np
import pytest
import torch

from samari.train.pretrain import OFFSET_UNIT, dense_loss, dense_targets


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((32, 32), np.int32)
    labels[4:14, 6:18], labels[14:24, 6:18] = 5, 9
    return labels


def test_coverage_is_the_share_of_labelled_pixels(labels: np.ndarray) -> None:
    labels[4, 6] = 0
    coverage = dense_targets(labels, 2)[0]
    assert coverage[2, 3] == 0.75
    assert coverage[4, 5] == 1.0
    assert coverage[0, 0] == 0.0


def test_depth_falls_to_zero_between_touching_objects(labels: np.ndarray) -> None:
    depth = dense_targets(labels, 2)[1]
    assert depth[4, 5] == depth.max() == 1.0
    assert depth[6, 5] == depth[7, 5] == 0.0


def test_offsets_point_to_the_centre_of_the_own_object(labels: np.ndarray) -> None:
    offsets = dense_targets(labels, 2)[2:] * OFFSET_UNIT
    rows, cols = np.mgrid[:16, :16]
    reached = np.stack([rows, cols]) + offsets
    assert np.allclose(reached[:, 2:7, 3:9], np.array([4.0, 5.5])[:, None, None])
    assert np.allclose(reached[:, 7:12, 3:9], np.array([9.0, 5.5])[:, None, None])
    assert (offsets[:, 0] == 0).all()


def test_the_loss_is_lowest_at_the_targets(labels: np.ndarray) -> None:
    target = torch.from_numpy(dense_targets(labels, 2))[None]
    perfect = target.clone()
    perfect[:, 0] = (2 * (target[:, 0] > 0.5).float() - 1) * 10
    good, figures = dense_loss(perfect, target)
    bad, _ = dense_loss(torch.zeros_like(target), target)
    assert good.item() < 0.02 < bad.item()
    assert figures["foreground"] == 1.0
    assert figures["offset"] == 0.0
