"""The floor: the matrix products of an encoder's own shapes and nothing else, each at its best."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from samari.sam.packed import PackedLinear

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.sam import SamVisionConfig


def floor(config: SamVisionConfig, dtype: torch.dtype, n: int = 3) -> dict[str, float]:
    """Return the seconds of each kind of product in one encoding of a full image.

    A linear layer counts as the faster of a plain and a packed one, attention over all tokens as
    the faster of two plain products and of torch's fused attention without positions.

    Parameters
    ----------
    config : SamVisionConfig
    dtype : torch.dtype
    n : int
        Repeats; their median counts.
    """
    width, heads = config.hidden_size, config.num_attention_heads
    head, grid, size = width // heads, config.image_size // config.patch_size, config.window_size
    tokens, blocks = grid * grid, config.num_hidden_layers
    hidden = config.mlp_dim or int(width * config.mlp_ratio)
    full = len(config.global_attn_indexes)
    windows = (-(-grid // size)) ** 2
    patch = config.num_channels * config.patch_size**2
    channels = config.output_channels
    linears = {
        "patches": (patch, width, 1),
        "qkv": (width, 3 * width, blocks),
        "proj": (width, width, blocks),
        "lin1": (width, hidden, blocks),
        "lin2": (hidden, width, blocks),
        "neck 1x1": (width, channels, 1),
        "neck 3x3": (9 * channels, channels, 1),
    }
    seconds = {
        name: count * _linear(tokens, inner, outer, dtype, n)
        for name, (inner, outer, count) in linears.items()
    }
    seconds["global attention"] = full * heads * _attention(1, tokens, head, dtype, n)
    one = _attention(windows * heads, size * size, head, dtype, n)
    seconds["window attention"] = (blocks - full) * one
    return seconds


@torch.inference_mode()
def _linear(rows: int, inner: int, outer: int, dtype: torch.dtype, n: int) -> float:
    x, layer = torch.randn(rows, inner).to(dtype), torch.nn.Linear(inner, outer)
    packed = PackedLinear(layer, dtype)
    layer = layer.to(dtype)
    return min(_median(lambda: layer(x), n), _median(lambda: packed(x), n))


@torch.inference_mode()
def _attention(batch: int, tokens: int, width: int, dtype: torch.dtype, n: int) -> float:
    query, key, value = (torch.randn(batch, tokens, width).to(dtype) for _ in range(3))
    logits, out = query.new_empty(batch, tokens, tokens), torch.empty_like(query)

    def products() -> None:
        torch.bmm(query, key.transpose(1, 2), out=logits)
        torch.bmm(logits, value, out=out)

    def fused() -> None:
        F.scaled_dot_product_attention(query[None], key[None], value[None])

    return min(_median(products, n), _median(fused, n))


def _median(action: Callable[[], object], n: int) -> float:
    action()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
