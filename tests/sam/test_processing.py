from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from samari.sam import BatchFeature, SamImageProcessor, SamProcessor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

#: What the reference cannot do, by the beginning of its error, and we can.
REFERENCE_RAISES = (
    "ValueError: height and width must be > 0",  # so thin that resizing leaves no pixel
    "ValueError: Invalid image shape. Expected either 4 or 3",  # a grey array (H, W)
    "ValueError: mean must have 1 elements",  # one channel, or one row of RGB pixels
    "ValueError: mean must have 4 elements",  # RGBA whose layout is given
    "ValueError: Unsupported number of image dimensions: 2",  # a grey or palette PIL image
    "ValueError: Unable to infer channel dimension format",  # RGBA
    "AssertionError: Segmentation maps should be the same size",  # of one row of RGB pixels
)


def thin(array: np.ndarray) -> np.ndarray:
    return array if array.size <= 8192 else array.ravel()[::997]


def test_every_call_is_that_of_the_reference(
    reference_inputs: ModuleType, frozen: Callable[[str], Any]
) -> None:
    arrays, records = frozen("processor.npz"), frozen("processor.json")
    cases = reference_inputs.processor_cases()
    assert len(cases) == len(records)
    compared = 0
    for case, record in zip(cases, records, strict=True):
        assert case.digest() == record["digest"], f"case {case.index}: other inputs than frozen"
        processor = SamProcessor(SamImageProcessor(**case.setup))
        if "error" in record:
            assert record["error"].startswith(REFERENCE_RAISES)
            with contextlib.nullcontext() if case.converts() else contextlib.suppress(ValueError):
                processor(case.images, **case.arguments)
            continue
        encoding = processor(case.images, **case.arguments)
        place = f"case {case.index}, {case.kind}"
        frozen_keys = {key.split(".")[0] for key in record["shapes"]}
        assert set(encoding) == frozen_keys, place
        for key, value in encoding.items():
            kind, count = record[key]
            assert type(value).__name__ == kind, f"{place}: {key}"
            parts = [np.asarray(part) for part in (value if kind == "list" else [value])]
            assert len(parts) == count, f"{place}: {key}"
            for number, part in enumerate(parts):
                name = f"{key}.{number}"
                assert [part.dtype.name, *part.shape] == record["shapes"][name], f"{place}: {name}"
                wanted = arrays[f"{case.index}.{name}"]
                np.testing.assert_allclose(thin(part), wanted, atol=2e-6, rtol=1e-6, err_msg=place)
        compared += 1
    assert compared >= 250


