"""The image encoder for inference on a CPU: what the plain modules compute, with less traffic.

The arithmetic is the plain modules', and so is the result, within float32. What is saved is the way
of numbers to the memory and back, which costs more than many of the products:

- Tokens lie window by window from one global layer to the next, so windows are not cut out and put
  together in every layer.
- A layer works on a few windows at a time, from the first norm to the last product. Nothing as
  large as the image is made but the tokens themselves, and what is made stays in the cache. (What
  the system hands out anew costs more than the arithmetic: each page of it is cleared first.)
- Windows that reach beyond the image have the tokens of the image only. What is beyond takes part
  in attention as keys and values, and these are the bias of the projection: they are filled in.
- Global attention goes head by head, some lines of the image at a time, with one buffer of
  relative positions (a buffer for all lines would be new from the system in each layer; ViT-B takes
  0.96 of the time, two Zen 4 cores, n = 10). Where it has a reach, it goes square by square with
  all heads, and tokens out of reach cost nothing (samari-tiny, 512 x 512 pixels, two Zen 3 cores:
  0.30 s with a reach of 8, 0.53 s without; medians of 6).

With packed weights (`packed.py`) ViT-B took 9.7 s for 1024 x 1024 pixels on two Zen 3 cores, and
15.1 by the plain modules (medians of 3; all layers packed, see there). 88 of 100 parts are linear
layers and fused attention. GELU is not fused into the product: both together were slower on Zen 3,
and no quicker on Zen 4 (2.28 and 2.27 s for the MLPs of ViT-B).

Where the linear layers are packed in bfloat16, so are attention and what is between them; norms and
the tokens that layers add to stay in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from samari.sam.packed import precision
from samari.sam.vision_attention import spans

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from samari.sam.vision_attention import SamVisionAttention
    from samari.sam.vision_encoder import SamVisionEncoder, SamVisionLayer

#: Numbers of the widest temporary of a part of the tokens.
_PART = 2**21


@dataclass(frozen=True, eq=False)
class _Group:
    """Windows of one shape, one after the other.

    Attributes
    ----------
    tokens : slice
        Where their tokens lie.
    count : int
        Number of windows.
    inside : (m,) tensor or None
        Which places of the window are inside the image; None for all.
    """

    tokens: slice
    count: int
    inside: torch.Tensor | None


class _Layout:
    """An order of the tokens: window by window, or row by row where the size is 0."""

    def __init__(self, rows: int, columns: int, size: int) -> None:
        self.size = size
        index = torch.arange(rows * columns).view(rows, columns)
        self.groups: list[_Group] = []
        self.order = index.flatten()
        if not size:
            return
        index = F.pad(index, (0, -columns % size, 0, -rows % size), value=-1)
        windows = index.unflatten(1, (-1, size)).unflatten(0, (-1, size)).transpose(1, 2)
        windows = windows.flatten(0, 1).flatten(1)
        shapes, which = (windows >= 0).unique(dim=0, return_inverse=True)
        order, first = [], 0
        for number, shape in enumerate(shapes):
            members = windows[which == number][:, shape]
            inside = None if shape.all() else shape.nonzero()[:, 0]
            stop = first + members.numel()
            self.groups.append(_Group(slice(first, stop), len(members), inside))
            order.append(members.flatten())
            first = stop
        self.order = torch.cat(order)


def steps(
    encoder: SamVisionEncoder, pixel_values: torch.Tensor, grid_offset: tuple[int, int]
) -> Generator[int, None, torch.Tensor]:
    """Encode block by block; see `SamVisionEncoder.steps`."""
    grid = encoder.embed(pixel_values, grid_offset)
    rows, columns = grid.shape[1:3]
    layouts = {
        size: _Layout(rows, columns, size)
        for size in {layer.window_size for layer in encoder.blocks}
    }
    # One after the other: images do not share anything, and each by itself stays in the cache.
    images = [image.flatten(0, 1).contiguous() for image in grid]
    order = torch.arange(rows * columns)
    for done, layer in enumerate(encoder.blocks, start=1):
        layout = layouts[layer.window_size]
        if layout.order is not order:
            moved = order.argsort()[layout.order]
            images = [image[moved] for image in images]
            order = layout.order
        for image in images:
            if layout.size:
                _window_layer(layer, image, layout)
            else:
                _global_layer(layer, image, rows, columns)
        yield done
    moved = order.argsort()
    return _neck(encoder, [image[moved] for image in images], rows, columns)


def _window_layer(layer: SamVisionLayer, tokens: torch.Tensor, layout: _Layout) -> None:
    """Apply a layer with windows to (P, C) tokens in the order of its windows, in place."""
    attention, size = layer.attn, layout.size
    heads, places, dtype = attention.num_heads, size * size, precision(attention.qkv)
    for group in layout.groups:
        length = places if group.inside is None else len(group.inside)
        at_once = max(1, _PART // (places * max(heads * places, attention.qkv.out_features)))
        for first in range(0, group.count, at_once):
            count = min(at_once, group.count - first)
            start = group.tokens.start + first * length
            part = tokens[start : start + count * length]
            qkv = attention.qkv(layer.layer_norm1(part).to(dtype)).view(count, length, -1)
            if group.inside is not None:
                qkv = _padded(qkv, attention, group.inside, places)
            query, key, value = qkv.view(count, places, 3, heads, -1).permute(2, 0, 3, 1, 4)
            if attention.use_rel_pos:
                out = _within_windows(query, key, value, *attention.relative(query, size, size))
            else:
                out = F.scaled_dot_product_attention(query, key, value)
            out = out.transpose(1, 2).flatten(2)
            if group.inside is not None:
                out = out[:, group.inside]
            part += attention.proj(out.flatten(0, 1))
            _add_mlp(layer, part)


def _within_windows(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    across: torch.Tensor,
    along: torch.Tensor,
) -> torch.Tensor:
    """Return what (n, heads, size**2, d) queries take from the keys and values of their window.

    `across` and `along` are logits (n, heads, size**2, size) of the rows and of the columns of
    keys. In bfloat16 they are further dimensions of the queries, in which each key has a one in its
    row and in its column: to add them up for all pairs takes longer than the products there (a
    layer of ViT-B: 22 and 65 ms, two Zen 4 cores, n = 25; in float32 52 and 43). Logits are then
    rounded to bfloat16.
    """
    rows, columns = across.shape[-1], along.shape[-1]
    if query.dtype != torch.bfloat16:
        bias = (across.unsqueeze(-1) + along.unsqueeze(-2)).flatten(-2)
        return F.scaled_dot_product_attention(query, key, value, bias)
    row = torch.eye(rows, dtype=query.dtype).repeat_interleave(columns, 0)
    column = torch.eye(columns, dtype=query.dtype).repeat(rows, 1)
    place = torch.cat([row, column], 1).expand(*key.shape[:-1], -1)
    asked = torch.cat([query * query.shape[-1] ** -0.5, across, along], -1)
    logits = asked @ torch.cat([key, place], -1).transpose(-1, -2)
    return logits.softmax(-1) @ value


def _padded(
    qkv: torch.Tensor, attention: SamVisionAttention, inside: torch.Tensor, places: int
) -> torch.Tensor:
    """Return (n, places, 3 C) of (n, m, 3 C): what is beyond the image is the bias."""
    full = qkv.new_zeros(len(qkv), places, qkv.shape[2])
    if attention.qkv.bias is not None:
        full += attention.qkv.bias
    full[:, inside] = qkv
    return full


def _global_layer(layer: SamVisionLayer, tokens: torch.Tensor, rows: int, columns: int) -> None:
    """Apply a layer with global attention to (P, C) tokens, in place."""
    attention = layer.attn
    heads, count = attention.num_heads, rows * columns
    dtype = precision(attention.qkv)
    # Three tensors: one of three times the size would be new from the system in every layer.
    shape = (heads, count, attention.head_dim)
    query, key, value = (tokens.new_empty(shape, dtype=dtype) for _ in range(3))
    for strip in _strips(tokens, attention.qkv.out_features):
        part = attention.qkv(layer.layer_norm1(tokens[strip]).to(dtype))
        made = part.unflatten(1, (3, heads, -1)).permute(1, 2, 0, 3)
        query[:, strip], key[:, strip], value[:, strip] = made
    within = _near if attention.reach else _everywhere
    out = within(attention, query, key, value, rows, columns)
    for strip in _strips(tokens, layer.mlp.lin1.out_features):
        part = tokens[strip]
        part += attention.proj(out[strip])
        _add_mlp(layer, part)


def _everywhere(
    attention: SamVisionAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rows: int,
    columns: int,
) -> torch.Tensor:
    """Return (P, C) of (heads, P, d) where every token sees every other."""
    heads, count, width = query.shape
    if not attention.use_rel_pos:
        own = F.scaled_dot_product_attention(query[None], key[None], value[None])
        return own[0].transpose(0, 1).flatten(1)
    tall, wide = attention.tables(rows, columns, query.dtype)
    out = query.new_empty(rows, columns, heads, width)
    # Two parts: fused attention takes fewer than 768 queries (12 lines of ViT-B) in small blocks.
    at_once = min(rows, max(1, 2 * _PART // (columns * count)))
    buffer = query.new_empty(at_once, columns, rows, columns)
    for head in range(heads):
        grid = query[head].view(rows, columns, width)
        across = (grid @ tall.transpose(1, 2)).unsqueeze(-1)
        along = (grid.transpose(0, 1) @ wide.transpose(1, 2)).transpose(0, 1).unsqueeze(2)
        for first in range(0, rows, at_once):
            lines = slice(first, first + at_once)
            asked = grid[lines]
            bias = torch.add(across[lines], along[lines], out=buffer[: len(asked)])
            own = _weigh(asked.flatten(0, 1), key[head], value[head], bias.view(-1, count))
            out[lines, :, head] = own.view(-1, columns, width)
    return out.view(count, -1)


def _weigh(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Return (n, d) of (n, d) queries, (P, d) keys and values, and (n, P) to add, overwritten.

    Fused attention is no quicker in bfloat16 than in float32; products and a softmax of their own
    are (global layers of ViT-B at 1024 x 1024: 0.91 and 1.78 s, two Zen 4 cores, n = 4).
    """
    if query.dtype == torch.bfloat16:
        logits = bias.addmm_(query * query.shape[1] ** -0.5, key.t())
        return logits.softmax(1) @ value
    asked, keys, values = (x[None, None] for x in (query, key, value))  # with three it is not fused
    return F.scaled_dot_product_attention(asked, keys, values, bias)[0, 0]


