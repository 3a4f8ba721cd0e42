from __future__ import annotations

import numpy as np
import pytest

from samari.train.synthetic import (
    LAYOUTS,
    LOOKS,
    draw_labels,
    render,
    smooth_noise,
    synthetic_sample,
)


def test_the_same_seed_gives_the_same_picture_and_another_seed_another() -> None:
    first, again, other = (synthetic_sample(seed, 64) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


def test_samples_are_rgb_bytes_with_labels_of_the_same_size() -> None:
    for seed in range(6):
        sample = synthetic_sample(seed, 96)
        assert sample.image.shape == (96, 96, 3)
        assert sample.image.dtype == np.uint8
        assert sample.labels.shape == (96, 96)
        assert sample.labels.max() > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_draws_objects_and_leaves_background(layout: str) -> None:
    for seed in range(3):
        labels = draw_labels(np.random.default_rng(seed), 96, layout)
        assert labels.max() >= 1
        assert (labels == 0).any()


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_shows_the_objects_where_the_labels_are(look: str) -> None:
    differ = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = draw_labels(rng, 96, "cells")
        image = render(rng, labels, look).astype(float)
        image = image.mean(axis=2) if image.ndim == 3 else image
        # Either the level or the variation within differs between objects and background.
        inside, outside = image[labels > 0], image[labels == 0]
        spread = image.std() + 1e-9
        differ.append(
            max(abs(inside.mean() - outside.mean()), abs(inside.std() - outside.std())) / spread
        )
    assert np.median(differ) > 0.2


def test_both_depths_and_colour_occur() -> None:
    kinds = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        labels = draw_labels(rng, 48, "cells")
        image = render(rng, labels, LOOKS[seed % len(LOOKS)])
        kinds.add((image.dtype.name, image.ndim))
    assert kinds == {("uint8", 2), ("uint16", 2), ("uint8", 3)}


def test_smooth_noise_is_standardised_and_smoother_when_asked() -> None:
    rng = np.random.default_rng(0)
    fine, coarse = smooth_noise(rng, 128, 2.0), smooth_noise(rng, 128, 30.0)
    for noise in (fine, coarse):
        assert noise.shape == (128, 128)
        assert abs(noise.mean()) < 1e-4
        assert abs(noise.std() - 1) < 1e-3
    assert np.abs(np.diff(coarse, axis=0)).mean() < 0.5 * np.abs(np.diff(fine, axis=0)).mean()
