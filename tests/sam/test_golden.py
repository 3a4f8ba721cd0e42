"""The network computes what the reference computes, case by case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Golden

CASES = ["points", "points_single", "points_nolabel", "boxes", "points_boxes", "masks", "persam"]


def assert_close(ours: torch.Tensor, reference: torch.Tensor) -> None:
    """Hold the largest error to 1e-4 of the reference's standard deviation."""
    assert ours.shape == reference.shape
    scale = reference.std() if reference.numel() > 1 else reference.abs().max()
    assert (ours - reference).abs().max() <= 1e-4 * scale


def arguments(golden: Golden, case: str) -> dict[str, Any]:
    given = golden.inputs
    pixels = {"pixel_values": given["pixel_values"]}
    points = {"input_points": given["input_points"], "input_labels": given["input_labels"]}
    boxes = {"input_boxes": given["input_boxes"]}
    embedding = golden.outputs["image_embeddings"]
    return {
        "points": {**pixels, **points},
        "points_single": {**pixels, **points, "multimask_output": False},
        "points_nolabel": {**pixels, "input_points": given["input_points"]},
        "boxes": {**pixels, **boxes},
        "points_boxes": {**pixels, **points, **boxes, "multimask_output": False},
        "masks": {"image_embeddings": embedding, "input_masks": given["input_masks"], **points},
        "persam": {
            "image_embeddings": embedding[:1],
            "input_points": given["input_points"][:1, :1],
            "input_labels": given["input_labels"][:1, :1],
            "attention_similarity": given["attention_similarity"],
            "target_embedding": given["target_embedding"],
            "multimask_output": False,
        },
    }[case]


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_masks_and_scores_are_those_of_the_reference(golden: Golden, case: str) -> None:
    output = golden.model(**arguments(golden, case))
    assert_close(output.pred_masks, golden.outputs[f"{case}.pred_masks"])
    assert_close(output.iou_scores, golden.outputs[f"{case}.iou_scores"])


@torch.no_grad()
def test_hidden_states_and_attentions_are_those_of_the_reference(golden: Golden) -> None:
    output = golden.model(
        **arguments(golden, "points"), output_attentions=True, output_hidden_states=True
    )
    assert len(output.vision_hidden_states) == golden.config.vision_config.num_hidden_layers + 1
    for index, state in enumerate(output.vision_hidden_states):
        assert_close(state, golden.outputs[f"hidden.{index}"])
    assert len(output.vision_attentions) == golden.config.vision_config.num_hidden_layers
    for index, weights in enumerate(output.vision_attentions):
        assert_close(weights, golden.outputs[f"vision_attention.{index}"])
    assert_close(output.pred_masks, golden.outputs["points.pred_masks"])


@torch.no_grad()
def test_embeddings_of_image_prompts_and_positions_are_those_of_the_reference(
    golden: Golden,
) -> None:
    given, wanted = golden.inputs, golden.outputs
    assert_close(
        golden.model.get_image_embeddings(given["pixel_values"]), wanted["image_embeddings"]
    )
    assert_close(golden.model.get_image_wide_positional_embeddings(), wanted["image_pe"])
    prompts = ["input_points", "input_labels", "input_boxes", "input_masks"]
    sparse, dense = golden.model.get_prompt_embeddings(**{key: given[key] for key in prompts})
    assert_close(sparse, wanted["prompt.sparse"])
    assert_close(dense, wanted["prompt.dense"])


@torch.no_grad()
def test_all_outputs_as_a_tuple_are_those_of_the_reference(
    square: Golden, frozen: Callable[[str], Any]
) -> None:
    wanted = frozen("network.npz")
    output = square.model(
        **arguments(square, "points"),
        output_attentions=True,
        output_hidden_states=True,
        return_dict=False,
    )
    lengths = [len(part) if isinstance(part, tuple) else -1 for part in output]
    assert lengths == wanted["tuple"].tolist()
    for layer, update in enumerate(output[4]):
        assert list(update.shape) == wanted[f"decoder.{layer}.shape"].tolist()
        assert_close(update[:, :, ::8], torch.from_numpy(wanted[f"decoder.{layer}"]))


@torch.no_grad()
def test_masks_without_a_prompt_are_those_of_the_reference(
    square: Golden, frozen: Callable[[str], Any]
) -> None:
    wanted = frozen("network.npz")
    output = square.model(square.inputs["pixel_values"])
    masks = torch.from_numpy(wanted["whole.pred_masks"])
    assert_close(output.pred_masks[..., ::2, ::2], masks)
    assert_close(output.iou_scores, torch.from_numpy(wanted["whole.iou_scores"]))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["points", "boxes", "masks"])
def test_embeddings_of_each_kind_of_prompt_are_those_of_the_reference(
    square: Golden, frozen: Callable[[str], Any], kind: str
) -> None:
    wanted = {key: torch.from_numpy(value) for key, value in frozen("network.npz").items()}
    names = {"points": ["input_points", "input_labels"], "boxes": ["input_boxes"]}
    given = {name: square.inputs[name] for name in names.get(kind, ["input_masks"])}
    sparse, dense = square.model.get_prompt_embeddings(**given)
    torch.testing.assert_close(sparse, wanted[f"{kind}.sparse"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dense[:, :, 0], wanted[f"{kind}.dense"], atol=1e-5, rtol=1e-5)