def _near(
    attention: SamVisionAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rows: int,
    columns: int,
) -> torch.Tensor:
    """Return (P, C) of (heads, P, d) where tokens see what is in reach of their square."""
    query, key, value = (x.unflatten(1, (rows, columns)) for x in (query, key, value))
    tall, wide = attention.tables(rows, columns, query.dtype)
    out = query.new_empty(rows, columns, attention.num_heads, attention.head_dim)
    for lines, seen_lines in spans(rows, attention.reach):
        for places, seen_places in spans(columns, attention.reach):
            own = query[:, lines, places]
            across = torch.einsum("nhwd,hkd->nhwk", own, tall[lines, seen_lines])
            along = torch.einsum("nhwd,wkd->nhwk", own, wide[places, seen_places])
            bias = (across.unsqueeze(-1) + along.unsqueeze(-2)).flatten(-2).flatten(1, 2)
            keys, values = (x[:, seen_lines, seen_places].flatten(1, 2) for x in (key, value))
            part = F.scaled_dot_product_attention(
                own.flatten(1, 2)[None], keys[None], values[None], bias[None]
            )
            out[lines, places] = part[0].unflatten(1, own.shape[1:3]).permute(1, 2, 0, 3)
    return out.flatten(2).flatten(0, 1)


def _strips(tokens: torch.Tensor, width: int) -> Iterator[slice]:
    """Yield strips of the tokens of which `width` numbers each make a part."""
    step = max(1, _PART // width)
    for first in range(0, len(tokens), step):
        yield slice(first, first + step)


def _add_mlp(layer: SamVisionLayer, tokens: torch.Tensor) -> None:
    """Add to (n, C) tokens what the layer's two linear layers make of them."""
    tokens += layer.mlp(layer.layer_norm2(tokens).to(precision(layer.mlp.lin1)))


def _neck(
    encoder: SamVisionEncoder, images: list[torch.Tensor], rows: int, columns: int
) -> torch.Tensor:
    """Return the (B, C, h, w) embedding of (P, width) tokens row by row, channels last."""
    return encoder.neck(torch.stack(images).unflatten(1, (rows, columns)))
