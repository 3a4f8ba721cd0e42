"""`TFSamModel` and tensors of TensorFlow; run by ``make test-tf``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from samari.errors import InputError
from samari.sam import SamConfig, SamImageProcessor, SamModel, SamProcessor
from samari.sam.tf import TFSamModel

tf = pytest.importorskip(
    "tensorflow", reason="TensorFlow has an environment of its own: make test-tf"
)


GOLDEN = Path(__file__).parents[1] / "golden"
POINTS = ("pixel_values", "input_points", "input_labels")


@pytest.fixture(scope="module")
def model() -> TFSamModel:
    """The golden network, from the file that the reference's TFSamModel saved."""
    return TFSamModel.from_pretrained(GOLDEN / "tf")


@pytest.fixture(scope="module")
def cases() -> dict[str, np.ndarray]:
    """Inputs and the reference's outputs."""
    tensors = load_file(GOLDEN / "square.cases.safetensors")
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _inputs(cases: dict[str, np.ndarray], *names: str) -> dict[str, Any]:
    return {name: tf.constant(cases[f"in.{name}"]) for name in names}


def _close(found: Any, wanted: np.ndarray) -> None:
    assert isinstance(found, tf.Tensor)
    assert found.dtype == tf.float32
    assert found.shape == wanted.shape
    assert np.abs(found.numpy() - wanted).max() <= 1e-4


@pytest.mark.parametrize("convert", [tf.constant, np.asarray, tf.Variable])
def test_masks_of_points_are_those_of_the_reference(
    model: TFSamModel, cases: dict[str, np.ndarray], convert: Any
) -> None:
    inputs = {name: convert(cases[f"in.{name}"]) for name in POINTS}
    for output in (model(**inputs), model(inputs), model.call(*inputs.values())):
        _close(output.pred_masks, cases["out.points.pred_masks"])
        _close(output["iou_scores"], cases["out.points.iou_scores"])


@pytest.mark.parametrize(
    ("case", "names", "multimask"),
    [
        ("points_single", POINTS, False),
        ("points_nolabel", POINTS[:2], True),
        ("boxes", ("pixel_values", "input_boxes"), True),
        ("points_boxes", (*POINTS, "input_boxes"), False),
    ],
)
def test_other_prompts_are_those_of_the_reference(
    model: TFSamModel,
    cases: dict[str, np.ndarray],
    case: str,
    names: tuple[str, ...],
    multimask: bool,
) -> None:
    output = model(**_inputs(cases, *names), multimask_output=multimask)
    _close(output.pred_masks, cases[f"out.{case}.pred_masks"])
    _close(output.iou_scores, cases[f"out.{case}.iou_scores"])


def test_masks_as_prompts_on_an_embedding_are_those_of_the_reference(
    model: TFSamModel, cases: dict[str, np.ndarray]
) -> None:
    inputs = _inputs(cases, *POINTS, "input_masks")
    embedding = model.get_image_embeddings(inputs.pop("pixel_values"))
    assert isinstance(embedding, tf.Tensor)
    output = model(image_embeddings=embedding, **inputs)
    _close(output.pred_masks, cases["out.masks.pred_masks"])


def test_every_output_is_a_tensorflow_tensor(
    model: TFSamModel, cases: dict[str, np.ndarray]
) -> None:
    output = model(**_inputs(cases, *POINTS), output_attentions=True, output_hidden_states=True)
    layers = model.config.vision_config.num_hidden_layers
    assert len(output.vision_hidden_states) == layers + 1
    assert len(output.vision_attentions) == layers
    for field in (
        output.vision_hidden_states, output.vision_attentions, output.mask_decoder_attentions
    ):  # fmt: skip
        assert all(isinstance(tensor, tf.Tensor) for tensor in field)
    plain = model(**_inputs(cases, *POINTS), return_dict=False)
    assert isinstance(plain, tuple)
    assert all(isinstance(tensor, tf.Tensor) for tensor in plain)


def test_embeddings_are_those_of_the_torch_network(
    model: TFSamModel, cases: dict[str, np.ndarray]
) -> None:
    twin = SamModel.from_pretrained(GOLDEN / "tf")
    prompts = _inputs(cases, *POINTS[1:])
    found = model.get_prompt_embeddings(**prompts)
    with torch.inference_mode():
        wanted = twin.get_prompt_embeddings(
            **{key: torch.from_numpy(value.numpy()) for key, value in prompts.items()}
        )
        positions = twin.get_image_wide_positional_embeddings()
    for first, second in zip(found, wanted, strict=True):
        _close(first, second.detach().numpy())
    _close(model.get_image_wide_positional_embeddings(), positions.numpy())


def test_processor_network_and_post_processing_speak_tensorflow(model: TFSamModel) -> None:
    processor = SamProcessor(SamImageProcessor.from_model_config(model.config.to_dict()))
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    labels = (image[..., 0] > 128).astype(np.uint8)
    inputs = processor(
        image, segmentation_maps=labels, input_points=[[[12, 20]]], return_tensors="tf"
    )
    assert all(isinstance(value, tf.Tensor) for value in inputs.values())
    output = model(inputs)
    (masks,) = processor.post_process_masks(
        output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"],
        return_tensors="tf",
    )  # fmt: skip
    assert isinstance(masks, tf.Tensor)
    assert masks.dtype == tf.bool
    assert masks.shape == (1, 3, 40, 30)
    boxes, points, crops, ones = processor.image_processor.generate_crop_boxes(
        image, 64, 1, return_tensors="tf"
    )
    assert all(isinstance(value, tf.Tensor) for value in (boxes, points, ones))
    assert len(crops) == len(boxes) == 5


def test_what_is_saved_loads_as_both(model: TFSamModel, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    for loaded in (
        TFSamModel.from_pretrained(tmp_path, from_pt=True).model,
        SamModel.from_pretrained(tmp_path),
    ):
        state = loaded.state_dict()
        assert all(state[key].equal(value) for key, value in model.model.state_dict().items())


def test_a_new_network_has_random_weights(model: TFSamModel) -> None:
    new = TFSamModel(SamConfig.from_dict(model.config.to_dict()))
    assert new.config == model.config
    assert not new.model.training


def test_what_cannot_be_done_is_a_named_error(
    model: TFSamModel, cases: dict[str, np.ndarray]
) -> None:
    inputs = _inputs(cases, *POINTS)
    with pytest.raises(InputError, match="only predicts"):
        model(**inputs, training=True)
    with pytest.raises(TypeError, match="'input_point'"):
        model(**inputs, input_point=1)
    with pytest.raises(ValueError, match="input_points must be"):
        model(inputs["pixel_values"], inputs["input_points"][0])
