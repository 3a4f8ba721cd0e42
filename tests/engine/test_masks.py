from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from samari.engine.frames import Frame, FrameRule
from samari.engine.masks import CERTAIN, box_of, boxed, mask_prompt, masks_of, pasted

RULES = {
    "padded": FrameRule(128, 16),
    "bare": FrameRule(128, 8, pad=False, upscale=False),
    "coarse": FrameRule(64, 4, pad=False, upscale=True),
}
SHAPES = [
    (128, 128),
    (100, 70),
    (64, 300),
    (300, 64),
    (1, 1),
    (1, 90),
    (7, 5),
    (500, 3),
    (517, 391),
]


def resize_in_full(logits: np.ndarray, frame: Frame) -> np.ndarray:
    """Resize to the padded frame, cut the padding off, resize to the plane."""
    rows, cols = frame.input_shape
    x = F.interpolate(torch.from_numpy(logits)[None], frame.padded_shape, mode="bilinear")
    x = F.interpolate(x[..., :rows, :cols], frame.plane_shape, mode="bilinear")
    return x[0].numpy()


def logits_of(kind: str, shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(7)
    logits = np.full((3, *shape), -4, np.float32)
    if kind == "noise":
        logits = rng.normal(size=logits.shape).astype(np.float32)
    elif kind == "blob":
        logits[0, shape[0] // 3 : shape[0] // 2 + 1, shape[1] // 4 : shape[1] // 2 + 1] = 3
        logits[1, -1, -1] = 9
        logits[1, 0, 0] = 9
        logits += rng.normal(size=logits.shape).astype(np.float32) / 4
    return logits


@pytest.mark.parametrize("kind", ["noise", "blob", "empty"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_drawing_only_around_objects_equals_both_resizes_in_full(rule, shape, kind):
    frame = RULES[rule].frame(shape)
    logits = logits_of(kind, frame.logits_shape)
    cut, boxes = masks_of(logits, frame)
    masks = np.stack([pasted(mask, box, shape) for mask, box in zip(cut, boxes, strict=True)])
    full = resize_in_full(logits, frame)
    assert masks.shape == full.shape == (3, *shape)
    unclear = np.abs(full) < 1e-5
    assert unclear.mean() < 0.01
    np.testing.assert_array_equal(masks[~unclear], full[~unclear] > 0)
    assert boxes == [box_of(mask) for mask in masks]
    if kind == "empty":
        assert boxes == [None, None, None]


def test_the_padding_is_cut_off_before_the_second_resize():
    frame = RULES["padded"].frame((64, 128))
    logits = np.full((1, *frame.logits_shape), -5, np.float32)
    logits[0, frame.logits_shape[0] // 2 + 1 :] = 5
    masks, boxes = masks_of(logits, frame)
    assert not masks[0].size
    assert boxes == [None]


def test_what_is_cut_out_can_be_pasted_back():
    mask = np.zeros((9, 12), bool)
    assert boxed(mask)[1] is None
    np.testing.assert_array_equal(pasted(*boxed(mask), mask.shape), mask)
    mask[2, 3] = mask[6, 10] = True
    cut, box = boxed(mask[1:], (1, 0))
    assert box == (2, 3, 7, 11)
    assert cut.base is None  # keeps no plane in memory
    np.testing.assert_array_equal(pasted(cut, box, mask.shape), mask)


def test_a_box_holds_all_pixels_and_no_empty_margin():
    mask = np.zeros((9, 12), bool)
    assert box_of(mask) is None
    mask[2, 3] = mask[6, 10] = True
    assert box_of(mask) == (2, 3, 7, 11)
    assert mask[2:7, 3:11].sum() == mask.sum()


@pytest.mark.parametrize("shape", [(128, 128), (200, 150), (90, 300), (1000, 800)], ids=str)
@pytest.mark.parametrize("rule", ["padded", "bare"])
def test_a_mask_prompt_comes_back_as_the_mask(rule, shape):
    y, x = np.indices(shape)
    radius = min(shape) / 3
    mask = np.hypot(y - 0.45 * shape[0], x - 0.55 * shape[1]) < radius
    frame = RULES[rule].frame(shape)
    logits = mask_prompt(mask, frame)
    assert logits.shape == frame.logits_shape
    assert logits.dtype == np.float32
    (cut,), (box,) = masks_of(logits[None], frame)
    back = pasted(cut, box, shape)
    assert (mask & back).sum() / (mask | back).sum() > 0.95


def test_a_mask_prompt_is_certain_inside_outside_and_in_the_padding():
    frame = RULES["padded"].frame((64, 128))
    logits = mask_prompt(np.ones((64, 128), bool), frame)
    half = frame.logits_shape[0] // 2
    np.testing.assert_allclose(logits[:half], CERTAIN, atol=1e-3)
    np.testing.assert_allclose(logits[half:], -CERTAIN, atol=1e-3)


def test_a_mirrored_mask_gives_a_mirrored_mask_prompt():
    mask = np.random.default_rng(0).random((256, 512)) < 0.4
    frame = FrameRule(128, 8, pad=False, upscale=False).frame(mask.shape)
    np.testing.assert_allclose(
        mask_prompt(mask, frame), mask_prompt(mask[::-1, ::-1], frame)[::-1, ::-1], atol=1e-3
    )


def test_a_single_pixel_of_a_large_plane_is_not_lost_on_the_way_to_the_prompt():
    mask = np.zeros((2000, 2000), bool)
    mask[1000, 500] = True
    logits = mask_prompt(mask, FrameRule(128, 8, pad=False, upscale=False).frame(mask.shape))
    np.testing.assert_array_equal(np.argwhere(logits > 0), [[32, 16]])
