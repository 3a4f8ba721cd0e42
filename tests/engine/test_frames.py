from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samari.engine.frames import FrameRule
from samari.errors import InputError, ModelError
from samari.sam import SamConfig

PUBLISHED = FrameRule(1024, 16)
BARE = FrameRule(512, 8, pad=False, upscale=False)

sides = st.integers(1, 5000)


@pytest.mark.parametrize(
    ("plane", "resized"),
    [
        ((1024, 1024), (1024, 1024)),
        ((512, 512), (1024, 1024)),
        ((480, 640), (768, 1024)),
        ((3000, 2000), (1024, 683)),
        ((5000, 4097), (1024, 839)),
        ((1, 1), (1024, 1024)),
        ((3, 2000), (2, 1024)),
        ((1, 5000), (1, 1024)),
        ((7, 9), (796, 1024)),
    ],
)
def test_published_models_scale_the_longest_edge_and_pad_to_a_square(plane, resized):
    frame = PUBLISHED.frame(plane)
    assert frame.input_shape == resized
    assert frame.padded_shape == (1024, 1024)
    assert frame.grid == (64, 64)
    assert frame.logits_shape == (256, 256)


@pytest.mark.parametrize(
    ("plane", "resized", "padded"),
    [
        ((512, 512), (512, 512), (512, 512)),
        ((100, 70), (100, 70), (104, 72)),
        ((1, 1), (1, 1), (8, 8)),
        ((15, 1), (15, 1), (16, 8)),
        ((3, 2000), (1, 512), (8, 512)),
        ((4096, 5000), (419, 512), (424, 512)),
        ((1024, 1024), (512, 512), (512, 512)),
    ],
)
def test_a_model_without_padding_gets_whole_patches_and_small_planes_as_they_are(
    plane, resized, padded
):
    frame = BARE.frame(plane)
    assert (frame.input_shape, frame.padded_shape) == (resized, padded)


@given(sides, sides, st.booleans(), st.booleans())
def test_every_plane_has_a_frame_of_at_least_one_patch_and_at_most_the_image_size(
    height, width, pad, upscale
):
    frame = FrameRule(512, 8, pad, upscale).frame((height, width))
    for resized, padded in zip(frame.input_shape, frame.padded_shape, strict=True):
        assert 1 <= resized <= padded <= 512
        assert padded % 8 == 0
    if upscale:
        assert max(frame.input_shape) == 512
    if not pad:
        assert all(p - r < 8 for r, p in zip(frame.input_shape, frame.padded_shape, strict=True))


def test_a_plane_without_pixels_has_no_frame():
    with pytest.raises(InputError, match=r"\(0, 5\)"):
        BARE.frame((0, 5))


@given(sides, sides, st.floats(0, 1), st.floats(0, 1))
def test_points_are_placed_symmetrically(height, width, v, u):
    """Trap 8: no truncation toward zero, no half pixel to one side."""
    frame = BARE.frame((height, width))
    point = np.array([v * height - 0.5, u * width - 0.5])
    mirrored = np.array([height - 1, width - 1]) - point
    there, back = frame.to_frame(point), frame.to_frame(mirrored)
    rows, cols = frame.input_shape
    np.testing.assert_allclose(there + back, [cols - 1, rows - 1], atol=1e-8)


def test_edges_of_the_plane_are_edges_of_the_frame_and_the_order_becomes_x_y():
    frame = PUBLISHED.frame((300, 200))
    rows, cols = frame.input_shape
    assert frame.input_shape == (1024, 683)
    corners = frame.to_frame([[-0.5, -0.5], [299.5, 199.5]])
    np.testing.assert_allclose(corners, [[-0.5, -0.5], [cols - 0.5, rows - 0.5]])
    np.testing.assert_allclose(frame.to_frame((149.5, 0)), [0.5 * 683 / 200 - 0.5, 511.5])


def test_a_sub_pixel_shift_of_a_point_is_kept():
    frame = BARE.frame((512, 512))
    np.testing.assert_array_equal(frame.to_frame((10.25, 20.75)), [20.75, 10.25])


def test_pixels_are_normalised_and_the_padding_is_zero_afterwards():
    rgb = np.random.default_rng(0).integers(0, 256, (20, 13, 3), dtype=np.uint8)
    frame = BARE.frame((20, 13))
    pixels = frame.pixels(rgb)
    assert pixels.shape == (1, 3, 24, 16)
    assert pixels.dtype == torch.float32
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    wanted = ((rgb - mean) / std).transpose(2, 0, 1)
    np.testing.assert_allclose(pixels[0, :, :20, :13], wanted, atol=1e-6)
    assert not pixels[0, :, 20:].any()
    assert not pixels[0, :, :, 13:].any()


def test_shrinking_averages_over_all_source_pixels():
    checker = (np.indices((2048, 2048)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = BARE.frame((2048, 2048)).pixels(np.repeat(checker[..., None], 3, axis=2))
    grey = pixels[0, 0] * 58.395 + 123.675
    assert grey.min() > 120
    assert grey.max() < 135


def test_enlarging_is_linear_between_pixel_centres():
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None, None], (1, 64, 3))
    pixels = FrameRule(256, 8).frame((64, 64)).pixels(ramp)
    grey = (pixels[0, 0, 2:-2] * 58.395 + 123.675).numpy()
    centres = (np.arange(256) + 0.5) / 4 - 0.5
    np.testing.assert_allclose(grey, np.tile(4 * centres[2:-2, None], (1, 256)), atol=0.51)


def test_a_mirrored_picture_gives_mirrored_pixels():
    rgb = np.random.default_rng(1).integers(0, 256, (90, 1100, 3), dtype=np.uint8)
    frame = FrameRule(512, 8).frame((90, 1100))
    rows, cols = frame.input_shape
    there = frame.pixels(rgb)[..., :rows, :cols]
    back = frame.pixels(rgb[:, ::-1])[..., :rows, :cols].flip(-1)
    assert (there - back).abs().max() < 0.02  # one grey level of rounding


def test_a_plane_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"\(5, 6\).*\(6, 5\)"):
        BARE.frame((6, 5)).pixels(np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(InputError, match="float64"):
        BARE.frame((6, 5)).pixels(np.zeros((6, 5, 3)))


def test_the_rule_is_read_from_the_configuration():
    assert FrameRule.of(SamConfig()) == FrameRule(1024, 16, pad=True, upscale=True)
    config = SamConfig.from_dict({"samari": {"pad": False, "upscale": False}})
    assert FrameRule.of(config) == FrameRule(1024, 16, pad=False, upscale=False)
    config = SamConfig.from_dict({"samari": {"pad": False, "upscale": False, "zoom": 256}})
    assert FrameRule.of(config).zoom == 256
    assert FrameRule.of(SamConfig.from_dict({"samari": {"reach": 8}})).reach == 8


@pytest.mark.parametrize(
    "own",
    [
        {"pad": 0},
        {"upscale": "no"},
        "bare",
        {"zoom": 256},
        *({"reach": reach} for reach in (True, -1, 8.0, "far")),
        *({"upscale": False, "zoom": zoom} for zoom in (True, -16, 24, 2048, "large")),
    ],
)
def test_a_configuration_that_is_not_a_rule_is_named(own):
    with pytest.raises(ModelError, match="samari"):
        FrameRule.of(SamConfig.from_dict({"samari": own}))
