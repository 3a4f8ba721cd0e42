"""Tensors of JAX from the processors; run by ``make test-tf``."""

from __future__ import annotations

import numpy as np
import pytest

from samari.sam import SamImageProcessor, SamProcessor

jax = pytest.importorskip("jax", reason="JAX is in the environment of make test-tf")


def test_the_processor_returns_and_takes_jax_arrays() -> None:
    processor = SamProcessor(
        SamImageProcessor(size=64, pad_size=64, mask_size=16, mask_pad_size=16)
    )
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    prompts = {"input_points": [[[12, 20]]], "input_boxes": [[[1, 2, 20, 30]]]}
    found = processor(image, segmentation_maps=image[..., 0], return_tensors="jax", **prompts)
    wanted = processor(image, segmentation_maps=image[..., 0], return_tensors="pt", **prompts)
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert isinstance(value, jax.Array)
        assert value.shape == wanted[name].shape
        assert np.allclose(value, wanted[name].numpy())
    again = processor(jax.numpy.asarray(image), return_tensors="jax")
    assert np.array_equal(again["pixel_values"], found["pixel_values"])
    logits = np.random.default_rng(1).normal(size=(1, 1, 3, 16, 16)).astype(np.float32)
    (masks,) = processor.post_process_masks(
        jax.numpy.asarray(logits), found["original_sizes"], found["reshaped_input_sizes"],
        return_tensors="jax",
    )  # fmt: skip
    assert isinstance(masks, jax.Array)
    assert masks.dtype == bool
    assert masks.shape == (1, 3, 40, 30)
