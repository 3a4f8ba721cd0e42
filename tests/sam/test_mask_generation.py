from __future__ import annotations

import base64
import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from samari.sam import MaskGenerationPipeline, SamImageProcessor, SamModel, pipeline
from samari.sam.mask_generation import load_image
from samari.sam.masks import decode_rle
from samari.sam.vision_encoder import SamVisionEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from .conftest import Golden

#: Lets masks of a random network pass.
LOOSE = {
    "points_per_crop": 8,
    "pred_iou_thresh": -1.0,
    "stability_score_thresh": 0.05,
    "stability_score_offset": 0.1,
    "mask_threshold": 1.4,
    "crops_nms_thresh": 0.9,
}


@pytest.fixture
def generator(square: Golden) -> MaskGenerationPipeline:
    return MaskGenerationPipeline(square.model, SamImageProcessor(size=64, pad_size=64))


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute by the plain modules: they add up in the order of the reference."""
    monkeypatch.setattr(SamModel, "_may_hurry", False)
    monkeypatch.setattr(SamVisionEncoder, "_may_hurry", lambda self: False)


@pytest.fixture(params=["plain", "quick"])
def most(request: pytest.FixtureRequest) -> int:
    """Compute in both ways; give how many masks of a test may be another one of the same object.

    The quick way adds up in another order: where two candidates have one score within float32, that
    decides which of them suppresses the other.
    """
    if request.param == "quick":
        return 1
    request.getfixturevalue("plainly")
    return 0


def assert_same(output: dict[str, Any], arrays: dict[str, np.ndarray], name: str) -> int:
    """Compare with a frozen output: order, scores, boxes, masks.

    Returns the number of masks that are another one of the same object.
    """
    scores, boxes = arrays[f"{name}.scores"], arrays[f"{name}.boxes"].reshape(-1, 4)
    assert len(output["masks"]) == len(scores), name
    np.testing.assert_allclose(output["scores"], scores, atol=1e-5, rtol=0, err_msg=name)
    counts = np.split(arrays[f"{name}.counts"], np.cumsum(arrays[f"{name}.lengths"])[:-1])
    found = zip(output["masks"], output["rle_mask"], output["bounding_boxes"], strict=True)
    others = 0
    for (mask, run, box), wanted, wanted_box in zip(found, counts, boxes, strict=False):
        assert mask.dtype == bool
        different = mask != decode_rle({"size": run["size"], "counts": wanted.tolist()})
        if different.any():
            assert different.mean() < 0.01, name
            others += 1
        else:
            np.testing.assert_array_equal(box, wanted_box, err_msg=name)
            assert run["counts"] == wanted.tolist()
    return others


def test_masks_of_twenty_images_are_those_of_the_reference(
    generator: MaskGenerationPipeline,
    reference_inputs: ModuleType,
    frozen: Callable[[str], Any],
    most: int,
) -> None:
    arrays, total, others = frozen("pipeline.npz"), 0, 0
    cases = reference_inputs.pipeline_cases()
    assert len(cases) == 20
    for index, case in enumerate(cases):
        output = generator(
            case.image, output_rle_mask=True, output_bboxes_mask=True, **case.arguments
        )
        others += assert_same(output, arrays, str(index))
        assert all(mask.shape == case.image.size[::-1] for mask in output["masks"])
        total += len(output["masks"])
    assert total > 150
    assert others <= most


@pytest.mark.parametrize("layers", [1, 2])
def test_masks_of_crops_are_those_of_the_reference_put_together_by_hand(
    generator: MaskGenerationPipeline,
    reference_inputs: ModuleType,
    frozen: Callable[[str], Any],
    plainly: None,
    layers: int,
) -> None:
    """The reference's own pipeline raises with crops; its steps do not."""
    arrays, from_crops, others = frozen("crop_masks.npz"), 0, 0
    cases = reference_inputs.crop_cases()
    assert len(cases) == 20
    for index, case in enumerate(cases):
        output = generator(
            case.image,
            crops_n_layers=layers,
            output_rle_mask=True,
            output_bboxes_mask=True,
            **case.arguments,
        )
        others += assert_same(output, arrays, f"{index}.{layers}")
        whole = generator(case.image, output_bboxes_mask=True, **case.arguments)
        found = set(map(tuple, output["bounding_boxes"].tolist()))
        from_crops += len(found - set(map(tuple, whole["bounding_boxes"].tolist())))
    assert from_crops > 50
    assert not others


def test_boxes_of_crops_are_those_of_their_masks_in_the_image(
    generator: MaskGenerationPipeline, reference_inputs: ModuleType
) -> None:
    case = reference_inputs.crop_cases()[3]
    output = generator(case.image, crops_n_layers=2, output_bboxes_mask=True, **case.arguments)
    assert len(output["masks"]) > 1
    for mask, (x0, y0, x1, y1) in zip(
        output["masks"], output["bounding_boxes"].tolist(), strict=True
    ):
        rows, columns = np.nonzero(mask)
        assert (columns.min(), rows.min(), columns.max(), rows.max()) == (x0, y0, x1, y1)


