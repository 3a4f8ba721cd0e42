"""A model and a picture small enough to train within seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.train.data import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.train.config import TrainConfig

MODEL: dict[str, Any] = {
    "vision_config": {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 8,
        "use_abs_pos": False,
        "window_size": 4,
        "global_attn_indexes": [1],
        "num_pos_feats": 16,
    },
    "prompt_encoder_config": {
        "hidden_size": 32,
        "image_size": 64,
        "patch_size": 8,
        "mask_input_channels": 8,
    },
    "mask_decoder_config": {
        "hidden_size": 32,
        "mlp_dim": 64,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 32,
    },
    "samari": {"pad": False, "upscale": False},
}


@pytest.fixture
def make_config() -> Callable[..., TrainConfig]:
    """Give a function that makes a config of the tiny model from a list of stages."""
    from samari.train.config import TrainConfig

    def make(stages: list[dict[str, Any]], **values: Any) -> TrainConfig:
        settings: dict[str, Any] = {
            "model": MODEL,
            "stages": [{"crop": 64, "images": 2, "prompts": 4, **stage} for stage in stages],
            "weights": {"test": 1.0},
            "scale": (1.0, 1.0),
            "lr": 2e-3,
            "warmup": 5,
            "cosine_from": 1.0,
        }
        return TrainConfig.from_dict({**settings, **values})

    return make


@pytest.fixture
def discs() -> Sample:
    """Give three bright discs on a dark ground, 64 x 64."""
    rows, cols = np.mgrid[:64, :64]
    labels = np.zeros((64, 64), np.int32)
    for number, (y, x, radius) in enumerate([(18, 18, 11), (44, 22, 9), (34, 48, 12)], start=1):
        labels[(rows - y) ** 2 + (cols - x) ** 2 <= radius**2] = number
    grey = np.where(labels > 0, 200, 40).astype(np.uint8)
    return Sample(np.stack([grey] * 3, axis=-1), labels, "test", "discs", "test/0", "test/0")
