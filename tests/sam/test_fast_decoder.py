"""The quick way of decoding gives what the plain modules give, which gradients go through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from samari.sam import fast_decoder

from .test_golden import CASES, arguments, assert_close

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.sam import SamModel

    from .conftest import Golden

    Make = Callable[..., SamModel]


def both_ways(model: SamModel, **given: Any) -> tuple[Any, Any]:
    """Return what the quick way and the plain modules make of the same input."""
    with torch.inference_mode():
        quick = model(**given)
    with torch.enable_grad():
        plain = model(**given)
    assert plain.pred_masks.requires_grad
    return quick, plain


@pytest.mark.parametrize("case", CASES)
def test_every_golden_case_comes_out_the_same(golden: Golden, case: str) -> None:
    given = arguments(golden, case)
    with torch.inference_mode():
        given["image_embeddings"] = golden.model.get_image_embeddings(
            given.pop("pixel_values", golden.inputs["pixel_values"][: 1 if case == "persam" else 2])
        )
    given["image_embeddings"] = given["image_embeddings"].clone()
    quick, plain = both_ways(golden.model, **given)
    assert_close(quick.pred_masks, plain.pred_masks)
    assert_close(quick.iou_scores, plain.iou_scores)


@pytest.mark.parametrize("strip", [1, 2**17])
@pytest.mark.parametrize("points", [1, 30])
@pytest.mark.parametrize("masks", [0, 1, 3])
@pytest.mark.parametrize("rate", [1, 2])
def test_few_and_many_points_with_and_without_masks(
    small_model: Make,
    monkeypatch: pytest.MonkeyPatch,
    rate: int,
    masks: int,
    points: int,
    strip: int,
) -> None:
    """With few points tokens are brought to the width of the image, with many the other way."""
    monkeypatch.setattr(fast_decoder, "_STRIP", strip)
    monkeypatch.setattr(fast_decoder, "_AT_ONCE", 2)
    model, generator = small_model(rate=rate), torch.Generator().manual_seed(0)
    given = {
        "image_embeddings": torch.randn(2, 16, 8, 5, generator=generator),
        "input_points": 60 * torch.rand(2, 3, points, 2, generator=generator),
    }
    if masks:
        given["input_masks"] = torch.randn(2, masks, 32, 20, generator=generator)
    quick, plain = both_ways(model, **given)
    assert_close(quick.pred_masks, plain.pred_masks)
    assert_close(quick.iou_scores, plain.iou_scores)


@pytest.mark.parametrize("multimask", [True, False])
def test_masks_of_low_scores_are_not_drawn(
    small_model: Make, monkeypatch: pytest.MonkeyPatch, multimask: bool
) -> None:
    model, generator = small_model(), torch.Generator().manual_seed(0)
    given = {
        "image_embeddings": torch.randn(1, 16, 8, 5, generator=generator),
        "input_points": 60 * torch.rand(1, 9, 1, 2, generator=generator),
        "multimask_output": multimask,
    }
    every, _ = both_ways(model, **given)
    least = float(every.iou_scores.flatten().sort().values[4:6].mean())
    quick, plain = both_ways(model, **given, least_score=least)
    kept = every.iou_scores > least
    assert 0 < kept.sum() < kept.numel()
    for few in (quick, plain):
        assert_close(few.iou_scores, every.iou_scores)
        assert_close(few.pred_masks[kept], every.pred_masks[kept])
        assert (few.pred_masks[~kept] == -torch.inf).all()
    # Where no mask is wanted, the image is not even enlarged.
    monkeypatch.setattr(fast_decoder._Enlarger, "lines", None)
    none = both_ways(model, **given, least_score=1e9)[0]
    assert (none.pred_masks == -torch.inf).all()


def test_one_prompt_after_the_other_is_all_at_once(square: Golden) -> None:
    """And what they have in common may be computed before."""
    embedding, points = square.outputs["image_embeddings"][:1], square.inputs["input_points"][:1]
    with torch.inference_mode():
        image = square.model.prepare_image(embedding)
        given = {"image_embeddings": embedding, "multimask_output": False}
        together = square.model(**given, input_points=points).pred_masks
        for index in range(points.shape[1]):
            one = points[:, index : index + 1]
            alone = square.model(**given, input_points=one, prepared=image).pred_masks
            torch.testing.assert_close(alone[:, 0], together[:, index], atol=1e-5, rtol=0)
    assert image.nbytes == 3 * embedding.nbytes
