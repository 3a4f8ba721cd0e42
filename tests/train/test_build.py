from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from samari.sam.mask_decoder import SamAttention
from samari.train import build
from samari.train.build import build_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.train.config import TrainConfig


SHIPPED = json.loads((Path(build.__file__).parent / "samari-tiny.json").read_text())["model"]


def test_the_same_seed_builds_the_same_model_and_leaves_the_global_generator(
    make_config: Callable[..., TrainConfig],
) -> None:
    model = make_config([{"steps": 1}]).model
    state = torch.random.get_rng_state()
    first, again, other = (build_model(model, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_cross_attention_starts_aligned_and_self_attention_does_not(
    make_config: Callable[..., TrainConfig],
) -> None:
    model = build_model(make_config([{"steps": 1}]).model, 0)
    aligned = {
        name: torch.equal(module.q_proj.weight, module.k_proj.weight)
        for name, module in model.mask_decoder.transformer.named_modules()
        if isinstance(module, SamAttention)
    }
    assert sum(aligned.values()) == 5
    assert {name for name, equal in aligned.items() if not equal} == {
        "layers.0.self_attn",
        "layers.1.self_attn",
    }


def test_position_codes_of_neighbours_agree_more_than_those_of_distant_places() -> None:
    model = build_model(SHIPPED, 0)
    code = model.get_image_wide_positional_embeddings((1, 33))[0, :, 0]
    likeness = code[:, 0] @ code / code.shape[0] * 2
    assert likeness[0] > 0.99
    assert 0.1 < likeness[2] < likeness[1] < 0.95
    assert likeness[20:].abs().max() < 0.35


def test_the_bundled_configuration_has_about_two_million_weights() -> None:
    count = sum(parameter.numel() for parameter in build_model(SHIPPED, 0).parameters())
    assert 1.5e6 < count < 3e6


def test_the_shipped_config_is_that_of_the_shipped_weights() -> None:
    from samari.sam import SamConfig
    from samari.zoo.store import resolve

    shipped = SamConfig.from_pretrained(resolve("samari-tiny"))
    named = {"architectures": ["SamModel"]}
    assert {**SamConfig.from_dict(SHIPPED).to_dict(), **named} == shipped.to_dict()
    model = build_model(SHIPPED, 0)
    assert {layer.attn.reach for layer in model.vision_encoder.blocks} == {0, 8}
