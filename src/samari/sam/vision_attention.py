"""Attention of the image encoder: a grid of tokens with decomposed relative positions.

Source: Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection" (2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from samari.sam.config import SamVisionConfig

#: Number of tokens from which one head's bias is worth a pass of its own.
_LARGE_GRID = 1024


class SamVisionAttention(nn.Module):
    """Multi-head attention over a grid of tokens, with decomposed relative positions.

    Parameters
    ----------
    config : SamVisionConfig
        Sizes of the encoder.
    grid_size : int
        Side of the largest grid, in tokens: it sets the length of the relative position tables.

    Attributes
    ----------
    reach : int
        Where not 0, the grid is cut into squares of twice the reach, and the tokens of one see it
        and as many tokens as the reach beyond each of its sides: a square of four times the reach,
        moved inwards where it would leave the grid.
    """

    def __init__(self, config: SamVisionConfig, grid_size: int) -> None:
        super().__init__()
        self.reach = 0
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(
                f"hidden_size {config.hidden_size} must be a multiple of num_attention_heads "
                f"{config.num_attention_heads}"
            )
        self.num_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.dropout = config.attention_dropout
        self.use_rel_pos = config.use_rel_pos
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.qkv_bias)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        if self.use_rel_pos:
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid_size - 1, self.head_dim))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid_size - 1, self.head_dim))

    def forward(
        self, x: torch.Tensor, output_attentions: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Attend within each (h, w) grid of a (B, h, w, hidden_size) tensor.

        Returns
        -------
        (B, h, w, hidden_size) tensor
            The attended tokens.
        (B * heads, h * w, h * w) tensor or None
            The attention probabilities, where asked for.
        """
        batch, height, width, channels = x.shape
        qkv = self.qkv(x).view(batch, height * width, 3, self.num_heads, self.head_dim)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if output_attentions:
            logits = (query * self.head_dim**-0.5) @ key.transpose(-2, -1)
            if self.use_rel_pos:
                logits = logits + _bias(*self.relative(query, height, width))
            weights = torch.softmax(logits, dim=-1, dtype=torch.float32).to(query.dtype)
            out = F.dropout(weights, dropout) @ value
            weights = weights.flatten(0, 1)
        elif not self.use_rel_pos:
            out = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        else:
            rows, columns = self.relative(query, height, width)
            large = height * width >= _LARGE_GRID and query.device.type == "cpu"
            if large and not torch.is_grad_enabled() and not dropout:
                out = _attend_head_by_head(query, key, value, rows, columns)
            else:
                bias = _bias(rows, columns)
                out = F.scaled_dot_product_attention(query, key, value, bias, dropout_p=dropout)
        out = out.transpose(1, 2).reshape(batch, height, width, channels)
        return self.proj(out), weights

    def relative(
        self, query: torch.Tensor, height: int, width: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, heads, h * w, h) of key rows and (B, heads, h * w, w) of key columns.

        They depend on the relative position only, and are computed from the unscaled query. A grid
        smaller than the tables uses their centre: an equal distance is an equal entry. What is out
        of reach has minus infinity.
        """
        grid = query.unflatten(2, (height, width))
        tall, wide = self.tables(height, width, query.dtype)
        rows = torch.einsum("bnhwd,hkd->bnhwk", grid, tall)
        columns = torch.einsum("bnhwd,wkd->bnhwk", grid, wide)
        if self.reach:
            far_rows = _out_of_reach(height, self.reach, query.device)
            rows = rows.masked_fill(far_rows[:, None], -torch.inf)
            far_columns = _out_of_reach(width, self.reach, query.device)
            columns = columns.masked_fill(far_columns, -torch.inf)
        return rows.flatten(2, 3), columns.flatten(2, 3)

    def tables(
        self, height: int, width: int, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (h, h, d) and (w, w, d) entries for pairs (query, key) of rows and of columns."""
        tables = _table(self.rel_pos_h, height), _table(self.rel_pos_w, width)
        return tables[0].to(dtype), tables[1].to(dtype)


def spans(size: int, reach: int) -> list[tuple[slice, slice]]:
    """Cut a line of tokens into parts of twice the reach, each with what its tokens see."""
    seen = min(size, 4 * reach)
    parts = []
    for start in range(0, size, 2 * reach):
        first = min(max(start - reach, 0), size - seen)
        part = slice(start, min(start + 2 * reach, size))
        parts.append((part, slice(first, first + seen)))
    return parts


def _out_of_reach(size: int, reach: int, device: torch.device) -> torch.Tensor:
    """Return (size, size) bool: which tokens of a line (second axis) another does not see."""
    far = torch.ones(size, size, dtype=torch.bool, device=device)
    for part, seen in spans(size, reach):
        far[part, seen] = False
    return far


def _table(positions: torch.Tensor, size: int) -> torch.Tensor:
    """Return (size, size, d) entries for every pair (query row, key row) of a line of tokens."""
    line = torch.arange(size, device=positions.device)
    centre = positions.shape[0] // 2
    return positions[line[:, None] - line[None, :] + centre]


def _bias(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Add (..., h) and (..., w) logits to (..., h * w) logits of every key."""
    return (rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(-2)


def _attend_head_by_head(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
) -> torch.Tensor:
    """Attend with one bias buffer that all heads use in turn.

    The biases of all heads at once are hundreds of megabytes, and on a CPU touching them costs more
    than the arithmetic. The result is the same, bit for bit.
    """
    out = torch.empty_like(query)
    length, height, width = query.shape[2], rows.shape[-1], columns.shape[-1]
    buffer = query.new_empty(length, height, width)
    bias = buffer.view(1, 1, length, length)
    for image in range(query.shape[0]):
        for head in range(query.shape[1]):
            one = (slice(image, image + 1), slice(head, head + 1))
            torch.add(
                rows[image, head].unsqueeze(-1), columns[image, head].unsqueeze(-2), out=buffer
            )
            out[one] = F.scaled_dot_product_attention(query[one], key[one], value[one], bias)
    return out
