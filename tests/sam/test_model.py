from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from samari.sam import SamConfig, SamImageSegmentationOutput, SamModel, SamProcessor, vit_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Golden

    Make = Callable[..., SamModel]


@pytest.mark.parametrize("size", ["base", "large", "huge"])
def test_keys_and_shapes_are_those_of_the_published_networks(size: str) -> None:
    transformers = pytest.importorskip("transformers", reason="the reference is not installed")
    config = vit_config(size)
    with torch.device("meta"):
        ours = SamModel(config).state_dict()
        reference = transformers.SamModel(
            transformers.SamConfig.from_dict(config.to_dict())
        ).state_dict()
    assert {k: tuple(v.shape) for k, v in ours.items()} == {
        k: tuple(v.shape) for k, v in reference.items()
    }


def test_keys_and_shapes_of_a_small_network_are_those_of_the_reference(small_model: Make) -> None:
    transformers = pytest.importorskip("transformers", reason="the reference is not installed")
    ours = small_model(rate=2, use_abs_pos=False)
    with torch.device("meta"):
        reference = transformers.SamModel(
            transformers.SamConfig.from_dict(ours.config.to_dict())
        ).state_dict()
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in reference.items()
    }


def test_the_downsample_rate_holds_for_every_attention_between_tokens_and_image(
    small_model: Make,
) -> None:
    """The reference's blocks ignore it and always halve the width; ours do as documented."""
    for rate, width in [(1, 16), (2, 8), (4, 4)]:
        transformer = small_model(rate=rate).mask_decoder.transformer
        block = transformer.layers[1]
        assert block.cross_attn_token_to_image.q_proj.out_features == width
        assert block.cross_attn_image_to_token.q_proj.out_features == width
        assert transformer.final_attn_token_to_image.q_proj.out_features == width
        assert block.self_attn.q_proj.out_features == 16


def test_the_position_matrix_is_one_and_has_both_published_names(small_model: Make) -> None:
    model = small_model()
    state = model.state_dict()
    names = [
        "shared_image_embedding.positional_embedding",
        "prompt_encoder.shared_embedding.positional_embedding",
    ]
    assert state[names[0]].data_ptr() == state[names[1]].data_ptr()
    model = model.double()
    assert model.shared_image_embedding is model.prompt_encoder.shared_embedding
    assert not dict(model.named_parameters()).keys() & set(names)


@torch.no_grad()
def test_outputs_are_read_by_attribute_key_index_and_unpacking(square: Golden) -> None:
    given = square.inputs
    output = square.model(given["pixel_values"], given["input_points"])
    assert isinstance(output, SamImageSegmentationOutput)
    assert output["iou_scores"] is output.iou_scores is output[0]
    assert output["pred_masks"] is output.pred_masks is output[1]
    assert list(output.keys()) == ["iou_scores", "pred_masks"]
    assert "vision_attentions" not in output
    assert output.vision_attentions is None
    scores, masks = output[:2]
    assert masks is output.pred_masks
    assert scores is output.iou_scores
    assert dict(output)["pred_masks"] is masks
    with pytest.raises(KeyError):
        output["vision_attentions"]


@torch.no_grad()
def test_a_plain_tuple_has_the_same_order(square: Golden) -> None:
    given = square.inputs
    for extra, length in [({}, 2), ({"output_hidden_states": True}, 3)]:
        assert len(square.model(given["pixel_values"], return_dict=False, **extra)) == length
    output = square.model(
        given["pixel_values"],
        given["input_points"],
        output_attentions=True,
        output_hidden_states=True,
        return_dict=False,
    )
    scores, masks, hidden, attentions, decoder = output
    assert scores.shape == (2, 3, 3)
    assert masks.shape == (2, 3, 3, 32, 32)
    assert [tuple(x.shape) for x in hidden] == [(2, 8, 8, 32)] * 4
    assert len(attentions) == 3
    assert [tuple(x.shape) for x in decoder] == [(6, 1, 64, 32)] * 2


