from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from samari.sam import SamImageProcessor


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def processor() -> SamImageProcessor:
    return SamImageProcessor(size=32, pad_size=32, mask_size=8, mask_pad_size=8)


def test_defaults_are_the_documented_ones() -> None:
    assert SamImageProcessor().to_dict() == {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_processor_type": "SamImageProcessor",
        "image_std": [0.229, 0.224, 0.225],
        "mask_pad_size": {"height": 256, "width": 256},
        "mask_size": {"longest_edge": 256},
        "pad_size": {"height": 1024, "width": 1024},
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": 1024},
    }


def test_padding_is_zero_after_normalisation(processor: SamImageProcessor) -> None:
    pixels = processor(picture(32, 20, 3), return_tensors="pt")["pixel_values"]
    assert not pixels[..., 20:].any()
    assert pixels[..., :20].abs().min() > 0


def test_channels_first_and_last_and_every_container_agree(processor: SamImageProcessor) -> None:
    image = picture(20, 30, 3)
    wanted = processor(image, return_tensors="pt")["pixel_values"]
    first = image.transpose(2, 0, 1)
    same: list[Any] = [Image.fromarray(image), first, torch.from_numpy(image), [image], (first,)]
    same += [image[None], image.astype(np.float64), image.tolist(), torch.from_numpy(first[None])]
    for other in same:
        assert torch.equal(processor(other, return_tensors="pt")["pixel_values"], wanted)


def test_a_pil_image_of_three_rows_has_its_channels_last(processor: SamImageProcessor) -> None:
    """The reference takes the rows for channels."""
    image = picture(3, 20, 3)
    found = processor(Image.fromarray(image), return_tensors="np")
    assert found["original_sizes"].tolist() == [[3, 20]]
    given = processor(image, return_tensors="np", input_data_format="channels_last")
    np.testing.assert_array_equal(found["pixel_values"], given["pixel_values"])


def test_a_setting_holds_for_one_call_only(processor: SamImageProcessor) -> None:
    image = picture(20, 30, 3)
    small = processor(image, size=16, pad_size=(16, 24), return_tensors="np")
    assert small["pixel_values"].shape == (1, 3, 16, 24)
    assert processor(image, return_tensors="np")["pixel_values"].shape == (1, 3, 32, 32)


