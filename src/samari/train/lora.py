"""Low-rank changes of the image encoder (Hu et al. 2021, "LoRA"): few weights to train and keep.

After training the changes are added to the weights, so what is saved is a model like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils import parametrize

if TYPE_CHECKING:
    from samari.sam.vision_encoder import SamVisionEncoder


class LowRank(nn.Module):
    """What is added to the (out, in) weight of a layer: a product of two thin matrices.

    Parameters
    ----------
    shape : (int, int)
        Of the weight.
    rank : int
        ``down`` (rank, in) begins at random and ``up`` (out, rank) at zero: at first nothing
        changes.
    generator : torch.Generator
    """

    def __init__(self, shape: tuple[int, int], rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = shape
        self.down = nn.Parameter(columns**-0.5 * torch.randn(rank, columns, generator=generator))
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the changed weight."""
        return weight + self.up @ self.down


def add_lora(encoder: SamVisionEncoder, rank: int, seed: int = 0) -> list[nn.Parameter]:
    """Let the query-key-value weights of every block have a low-rank change.

    Parameters
    ----------
    encoder : SamVisionEncoder
        Changed in place.
    rank : int
    seed : int

    Returns
    -------
    list of Parameter
        What is to be trained.
    """
    generator = torch.Generator().manual_seed(seed)
    added: list[nn.Parameter] = []
    for block in encoder.blocks:
        layer = block.attn.qkv
        change = LowRank((layer.out_features, layer.in_features), rank, generator)
        parametrize.register_parametrization(layer, "weight", change)
        added += [change.down, change.up]
    return added


def merge_lora(encoder: SamVisionEncoder) -> None:
    """Undo `add_lora`, with the changes added to the weights."""
    for block in encoder.blocks:
        if parametrize.is_parametrized(block.attn.qkv, "weight"):
            parametrize.remove_parametrizations(block.attn.qkv, "weight")