@torch.no_grad()
def test_the_configuration_may_ask_for_hidden_states(small_model: Make) -> None:
    model = small_model()
    model.config.extra.update(output_hidden_states=True, output_attentions=True)
    output = model(torch.zeros(1, 3, 64, 64))
    assert len(output.vision_hidden_states) == 4
    assert len(output.vision_attentions) == 3
    assert model(torch.zeros(1, 3, 64, 64), output_attentions=False).vision_attentions is None


@torch.no_grad()
def test_a_batch_is_its_images_one_by_one(square: Golden) -> None:
    names = ["pixel_values", "input_points", "input_labels", "input_boxes", "input_masks"]
    given = {name: square.inputs[name] for name in names}
    both = square.model(**given)
    for index in range(2):
        one = square.model(**{name: value[index : index + 1] for name, value in given.items()})
        torch.testing.assert_close(one.pred_masks[0], both.pred_masks[index], atol=1e-4, rtol=0)
        torch.testing.assert_close(one.iou_scores[0], both.iou_scores[index], atol=1e-5, rtol=0)


@torch.no_grad()
def test_prompts_on_one_image_do_not_see_each_other(square: Golden) -> None:
    given = square.inputs
    together = square.model(given["pixel_values"], given["input_points"]).pred_masks
    for index in range(3):
        alone = square.model(given["pixel_values"], given["input_points"][:, index : index + 1])
        torch.testing.assert_close(alone.pred_masks[:, 0], together[:, index], atol=1e-4, rtol=0)


@torch.no_grad()
def test_each_prompt_may_have_a_mask_of_its_own(square: Golden) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.randn(2, 3, 32, 32, generator=generator)
    points, embedding = square.inputs["input_points"], square.outputs["image_embeddings"]
    together = square.model(image_embeddings=embedding, input_points=points, input_masks=masks)
    for index in range(3):
        alone = square.model(
            image_embeddings=embedding,
            input_points=points[:, index : index + 1],
            input_masks=masks[:, index : index + 1],
        )
        torch.testing.assert_close(
            alone.pred_masks[:, 0], together.pred_masks[:, index], atol=1e-4, rtol=0
        )


@torch.no_grad()
def test_padding_points_change_nothing_but_rounding(square: Golden) -> None:
    pixels, boxes = square.inputs["pixel_values"], square.inputs["input_boxes"]
    points = square.inputs["input_points"]
    elsewhere = torch.where(torch.arange(4).reshape(1, 1, 4, 1) < 2, points, 50 - points)
    labels = torch.tensor([1, 0, -10, -10]).expand(2, 3, 4)
    first = square.model(pixels, points, labels, boxes)
    second = square.model(pixels, elsewhere, labels, boxes)
    assert torch.equal(first.pred_masks, second.pred_masks)


@torch.no_grad()
def test_no_prompt_at_all_gives_masks_of_the_whole_image(square: Golden) -> None:
    output = square.model(square.inputs["pixel_values"])
    assert output.pred_masks.shape == (2, 1, 3, 32, 32)
    sparse, dense = square.model.get_prompt_embeddings()
    assert sparse.shape == (1, 1, 1, 32)
    assert not sparse.any()
    assert dense.shape == (1, 32, 8, 8)


