"""Masks of models that ask for it stay within their box and hang together with their prompts."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from skimage.measure import label

from samari.engine.mask_rule import MaskRule
from samari.engine.masks import box_of, boxed, pasted
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


def cut(prompts: PlanePrompts, margin: float | None = 0.1) -> tuple[Any, Any]:
    masks = np.ones((2, 40, 60), bool)
    masks[1, :15] = False
    crops, boxes = zip(*(boxed(mask) for mask in masks), strict=True)
    crops, boxes = MaskRule(margin).cut(list(crops), list(boxes), prompts, (40, 60))
    left = np.stack([pasted(*pair, (40, 60)) for pair in zip(crops, boxes, strict=True)])
    assert boxes == [box_of(mask) for mask in left]
    return left, boxes


def test_nothing_is_drawn_beyond_the_box_and_its_margin() -> None:
    masks, boxes = cut(PlanePrompts(box=(9.5, 19.5, 29.5, 49.5)))
    # 20 high and 30 wide: 2 pixels more above and below, 3 left and right.
    assert boxes == [(8, 17, 32, 53), (15, 17, 32, 53)]
    assert masks[0].sum() == 24 * 36
    masks, boxes = cut(PlanePrompts(box=(9.5, 19.5, 29.5, 49.5)), margin=0.0)
    assert boxes[0] == (10, 20, 30, 50)


def test_corners_in_any_order_and_boxes_beyond_the_plane() -> None:
    _, boxes = cut(PlanePrompts(box=(29.5, 80, 9.5, 19.5)), margin=0.0)
    assert boxes[0] == (10, 20, 30, 60)


@pytest.mark.parametrize(
    "prompts",
    [
        PlanePrompts(points=((20, 30),), labels=(1,)),
        PlanePrompts(points=((5, 5),), labels=(1,), box=(9.5, 19.5, 29.5, 49.5)),
        PlanePrompts(box=(9.5, 19.5, 29.5, 49.5), mask=np.ones((40, 60), bool)),
    ],
    ids=["no box", "a positive point outside", "a mask prompt"],
)
def test_prompts_that_promise_nothing_limit_nothing(prompts: PlanePrompts) -> None:
    masks, _ = cut(prompts)
    assert masks[0].all()


def test_a_negative_point_outside_lifts_no_limit() -> None:
    masks, _ = cut(PlanePrompts(points=((5, 5),), labels=(0,), box=(9.5, 19.5, 29.5, 49.5)))
    assert not masks[0, 5, 5]


def test_a_mask_wholly_outside_becomes_empty() -> None:
    prompts = PlanePrompts(box=(20, 20, 30, 30))
    masks, boxes = MaskRule(0.1).cut([np.ones((5, 5), bool)], [(0, 0, 5, 5)], prompts, (40, 60))
    assert boxes == [None]
    assert not masks[0].size


def test_a_model_without_the_setting_draws_where_it_sees_fit() -> None:
    masks, _ = cut(PlanePrompts(box=(9.5, 19.5, 29.5, 49.5)), margin=None)
    assert masks[0].all()


@pytest.mark.parametrize("margin", [-0.1, "5 %", True, float("nan"), float("inf")])
def test_a_setting_that_is_no_distance_is_refused(margin: Any) -> None:
    with pytest.raises(ModelError, match="box_margin"):
        MaskRule.of(SimpleNamespace(extra={"samari": {"box_margin": margin}}))  # type: ignore[arg-type]


def parts_kept(
    points: Any = (), labels: Any = (), box: Any = None, connected: bool = True
) -> set[int]:
    """Which of three parts of a mask stay: 1 is a square, 2 a larger one, 3 a dot."""
    logits = np.full((2, 32, 32), -1.0, np.float32)
    for number, (rows, cols) in enumerate(PARTS, 1):
        logits[0, rows, cols] = number
    rule = MaskRule(connected=connected)
    points = np.array(points, float).reshape(-1, 2)
    rule.keep_parts(logits, points, labels, None if box is None else np.array(box, float), 4.0)
    assert (logits[1] == -1).all()
    return {int(value) for value in np.unique(logits[0]) if value > 0}


PARTS = (
    (slice(2, 6), slice(2, 6)),
    (slice(10, 20), slice(10, 20)),
    (slice(28, 29), slice(28, 29)),
)


def test_parts_without_a_positive_point_go() -> None:
    # (x, y) in pixels of the frame, four to a logit.
    assert parts_kept([(15.5, 15.5)], (1,)) == {1}
    assert parts_kept([(15.5, 15.5), (113.5, 113.5)], (1, 1)) == {1, 3}
    assert parts_kept([(15.5, 15.5), (60, 60)], (1, 0)) == {1}


def test_a_point_beside_every_part_counts_for_the_nearest() -> None:
    assert parts_kept([(100, 100)], (1,)) == {3}


def test_of_a_box_the_largest_part_in_it_stays() -> None:
    assert parts_kept(box=(0, 0, 127, 127)) == {2}
    assert parts_kept(box=(4, 4, 30, 30)) == {1}
    assert parts_kept([(113.5, 113.5)], (1,), box=(4, 4, 30, 30)) == {1, 3}


def test_a_model_without_the_setting_keeps_all_parts() -> None:
    assert parts_kept([(15.5, 15.5)], (1,), connected=False) == {1, 2, 3}


def test_parts_that_touch_at_a_corner_are_two() -> None:
    logits = np.full((1, 8, 8), -1.0, np.float32)
    logits[0, 2, 2] = logits[0, 3, 3] = logits[0, 6, 6] = 1
    MaskRule(connected=True).keep_parts(logits, np.array([(2.0, 2.0)]), (1,), None, 1.0)
    np.testing.assert_array_equal(np.argwhere(logits[0] > 0), [(2, 2)])
    assert logits[0, 3, 3] == -1


@pytest.mark.parametrize("connected", [1, "yes", None])
def test_a_setting_that_is_no_truth_value_is_refused(connected: Any) -> None:
    with pytest.raises(ModelError, match="connected"):
        MaskRule.of(SimpleNamespace(extra={"samari": {"connected": connected}}))  # type: ignore[arg-type]


def test_a_mask_that_the_user_drew_may_have_parts(tiny_model_folder: Path, tmp_path: Path) -> None:
    folder = with_setting(tiny_model_folder, tmp_path, connected=True)
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    drawn = np.zeros((64, 64), bool)
    drawn[4:20, 4:20] = drawn[40:60, 40:60] = True
    free = Segmenter(tiny_model_folder).predict(image, mask=drawn, multimask=True)
    held = Segmenter(folder).predict(image, mask=drawn, multimask=True)
    np.testing.assert_array_equal(held.masks, free.masks)
    point = Segmenter(folder).predict(image, points=[(30, 30)])
    loose = Segmenter(tiny_model_folder).predict(image, points=[(30, 30)])
    assert (point.logits <= loose.logits).all()
    assert (point.logits < loose.logits).any()
    assert all(label(plane > 0, connectivity=1).max() <= 1 for plane in point.logits)


def with_setting(model: Path, folder: Path, **own: Any) -> Path:
    """Copy a model with further entries in "samari" of its config.json."""
    copy = folder / "model"
    shutil.copytree(model, copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["samari"] |= own
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return copy


def test_the_segmenter_follows_the_setting_of_its_model(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = with_setting(tiny_model_folder, tmp_path, box_margin=0.0)
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    box = (19.5, 9.5, 39.5, 29.5)
    free = Segmenter(tiny_model_folder).predict(image, box=box, multimask=True)
    tight = Segmenter(folder).predict(image, box=box, multimask=True)
    inside = np.zeros((64, 64), bool)
    inside[20:40, 10:30] = True
    assert (free.masks & ~inside).any()
    np.testing.assert_array_equal(tight.masks, free.masks & inside)
