"""`SamPredictor` gives what the network, its processor and post-processing give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from samari.errors import InputError, WeightsError
from samari.sam import SamImageProcessor, SamPredictor, SamProcessor, predictor, sam_model_registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from samari.sam import SamModel

SHAPE = (48, 70)
POINTS = np.array([[20.0, 30.0], [60.0, 10.0]])
LABELS = np.array([1, 0])
BOX = np.array([5.0, 6.0, 50.0, 40.0])


@pytest.fixture
def model(small_model: Callable[..., SamModel]) -> SamModel:
    return small_model()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture
def ready(model: SamModel, image: np.ndarray) -> SamPredictor:
    found = SamPredictor(model)
    found.set_image(image)
    return found


def _by_hand(
    model: SamModel, image: np.ndarray, multimask: bool, binarize: bool, **prompts: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Do it with `SamProcessor`, `SamModel` and `post_process_masks`."""
    masks = prompts.pop("input_masks", None)
    processor = SamProcessor(SamImageProcessor.from_model_config(model.config.to_dict()))
    inputs = processor(image, return_tensors="pt", **prompts)
    with torch.inference_mode():
        output = model(**inputs, input_masks=masks, multimask_output=multimask)
    (full,) = processor.post_process_masks(
        output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"],
        binarize=binarize,
    )  # fmt: skip
    return full[0].numpy(), output.iou_scores[0, 0].numpy(), output.pred_masks[0, 0].numpy()


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize(
    ("named", "prompts"),
    [
        (
            {"point_coords": POINTS, "point_labels": LABELS},
            {"input_points": [[POINTS.tolist()]], "input_labels": [[LABELS.tolist()]]},
        ),
        ({"box": BOX}, {"input_boxes": [[BOX.tolist()]]}),
        (
            {"point_coords": POINTS, "point_labels": LABELS, "box": BOX[None]},
            {
                "input_points": [[POINTS.tolist()]],
                "input_labels": [[LABELS.tolist()]],
                "input_boxes": [[BOX.tolist()]],
            },
        ),
    ],
    ids=["points", "box", "points and box"],
)
def test_predictions_are_those_of_the_network(
    ready: SamPredictor, image: np.ndarray, named: Any, prompts: Any, multimask: bool
) -> None:
    wanted = _by_hand(ready.model, image, multimask, False, **prompts)
    logits, scores, low = ready.predict(**named, multimask_output=multimask, return_logits=True)
    assert logits.shape == (3 if multimask else 1, *SHAPE)
    assert low.shape == (len(logits), 32, 32)
    for found, expected in zip((logits, scores, low), wanted, strict=True):
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= 1e-4 * expected.std() + 1e-6
    masks, *_ = ready.predict(**named, multimask_output=multimask)
    assert masks.dtype == bool
    assert np.array_equal(masks, logits > 0)


def test_an_earlier_mask_is_a_prompt(ready: SamPredictor, image: np.ndarray) -> None:
    low = ready.predict(POINTS, LABELS)[2][:1]
    wanted = _by_hand(
        ready.model, image, True, False, input_points=[[POINTS.tolist()]],
        input_labels=[[LABELS.tolist()]], input_masks=torch.from_numpy(low)[None],
    )  # fmt: skip
    found = ready.predict(POINTS, LABELS, mask_input=low, return_logits=True)
    for first, second in zip(found, wanted, strict=True):
        assert np.abs(first - second).max() <= 1e-4 * second.std() + 1e-6
    assert not np.allclose(found[2], ready.predict(POINTS, LABELS)[2])


def test_many_boxes_are_predicted_at_once(ready: SamPredictor) -> None:
    boxes = torch.from_numpy(np.stack([BOX, BOX / 2, BOX + 5]))
    scaled = ready.transform.apply_boxes_torch(boxes, SHAPE)
    low = torch.zeros(3, 1, 32, 32)
    low[1] = 5
    together = ready.predict_torch(None, None, scaled, low, multimask_output=False)
    assert together[0].shape == (3, 1, *SHAPE)
    assert together[0].dtype == torch.bool
    for i, box in enumerate(boxes):
        alone = ready.predict(box=box.numpy(), mask_input=low[i].numpy(), multimask_output=False)
        assert np.abs(together[2][i].numpy() - alone[2]).max() < 1e-4


