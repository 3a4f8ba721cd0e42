from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from scipy import ndimage
from skimage.filters import sobel
from skimage.segmentation import watershed


@pytest.fixture(scope="module")
def coins() -> tuple[np.ndarray, np.ndarray]:
    """Give the image and the coins in it, outlined from their edges (by a watershed)."""
    image = skimage.data.coins()
    markers = np.where(image < 30, 1, np.where(image > 150, 2, 0))
    filled = ndimage.binary_fill_holes(watershed(sobel(image), markers) == 2)
    labels, count = ndimage.label(ndimage.binary_opening(filled, iterations=2))
    sizes = ndimage.sum(filled, labels, np.arange(1, count + 1))
    for label in np.flatnonzero(sizes < 500) + 1:
        labels[labels == label] = 0
    return image, labels


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def objects(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == label for label in np.unique(labels)[1:]]


def test_one_click_finds_most_coins(bundled, coins):
    image, labels = coins
    found = objects(labels)
    assert len(found) == 24
    clicks = [ndimage.center_of_mass(coin) for coin in found]
    predictions = bundled.predict_each(image, clicks)
    overlaps = [overlap(p.best, coin) for p, coin in zip(predictions, found, strict=True)]
    assert np.median(overlaps) > 0.5, overlaps