@pytest.mark.parametrize("at_once", [1, 7, 64, None])
def test_the_number_of_points_at_a_time_changes_nothing(
    generator: MaskGenerationPipeline, reference_inputs: ModuleType, at_once: int | None
) -> None:
    """The reference loses the image when batches do not come out even."""
    image = reference_inputs.pipeline_cases()[8].image
    wanted = generator(image, points_per_batch=16, **LOOSE)
    found = generator(image, points_per_batch=at_once, **LOOSE)
    assert len(found["masks"]) == len(wanted["masks"]) > 3
    torch.testing.assert_close(found["scores"], wanted["scores"], atol=1e-5, rtol=0)


def test_no_mask_at_all_is_an_empty_result(generator: MaskGenerationPipeline) -> None:
    """Trap 18."""
    for layers in (0, 1):
        output = generator(
            np.zeros((30, 40, 3), np.uint8),
            pred_iou_thresh=1e9,
            crops_n_layers=layers,
            points_per_crop=4,
            output_rle_mask=True,
            output_bboxes_mask=True,
        )
        assert output["masks"] == output["rle_mask"] == []
        assert output["scores"].shape == (0,)
        assert output["bounding_boxes"].shape == (0, 4)


def test_masks_of_nothing_and_of_everything_are_no_error(generator: MaskGenerationPipeline) -> None:
    """Trap 18. The reference fails on masks without an edge."""
    image = np.zeros((30, 40, 3), np.uint8)
    loose = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "points_per_crop": 2}
    for threshold, filled in [(1e6, False), (-1e6, True)]:
        output = generator(image, mask_threshold=threshold, output_rle_mask=True, **loose)
        assert len(output["masks"]) >= 1
        assert all(mask.all() == filled == mask.any() for mask in output["masks"])


def test_rle_and_boxes_come_only_when_asked_for(generator: MaskGenerationPipeline) -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    assert set(generator(image, **LOOSE)) == {"masks", "scores"}
    assert set(generator([image, image], output_rle_mask=True, **LOOSE)[1]) == {
        "masks",
        "scores",
        "rle_mask",
    }


def test_steps_tell_how_many_points_are_done(generator: MaskGenerationPipeline) -> None:
    steps = generator.steps(
        np.zeros((60, 60, 3), np.uint8),
        points_per_crop=4,
        points_per_batch=10,
        crops_n_layers=1,
        crop_n_points_downscale_factor=2,
    )
    assert list(steps) == [(10, 32), (16, 32), (20, 32), (24, 32), (28, 32), (32, 32)]


def test_wrong_arguments_are_named_errors(generator: MaskGenerationPipeline) -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    with pytest.raises(TypeError, match="'pred_iou_threshold'"):
        generator(image, pred_iou_threshold=0.5)
    with pytest.raises(ValueError, match="points_per_batch must be at least 1, got 0"):
        generator(image, points_per_batch=0)
    with pytest.raises(ValueError, match="crops_n_layers must be at least 0, got -1"):
        generator(image, crops_n_layers=-1)
    with pytest.raises(ValueError, match="'image-classification'"):
        pipeline("image-classification")


def test_a_pipeline_is_made_from_a_folder_or_a_network(
    tiny_model_folder: Path, square: Golden
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for model in (tiny_model_folder, str(tiny_model_folder), square.model):
        generate = pipeline("mask-generation", model=model, device=-1, points_per_batch=32, **LOOSE)
        assert generate.image_processor.size == {"longest_edge": 64}
        assert generate.settings["points_per_batch"] == 32
        assert not generate.model.training
        assert "masks" in generate(image)


def test_half_precision_finds_masks_too(square: Golden) -> None:
    generate = MaskGenerationPipeline(
        square.model, SamImageProcessor(size=64, pad_size=64), "cpu", torch.bfloat16, **LOOSE
    )
    output = generate(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    assert len(output["masks"]) > 0
    assert output["masks"][0].shape == (30, 40)


@pytest.fixture
def address() -> Iterator[str]:
    """An address on this machine that serves a picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png() if self.path == "/car.png" else b"no picture")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((6, 9, 4), 77, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_image_may_be_an_address_a_file_or_text(address: str, tmp_path: Path) -> None:
    file = tmp_path / "Größe 1.png"
    file.write_bytes(png())
    text = base64.b64encode(png()).decode()
    for given in (f"{address}/car.png", str(file), file, text, f"data:image/png;base64,{text}"):
        image = load_image(given, timeout=5)
        assert image.mode == "RGB"
        assert image.size == (9, 6)


def test_what_is_no_image_is_a_named_error(address: str) -> None:
    with pytest.raises(ValueError, match=r"address, a file or base64 text, got 'here/not\.png'"):
        load_image("here/not.png")
    with pytest.raises(ValueError, match="is not an image that can be read"):
        load_image(f"{address}/text")
