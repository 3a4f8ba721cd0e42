from __future__ import annotations

import numpy as np
import pytest

from samari.train import synthetic
from samari.train.synthetic import synthetic_sample
from samari.train.synthetic_layouts import LAYOUTS, draw_groups, draw_labels, draw_parts
from samari.train.synthetic_looks import LOOKS, render
from samari.train.synthetic_noise import smooth_noise


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


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_shows_the_parts_of_objects(look: str) -> None:
    differ = []
    for seed in range(6):
        labels = draw_labels(np.random.default_rng(seed), 96, "cells")
        parts = draw_parts(np.random.default_rng(seed), labels)
        with_parts, without = (
            render(np.random.default_rng(seed), labels, look, shown).astype(float)
            for shown in (parts, np.zeros_like(parts))
        )
        change = np.abs(with_parts - without) / (without.std() + 1e-9)
        change = change.mean(axis=2) if change.ndim == 3 else change
        if parts.any():
            differ.append(change[parts > 0].mean())
    assert len(differ) >= 3
    assert np.median(differ) > 0.2


def test_parts_lie_within_their_objects_and_leave_some_of_them() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = draw_labels(rng, 128, "crowd")
        parts = draw_parts(rng, labels)
        assert (labels[parts > 0] == parts[parts > 0]).all()
        sizes, whole = np.bincount(parts.ravel()), np.bincount(labels.ravel())
        drawn = np.flatnonzero(sizes[1:]) + 1
        assert (sizes[drawn] < 0.8 * whole[drawn]).all()
        assert (whole[drawn] >= 120).all()
    small = np.zeros((20, 20), np.int32)
    small[5:10, 5:10] = 1
    assert not draw_parts(np.random.default_rng(0), small).any()


def test_groups_are_the_objects_that_touch() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[5:15, 5:15], labels[5:15, 15:25], labels[5:15, 27:35] = 1, 2, 3
    labels[30:38, 40:50] = 4
    groups = draw_groups(labels)
    assert ((groups > 0) == (labels > 0)).all()
    assert groups.max() == 2
    assert len(set(groups[labels > 3])) == 1
    assert len(set(groups[(labels > 0) & (labels < 4)])) == 1


def test_rings_have_holes_and_budding_cells_are_one_object() -> None:
    from scipy import ndimage

    holes = parts = 0
    for seed in range(5):
        rings = draw_labels(np.random.default_rng(seed), 128, "rings")
        for number in range(1, rings.max() + 1):
            ring = rings == number
            holes += bool((ndimage.binary_fill_holes(ring) & ~ring).sum() > 10)
        yeast = draw_labels(np.random.default_rng(seed), 128, "yeast")
        for number in range(1, yeast.max() + 1):
            parts = max(parts, ndimage.label(yeast == number, np.ones((3, 3)))[1])
    assert holes >= 5
    assert parts <= 2  # what lies in front may cut one in two


def test_a_click_may_mean_an_object_its_part_or_its_group() -> None:
    levels = []
    for seed in range(60):
        sample = synthetic_sample(seed, 96)
        rng = np.random.default_rng([seed, 20260])
        layout = LAYOUTS[rng.choice(len(LAYOUTS), p=synthetic._LAYOUTS)]
        chances = synthetic._LOOKS_ON.get(layout, synthetic._LOOKS)
        rng.choice(len(LOOKS), p=chances)
        whole = draw_labels(rng, 96, layout)
        if np.array_equal(sample.labels, whole):
            levels.append("objects")
        else:
            same = np.array_equal(sample.labels > 0, whole > 0)
            levels.append("groups" if same else "parts")
    assert levels.count("objects") > 40
    assert levels.count("parts") >= 3
    assert levels.count("groups") >= 1


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