def wrong(name: str, shape: tuple[int, ...], **others: tuple[int, ...]) -> Any:
    return pytest.param({name: shape, **others}, shape, id=f"{name}-{shape}")


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        wrong("pixel_values", (3, 64, 64)),
        wrong("pixel_values", (2, 1, 64, 64)),
        wrong("pixel_values", (2, 3, 60, 64)),
        wrong("pixel_values", (2, 3, 128, 64)),
        wrong("pixel_values", (2, 3, 0, 64)),
        wrong("input_points", (2, 3, 2)),
        wrong("input_points", (2, 3, 4, 3)),
        wrong("input_points", (3, 1, 1, 2)),
        wrong("input_labels", (2, 1, 5), input_points=(2, 1, 4, 2)),
        wrong("input_labels", (2, 1, 4)),
        wrong("input_boxes", (2, 4)),
        wrong("input_boxes", (2, 1, 5)),
        wrong("input_boxes", (1, 3, 4)),
        wrong("input_boxes", (2, 2, 4), input_points=(2, 3, 1, 2)),
        wrong("input_masks", (2, 32, 32)),
        wrong("input_masks", (1, 1, 32, 32)),
        wrong("input_masks", (2, 1, 64, 64)),
        wrong("input_masks", (2, 2, 32, 32), input_points=(2, 3, 1, 2)),
    ],
)
def test_wrong_shapes_are_value_errors_that_name_them(
    small_model: Make, shapes: dict[str, tuple[int, ...]], named: tuple[int, ...]
) -> None:
    given = {"pixel_values": (2, 3, 64, 64), **shapes}
    with pytest.raises(ValueError, match=r"\(") as error:
        small_model()(**{name: torch.zeros(shape) for name, shape in given.items()})
    assert str(named) in str(error.value)


def test_neither_or_both_of_image_and_embedding_is_an_error(small_model: Make) -> None:
    model = small_model()
    with pytest.raises(ValueError, match="either pixel_values or image_embeddings"):
        model(input_points=torch.zeros(1, 1, 1, 2))
    with pytest.raises(ValueError, match="not both"):
        model(torch.zeros(1, 3, 64, 64), image_embeddings=torch.zeros(1, 16, 8, 8))


@torch.no_grad()
def test_what_the_processor_adds_is_accepted_and_a_misspelt_argument_is_not(
    small_model: Make,
) -> None:
    model, pixels = small_model(), torch.zeros(1, 3, 64, 64)
    model(pixels, original_sizes=None, reshaped_input_sizes=None)
    with pytest.raises(TypeError, match="'input_point'"):
        model(pixels, input_point=None)


def test_parts_that_do_not_fit_together_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"mask_decoder_config.hidden_size': 128"):
        SamModel(SamConfig(mask_decoder_config={"hidden_size": 128}))
    with pytest.raises(ValueError, match=r"\(1024, 16\) and \(512, 16\)"):
        SamModel(SamConfig(prompt_encoder_config={"image_size": 512}))


def test_heads_that_do_not_divide_the_width_are_an_error() -> None:
    with torch.device("meta"), pytest.raises(ValueError, match="num_attention_heads 7"):
        SamModel(SamConfig(mask_decoder_config={"num_attention_heads": 7}))
    with pytest.raises(ValueError, match="num_attention_heads 7"):
        SamModel(SamConfig(vision_config={"num_attention_heads": 7}))


def test_an_unknown_activation_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"\['gelu', 'relu', .*'swish2'"):
        SamModel(SamConfig(vision_config={"hidden_act": "swish2"}))