def test_images_of_different_sizes_without_padding_make_a_list_but_no_tensor(
    processor: SamImageProcessor,
) -> None:
    images = [picture(20, 30, 3), picture(30, 20, 3)]
    assert [p.shape for p in processor(images, do_pad=False)["pixel_values"]] == [
        (3, 21, 32),
        (3, 32, 21),
    ]
    with pytest.raises(ValueError, match=r"pixel_values of different shapes .*\(3, 21, 32\)"):
        processor(images, do_pad=False, return_tensors="pt")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((4, 4, 3), 300, np.uint16), "300 .uint16.; rescale the intensities"),
        (np.full((4, 4, 3), -1.0), "0 to 255, or fractions"),
        (np.full((4, 4, 3), 1.5), "got 1.5"),
        (np.full((4, 4, 3), np.nan), "not finite"),
        (np.zeros((0, 4, 3), np.float32), "empty"),
        (np.zeros((5, 6, 7), np.uint8), r"\(5, 6, 7\)"),
        (np.zeros((2, 2, 5, 6, 3), np.uint8), r"\(2, 2, 5, 6, 3\)"),
        ([], "empty list"),
        ("image.png", "got str"),
        ([None], "got NoneType"),
    ],
)
def test_what_is_no_image_is_a_named_error(
    processor: SamImageProcessor, image: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        processor(image)


def test_wrong_settings_are_named_errors(processor: SamImageProcessor) -> None:
    image = picture(20, 30, 3)
    with pytest.raises(TypeError, match="'do_rezise'"):
        processor(image, do_rezise=False)
    with pytest.raises(ValueError, match=r"return_tensors must be one of .* got 'torch'"):
        processor(image, return_tensors="torch")
    with pytest.raises(ValueError, match=r"data format must be .* got 'last'"):
        processor(image, data_format="last")
    with pytest.raises(ValueError, match=r"\(21, 32\) pixels cannot be padded to \(16, 16\)"):
        processor(image, pad_size=16)
    with pytest.raises(ValueError, match=r"each of 3 channels, got \[1, 2\]"):
        processor(image, image_mean=[1, 2])
    with pytest.raises(ValueError, match=r"size must be .*longest_edge"):
        processor(image, size={"height": 3, "width": 3})
    with pytest.raises(ValueError, match=r"pad_size must be .*'longest_edge'"):
        SamImageProcessor(pad_size={"longest_edge": 3})


@pytest.mark.parametrize(("kind", "package"), [("tf", "tensorflow"), ("jax", "jax")])
def test_tensors_of_a_library_that_is_not_installed_are_a_named_error(
    processor: SamImageProcessor, kind: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ImportError, match=f"needs {package}: pip install {package}"):
        processor(picture(20, 30, 3), return_tensors=kind)


def test_labels_above_eight_bits_keep_their_values(processor: SamImageProcessor) -> None:
    labels = np.zeros((16, 16), np.uint32)
    labels[:, 8:] = 70_000
    found = processor(picture(16, 16, 3), labels, return_tensors="np")["labels"]
    assert found.dtype == np.int64
    assert found.shape == (1, 8, 8)
    np.testing.assert_array_equal(np.unique(found), [0, 70_000])


def test_a_map_drawn_in_colour_labels_what_is_not_black(processor: SamImageProcessor) -> None:
    drawn = np.zeros((16, 16, 3), np.uint8)
    drawn[4:, :, 1] = 200
    found = processor(picture(16, 16, 3), Image.fromarray(drawn), return_tensors="np")["labels"]
    assert found.shape == (1, 8, 8)
    np.testing.assert_array_equal(found[0, :, 0], [0, 0, 200, 200, 200, 200, 200, 200])


def test_maps_of_another_size_or_number_are_errors(processor: SamImageProcessor) -> None:
    with pytest.raises(ValueError, match=r"\(16, 15\) pixels for an image of \(16, 16\)"):
        processor(picture(16, 16, 3), np.zeros((16, 15), int))
    with pytest.raises(ValueError, match="2 segmentation maps for 1 images"):
        processor(picture(16, 16, 3), np.zeros((2, 16, 16), int))
    with pytest.raises(ValueError, match="32 bits, got 0 to 4294967296"):
        processor(picture(1, 2, 3), np.array([[0, 2**32]]))


def test_resize_and_pad_keep_or_move_the_channels(processor: SamImageProcessor) -> None:
    image = picture(20, 30, 3)
    resized = processor.resize(image, {"longest_edge": 15})
    assert resized.shape == (10, 15, 3)
    moved = processor.resize(image, {"longest_edge": 15}, data_format="channels_first")
    np.testing.assert_array_equal(moved.transpose(1, 2, 0), resized)
    padded = processor.pad_image(resized, {"height": 12, "width": 16})
    assert padded.shape == (12, 16, 3)
    assert not padded[10:].any()
    assert not padded[:, 15:].any()
    np.testing.assert_array_equal(padded[:10, :15], resized)


def test_masks_come_back_to_the_size_of_each_image() -> None:
    processor = SamImageProcessor(size=32, pad_size=32)
    sizes = torch.tensor([[50, 20], [8, 16]])
    reshaped = torch.tensor([[32, 13], [16, 32]])
    logits = torch.full((2, 3, 2, 8, 8), -1.0)
    logits[..., :4, :] = 1.0
    masks = processor.post_process_masks(logits, sizes, reshaped)
    assert [tuple(mask.shape) for mask in masks] == [(3, 2, 50, 20), (3, 2, 8, 16)]
    assert all(mask.dtype == torch.bool for mask in masks)
    assert masks[0][0, 0, :24].all()
    assert not masks[0][0, 0, 26:].any()
    assert masks[1].all()
    raw = processor.post_process_masks(
        list(logits.numpy()), sizes.tolist(), reshaped.numpy(), binarize=False, return_tensors="np"
    )
    assert raw[0].dtype == np.float32
    np.testing.assert_array_equal(raw[0] > 0, masks[0])


def test_the_threshold_is_applied_after_the_last_resize() -> None:
    processor = SamImageProcessor(size=16, pad_size=16)
    logits = torch.tensor([[-3.0, 1.0], [1.0, 1.0]]).reshape(1, 1, 1, 2, 2)
    (soft,) = processor.post_process_masks(logits, [(64, 64)], [(16, 16)], binarize=False)
    (mask,) = processor.post_process_masks(logits, [(64, 64)], [(16, 16)], mask_threshold=0.5)
    assert torch.equal(mask, soft > 0.5)
    assert len(torch.unique(mask[0, 0].sum(dim=1))) > 3