def test_what_the_reference_refuses_works_here(reference_inputs: ModuleType) -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (12, 9), dtype=np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    wanted = processor(rgb, return_tensors="pt")["pixel_values"]
    alpha = np.concatenate([rgb, 255 - rgb[..., :1]], axis=-1)
    two = np.stack([grey, 255 - grey], axis=-1)
    for same in (grey, grey[..., None], grey[None], alpha, alpha.transpose(2, 0, 1), two):
        found = processor(same, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(found, wanted)
    from PIL import Image

    for same in (Image.fromarray(grey), Image.fromarray(alpha), Image.fromarray(rgb).convert("P")):
        found = processor(same, return_tensors="pt")["pixel_values"]
        assert found.shape == wanted.shape


def test_a_lone_pixel_and_a_thread_keep_at_least_one_pixel() -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    for shape in [(1, 1), (1, 1, 3), (3000, 1), (1, 3000, 3)]:
        encoding = processor(np.full(shape, 7, np.uint8), return_tensors="pt")
        assert encoding["pixel_values"].shape == (1, 3, 16, 16)
        assert encoding["reshaped_input_sizes"].min() >= 1


def test_ragged_points_are_filled_with_points_of_label_minus_ten() -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    images = [np.zeros((16, 16, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)]
    encoding = processor(
        images,
        input_points=[[[1, 2], [3, 4], [5, 6]], [[1, 2]]],
        input_labels=[[1, 0, 1], [1]],
        return_tensors="pt",
    )
    assert encoding["input_points"].tolist() == [
        [[[1, 2], [3, 4], [5, 6]]],
        [[[2, 4], [-10, -10], [-10, -10]]],
    ]
    assert encoding["input_labels"].tolist() == [[[1, 0, 1]], [[1, -10, -10]]]


def test_ragged_prompts_within_an_image_are_filled_too() -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    encoding = processor(
        np.zeros((16, 16, 3), np.uint8),
        input_points=[[[[1, 2]], [[3, 4], [5, 6]]]],
        return_tensors="pt",
    )
    assert encoding["input_points"].tolist() == [[[[1, 2], [-10, -10]], [[3, 4], [5, 6]]]]
    assert encoding["input_labels"].tolist() == [[[1, -10], [1, 1]]]


def test_arrays_and_tensors_are_prompts_like_lists() -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    image = np.zeros((8, 16, 3), np.uint8)
    points, labels, boxes = [[[3.0, 4.0], [5.0, 6.0]]], [[1, 0]], [[[1.0, 2.0, 9.0, 7.0]]]
    wanted = processor(image, None, points, labels, boxes, return_tensors="pt")
    for make in (np.array, torch.tensor):
        found = processor(image, None, *map(make, (points, labels, boxes)), return_tensors="pt")
        for key in ("input_points", "input_labels", "input_boxes"):
            assert torch.equal(found[key], wanted[key])
    assert wanted["input_points"].shape == (1, 1, 2, 2)
    assert wanted["input_labels"].shape == (1, 1, 2)
    assert wanted["input_boxes"].shape == (1, 1, 4)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({"input_points": 3}, "input_points must have an entry for each image"),
        ({"input_points": [3, 4]}, "input_points must have an entry for each image"),
        ({"input_points": [[3, 4]]}, r"got shape \(2,\)"),
        ({"input_points": [[[3, 4, 5]]]}, r"got shape \(1, 3\)"),
        ({"input_points": [[["a", "b"]]]}, "lists of numbers"),
        ({"input_points": [[[3, 4]]], "input_labels": [[1, 0]]}, r"\[2\] labels for \[1\] points"),
        ({"input_labels": [[1]]}, "without input_points"),
        ({"input_boxes": [[1, 2, 3, 4]]}, r"got shape \(4,\)"),
        ({"input_boxes": [[[1, 2, 3]]]}, r"got shape \(1, 3\)"),
        ({"input_boxes": [[[1, 2, 3, 4]], []]}, "input_boxes"),
    ],
)
def test_prompts_that_are_not_nested_right_are_errors(prompts: dict, message: str) -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    with pytest.raises(ValueError, match=message):
        processor(np.zeros((8, 8, 3), np.uint8), **prompts)


def test_images_with_different_numbers_of_boxes_are_an_error() -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        processor(
            [np.zeros((8, 8, 3), np.uint8)] * 2,
            input_boxes=[[[0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 2, 2]]],
        )


def test_a_batch_moves_to_a_dtype_with_its_integers_as_they_are() -> None:
    processor = SamProcessor(SamImageProcessor(size=16, pad_size=16))
    image = np.zeros((8, 8, 3), np.uint8)
    encoding = processor(image, input_points=[[[1, 2]]], return_tensors="pt")
    assert encoding.to(torch.float16) is encoding
    assert encoding.pixel_values.dtype == encoding.input_points.dtype == torch.float16
    assert encoding["original_sizes"].dtype == torch.int64
    assert encoding.to("cpu", torch.float32).pixel_values.dtype == torch.float32
    with pytest.raises(AttributeError, match="no entry 'pixels'"):
        _ = encoding.pixels
    with pytest.raises(TypeError, match="return_tensors='pt'"):
        processor(image).to("cpu")
    assert isinstance(encoding, BatchFeature)


def test_settings_survive_a_round_trip(tmp_path: Path) -> None:
    published = {
        "do_convert_rgb": True,
        "image_processor_type": "SamImageProcessor",
        "image_mean": [0.1, 0.2, 0.3],
        "pad_size": {"height": 64, "width": 32},
        "processor_class": "SamProcessor",
        "resample": 3,
        "size": {"longest_edge": 64},
    }
    SamProcessor(SamImageProcessor.from_dict(published)).save_pretrained(tmp_path)
    again = SamProcessor.from_pretrained(tmp_path)
    assert again.target_size == 64
    saved = again.image_processor.to_dict()
    assert {key: saved[key] for key in published} == published


def test_a_model_without_settings_gives_the_sizes_of_its_network(tiny_model_folder: Path) -> None:
    processor = SamProcessor.from_pretrained(tiny_model_folder).image_processor
    assert processor.size == {"longest_edge": 64}
    assert processor.pad_size == {"height": 64, "width": 64}
    assert processor.mask_size == {"longest_edge": 32}


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="preprocessor_config"):
        SamProcessor.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match="no model at"):
        SamProcessor.from_pretrained(tmp_path / "not" / "here")
