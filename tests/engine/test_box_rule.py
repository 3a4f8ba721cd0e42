"""Masks of models that ask for it stay within their box."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.engine.box_rule import BoxRule
from samari.engine.masks import box_of
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path


def cut(prompts: PlanePrompts, margin: float | None = 0.1) -> tuple[Any, Any]:
    masks = np.ones((2, 40, 60), bool)
    masks[1, :15] = False
    boxes = BoxRule(margin).cut(masks, [box_of(mask) for mask in masks], prompts)
    assert boxes == [box_of(mask) for mask in masks]
    return masks, boxes


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
    masks = np.zeros((1, 40, 60), bool)
    masks[0, :5, :5] = True
    boxes = BoxRule(0.1).cut(masks, [(0, 0, 5, 5)], PlanePrompts(box=(20, 20, 30, 30)))
    assert boxes == [None]
    assert not masks.any()


def test_a_model_without_the_setting_draws_where_it_sees_fit() -> None:
    masks, _ = cut(PlanePrompts(box=(9.5, 19.5, 29.5, 49.5)), margin=None)
    assert masks[0].all()


@pytest.mark.parametrize("margin", [-0.1, "5 %", True, float("nan"), float("inf")])
def test_a_setting_that_is_no_distance_is_refused(margin: Any) -> None:
    with pytest.raises(ModelError, match="box_margin"):
        BoxRule.of(SimpleNamespace(extra={"samari": {"box_margin": margin}}))  # type: ignore[arg-type]


def test_the_segmenter_follows_the_setting_of_its_model(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tight"
    shutil.copytree(tiny_model_folder, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["samari"]["box_margin"] = 0.0
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    box = (19.5, 9.5, 39.5, 29.5)
    free = Segmenter(tiny_model_folder).predict(image, box=box, multimask=True)
    tight = Segmenter(folder).predict(image, box=box, multimask=True)
    inside = np.zeros((64, 64), bool)
    inside[20:40, 10:30] = True
    assert (free.masks & ~inside).any()
    np.testing.assert_array_equal(tight.masks, free.masks & inside)