def test_gradients_reach_every_weight(small_model: Make) -> None:
    model = small_model(attention_dropout=0.1).train()
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(2, 3, 64, 64, generator=generator)
    points = torch.rand(2, 3, 3, 2, generator=generator) * 64
    labels = torch.tensor([1, 0, -1]).expand(2, 3, 3)
    boxes = torch.tensor([4.0, 4.0, 40.0, 40.0]).expand(2, 3, 4)
    loss = torch.zeros(())
    for multimask in (True, False):
        output = model(pixels, points, labels, boxes, multimask_output=multimask)
        loss = loss + output.pred_masks.square().mean() + output.iou_scores.square().mean()
    masks = model(pixels, points, input_masks=torch.randn(2, 3, 32, 32, generator=generator))
    (loss + masks.pred_masks.square().mean()).backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def test_one_image_is_overfitted_in_thirty_steps(small_model: Make) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = small_model(use_abs_pos=False).train()
        rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
        disc = ((rows - 24) ** 2 + (columns - 38) ** 2 < 14**2).float()
        pixels = (disc + 0.3 * torch.randn(3, 64, 64)).unsqueeze(0)
        target = disc[1::2, 1::2]
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
        overlap = 0.0
        for _ in range(30):
            logits = model(
                pixels, torch.tensor([[[[38.0, 24.0]]]]), multimask_output=False
            ).pred_masks[0, 0, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            mask = logits > 0
            overlap = float((mask & (target > 0)).sum() / (mask | (target > 0)).sum())
    assert overlap > 0.9


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_other_precisions_give_nearly_the_same_masks(
    square: Golden, dtype: torch.dtype, device: str
) -> None:
    """On every device of this machine, in every precision that the device has."""
    if device != "cpu" and not getattr(torch, device).is_available():
        pytest.skip(f"this machine has no {device}")
    try:
        torch.nn.functional.conv2d(*[torch.ones(1, 1, 2, 2, device=device, dtype=dtype)] * 2)
    except (RuntimeError, TypeError) as error:
        pytest.skip(f"{device} does not compute in {dtype} with torch {torch.__version__}: {error}")
    model = square.model.to(device, dtype)
    output = model(
        square.inputs["pixel_values"].to(device, dtype), square.inputs["input_points"].to(device)
    )
    assert output.pred_masks.dtype == dtype == model.dtype
    assert output.pred_masks.device.type == device == model.device.type
    wanted = square.outputs["points_nolabel.pred_masks"]
    error = (output.pred_masks.cpu().float() - wanted).square().mean().sqrt() / wanted.std()
    assert error < (0.05 if dtype == torch.bfloat16 else 0.005)


@torch.no_grad()
@pytest.mark.parametrize(("size", "patch"), [(96, 16), (128, 8), (48, 8)])
def test_other_image_sizes_work_in_batches(small_model: Make, size: int, patch: int) -> None:
    model = small_model(image_size=size, patch_size=patch)
    side = 4 * size // patch
    points = torch.full((3, 2, 1, 2), size / 3)
    output = model(torch.zeros(3, 3, size, size), points)
    assert output.pred_masks.shape == (3, 2, 3, side, side)
    assert output.iou_scores.shape == (3, 2, 3)


@torch.no_grad()
def test_one_call_moves_the_network_to_a_device_and_a_dtype(square: Golden) -> None:
    model = square.model.to("cpu", torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert model.device == torch.device("cpu")
    given = square.inputs
    output = model(
        given["pixel_values"].to(model.dtype),
        given["input_points"],
        given["input_labels"],
        given["input_boxes"],
        given["input_masks"].to(model.dtype),
    )
    assert output.pred_masks.dtype == torch.bfloat16
    assert output.pred_masks.isfinite().all()


@torch.no_grad()
def test_a_saved_network_comes_back_the_same(square: Golden, tmp_path: Path) -> None:
    square.model.save_pretrained(tmp_path / "saved")
    again = SamModel.from_pretrained(tmp_path / "saved")
    assert not again.training
    assert again.config == square.config
    state = again.state_dict()
    for name, value in square.model.state_dict().items():
        assert torch.equal(state[name], value)
    half = SamModel.from_pretrained(str(tmp_path / "saved"), torch_dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16


@torch.no_grad()
def test_processor_network_and_post_processing_work_together(tiny_model_folder: Path) -> None:
    model = SamModel.from_pretrained(tiny_model_folder)
    processor = SamProcessor.from_pretrained(tiny_model_folder)
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    inputs = processor(image, input_points=[[[45, 20]]], return_tensors="pt").to("cpu")
    outputs = model(**inputs)
    masks = processor.image_processor.post_process_masks(
        outputs.pred_masks.cpu(), inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    assert masks[0].shape == (1, 3, 50, 70)
    assert masks[0].dtype == torch.bool


def test_positions_are_exact_where_products_are_in_half_precision(square: Golden) -> None:
    """As in training under autocast: in bfloat16 neighbouring pixels have one code."""
    places = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    code = square.model.shared_image_embedding
    with torch.autocast("cpu", torch.bfloat16):
        narrow = code(places)
    assert torch.equal(narrow, code(places))
