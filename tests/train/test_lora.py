from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from samari.train.build import build_model
from samari.train.lora import add_lora, merge_lora

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.sam.model import SamModel
    from samari.train.config import TrainConfig


def made(make_config: Callable[..., TrainConfig]) -> tuple[SamModel, torch.Tensor]:
    model = build_model(make_config([{"steps": 1}]).model, seed=3)
    return model.requires_grad_(False), torch.randn(1, 3, 64, 64)


def encoded(model: SamModel, pixels: torch.Tensor) -> torch.Tensor:
    with torch.enable_grad():
        features: torch.Tensor = model.vision_encoder(pixels).last_hidden_state
    return features


def test_a_fresh_change_changes_nothing_and_alone_has_gradients(
    make_config: Callable[..., TrainConfig],
) -> None:
    model, pixels = made(make_config)
    before = encoded(model, pixels)
    added = add_lora(model.vision_encoder, rank=2)
    after = encoded(model, pixels)
    torch.testing.assert_close(after, before)
    after.square().sum().backward()
    assert len(added) == 4
    learning = [p for p in model.parameters() if p.requires_grad]
    assert {id(p) for p in learning} == {id(p) for p in added}
    assert all(p.grad is not None for p in added)


def test_merging_gives_the_same_results_under_the_published_names(
    make_config: Callable[..., TrainConfig],
) -> None:
    model, pixels = made(make_config)
    names, before = set(model.state_dict()), encoded(model, pixels)
    for parameter in add_lora(model.vision_encoder, rank=2):
        torch.nn.init.normal_(parameter, std=0.1)
    changed = encoded(model, pixels).detach()
    assert (changed - before).abs().max() > 1e-2
    merge_lora(model.vision_encoder)
    assert set(model.state_dict()) == names
    torch.testing.assert_close(encoded(model, pixels), changed, rtol=1e-4, atol=1e-5)
    merge_lora(model.vision_encoder)  # nothing is left to merge
    torch.testing.assert_close(encoded(model, pixels), changed, rtol=1e-4, atol=1e-5)