def test_points_in_the_frame_are_those_of_the_image(ready: SamPredictor) -> None:
    coords = ready.transform.apply_coords(POINTS, SHAPE)
    assert np.allclose(coords, POINTS * [64 / 70, 44 / 48])
    torch_coords = ready.transform.apply_coords_torch(torch.from_numpy(POINTS), SHAPE)
    assert np.allclose(torch_coords.numpy(), coords)
    labels = torch.from_numpy(LABELS)[None]
    masks, scores, _ = ready.predict_torch(torch_coords[None], labels)
    wanted = ready.predict(POINTS, LABELS)
    assert np.array_equal(masks[0].numpy(), wanted[0])
    assert np.allclose(scores[0].numpy(), wanted[1])


def test_the_channels_may_be_the_other_way_round(ready: SamPredictor, image: np.ndarray) -> None:
    features = ready.get_image_embedding()
    assert features.shape == (1, 16, 8, 8)
    ready.set_image(image[..., ::-1], image_format="BGR")
    assert ready.get_image_embedding().equal(features)
    ready.set_image(image[..., ::-1])
    assert not ready.get_image_embedding().equal(features)


def test_a_resized_tensor_is_the_same_image(ready: SamPredictor, image: np.ndarray) -> None:
    features = ready.features
    resized = ready.transform.apply_image(image)
    assert resized.shape == (44, 64, 3)
    pixels = torch.from_numpy(resized.transpose(2, 0, 1).copy())[None]
    ready.set_torch_image(pixels, SHAPE)
    assert ready.features.equal(features)
    assert ready.original_size == SHAPE
    assert ready.input_size == (44, 64)
    by_torch = ready.transform.apply_image_torch(torch.from_numpy(image).permute(2, 0, 1)[None] / 1)
    assert by_torch.shape == pixels.shape
    assert (by_torch - pixels).abs().max() < 2


def test_the_second_image_is_the_same_with_or_without_the_first(
    ready: SamPredictor, image: np.ndarray
) -> None:
    """Trap 15 and trap 19: two images of different size used in turn."""
    other = np.ascontiguousarray(image[:20, :30])
    ready.set_image(other)
    fresh = SamPredictor(ready.model)
    fresh.set_image(other)
    for first, second in zip(
        ready.predict(POINTS[:1] / 4, LABELS[:1]), fresh.predict(POINTS[:1] / 4, LABELS[:1]),
        strict=True,
    ):  # fmt: skip
        assert np.array_equal(first, second)


def test_without_an_image_there_is_no_prediction(model: SamModel, image: np.ndarray) -> None:
    found = SamPredictor(model)
    assert not found.is_image_set
    for ask in (
        found.get_image_embedding,
        lambda: found.predict(box=BOX),
        lambda: found.predict_torch(None, None),
    ):
        with pytest.raises(InputError, match="set_image"):
            ask()
    found.set_image(image)
    assert found.is_image_set
    found.reset_image()
    assert not found.is_image_set
    assert found.features is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, i: p.set_image(i[..., 0]), r"\(H, W, 3\).*\(48, 70\)"),
        (lambda p, i: p.set_image(i / 255), "uint8.*float64"),
        (lambda p, i: p.set_image(i, "RGBA"), "'RGBA'"),
        (lambda p, i: p.set_torch_image(torch.zeros(1, 3, 8, 8), SHAPE), "longer side of 64"),
        (lambda p, i: p.predict(POINTS), "together"),
        (lambda p, i: p.predict(POINTS, LABELS[:1]), r"\(2, 2\) and \(1,\)"),
        (lambda p, i: p.predict(box=[1, 2, 3]), "x0, y0, x1, y1"),
        (lambda p, i: p.predict(box=BOX, mask_input=np.zeros((1, 8, 8))), r"\(32, 32\) pixels"),
    ],
)
def test_what_does_not_fit_is_a_named_error(
    ready: SamPredictor, image: np.ndarray, call: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(ready, image)


def test_the_registry_builds_networks_from_checkpoints(
    model: SamModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(sam_model_registry) == {"default", "vit_b", "vit_h", "vit_l"}
    model.save_pretrained(tmp_path)
    checkpoint = tmp_path / "sam_vit_b_01ec64.pth"
    torch.save(model.state_dict(), checkpoint)
    with pytest.raises(WeightsError, match="does not fit"):
        sam_model_registry["vit_b"](checkpoint=checkpoint)
    monkeypatch.setattr(predictor, "vit_config", lambda size: model.config)
    found = sam_model_registry["vit_b"](checkpoint=str(checkpoint))
    found.to(device="cpu")
    assert all(found.state_dict()[key].equal(v) for key, v in model.state_dict().items())
    assert sam_model_registry["default"]().config == model.config
