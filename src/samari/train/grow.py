"""A deeper encoder from a trained one: new blocks that at first change nothing.

A run that goes on from a trained, shallower model keeps all that it can do, and has more to learn
with. Source of the idea: Chen et al. 2016, "Net2Net: Accelerating Learning via Knowledge Transfer".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from samari.sam.config import SamVisionConfig

_LAYERS = "vision_encoder.layers."
#: What a block adds to its tokens comes out of these two layers.
_OUTPUTS = ("attn.proj.", "mlp.lin2.")


def deepened(
    weights: Mapping[str, torch.Tensor], config: SamVisionConfig, new: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Put new blocks among the blocks of an encoder.

    Parameters
    ----------
    weights : mapping of str to Tensor
        State of a `SamModel` without the new blocks.
    config : SamVisionConfig
        Of the deeper encoder.
    new : sequence of int
        Which of its blocks are new, different numbers from 0. Each begins as a copy of the nearest
        old block before it of the same kind, windowed or global (or else behind it), whose outputs
        are 0.

    Returns
    -------
    dict of str to Tensor
        State of the deeper model, which answers as the one before did.

    Raises
    ------
    InputError
        The numbers do not fit the weights.
    """
    total = config.num_hidden_layers
    added = set(new)
    held = {name: value for name, value in weights.items() if not name.startswith(_LAYERS)}
    blocks: dict[int, dict[str, torch.Tensor]] = {}
    for name in weights.keys() - held.keys():
        number, _, rest = name.removeprefix(_LAYERS).partition(".")
        blocks.setdefault(int(number), {})[rest] = weights[name]
    old = [place for place in range(total) if place not in added]
    if len(old) != len(blocks):
        raise InputError(
            f"the weights have {len(blocks)} encoder blocks; the model has {total}, of which "
            f"new_layers {list(new)} are new: {len(old)} are wanted. Give other weights, or leave "
            "new_layers out if these have them all"
        )
    origin = {place: number for number, place in enumerate(old)}
    for place in range(total):
        if place in added:
            block = _silent(blocks[origin[_model_of(place, old, config)]])
        else:
            block = blocks[origin[place]]
        held |= {f"{_LAYERS}{place}.{name}": value for name, value in block.items()}
    return held


def _model_of(place: int, old: Sequence[int], config: SamVisionConfig) -> int:
    """Return the old block that a new one is a copy of."""
    kinds = set(config.global_attn_indexes)
    alike = [other for other in old if (other in kinds) == (place in kinds)]
    if not alike:
        kind = "global" if place in kinds else "windowed"
        raise InputError(
            f"new_layers names block {place}, a {kind} one, and the weights have none to copy: "
            "change global_attn_indexes, or give other weights"
        )
    before = [other for other in alike if other < place]
    return before[-1] if before else alike[0]


def _silent(block: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: torch.zeros_like(value) if name.startswith(_OUTPUTS) else value.clone()
        for name, value in block.items()
    }
