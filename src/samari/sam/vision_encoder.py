"""The image encoder: a vision transformer with windowed and global attention.

Source: Kirillov et al., "Segment Anything" (2023), appendix A; Li et al., "Exploring Plain Vision
Transformer Backbones for Object Detection" (2022) for windows and decomposed relative positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional as F

from samari.sam import fast_encoder
from samari.sam.layers import SamLayerNorm, SamMLPBlock
from samari.sam.outputs import SamVisionEncoderOutput
from samari.sam.vision_attention import SamVisionAttention

if TYPE_CHECKING:
    from collections.abc import Generator

    from samari.sam.config import SamVisionConfig


class SamPatchEmbeddings(nn.Module):
    """Cuts an image into square patches and projects each one to a token."""

    def __init__(self, config: SamVisionConfig) -> None:
        super().__init__()
        self.num_channels = config.num_channels
        self.image_size = config.image_size
        self.patch_size = config.patch_size
        self.projection = nn.Conv2d(
            config.num_channels,
            config.hidden_size,
            kernel_size=config.patch_size,
            stride=config.patch_size,
        )

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Project (B, 3, H, W) pixels to (B, H / patch, W / patch, hidden_size) tokens.

        Raises
        ------
        ValueError
            If the rank, the channels or the size do not fit the configuration.
        """
        shape = tuple(pixel_values.shape)
        if pixel_values.ndim != 4 or shape[1] != self.num_channels:
            raise ValueError(
                f"pixel_values must be (batch, {self.num_channels}, height, width), got {shape}"
            )
        if any(n % self.patch_size or not 0 < n <= self.image_size for n in shape[2:]):
            raise ValueError(
                f"height and width of pixel_values must be multiples of the patch size "
                f"{self.patch_size} and at most {self.image_size}, got {shape}"
            )
        out: torch.Tensor = self.projection(pixel_values).permute(0, 2, 3, 1)
        return out


class SamVisionLayer(nn.Module):
    """One transformer block; `window_size` 0 means that every token sees every other."""

    def __init__(self, config: SamVisionConfig, window_size: int) -> None:
        super().__init__()
        self.window_size = window_size
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attn = SamVisionAttention(
            config, window_size or config.image_size // config.patch_size
        )
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        mlp_dim = config.mlp_dim or int(config.hidden_size * config.mlp_ratio)
        self.mlp = SamMLPBlock(config.hidden_size, mlp_dim, config.hidden_act)

    def forward(
        self, x: torch.Tensor, output_attentions: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Map (B, h, w, hidden_size) tokens to tokens; see `SamVisionAttention.forward`."""
        normed = self.layer_norm1(x)
        if self.window_size:
            windows = to_windows(normed, self.window_size)
            attended, weights = self.attn(windows, output_attentions)
            attended = from_windows(attended, self.window_size, x.shape[1], x.shape[2])
        else:
            attended, weights = self.attn(normed, output_attentions)
        x = x + attended
        return x + self.mlp(self.layer_norm2(x)), weights


def to_windows(x: torch.Tensor, size: int) -> torch.Tensor:
    """Cut (B, h, w, C) into (B * windows, size, size, C), zero-padded at the bottom and right.

    The padding is not masked: it takes part in attention as keys and values, as in the reference.
    """
    height, width, channels = x.shape[1:]
    if height % size or width % size:
        x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
    x = x.unflatten(2, (-1, size)).unflatten(1, (-1, size))
    return x.transpose(2, 3).reshape(-1, size, size, channels)


def from_windows(windows: torch.Tensor, size: int, height: int, width: int) -> torch.Tensor:
    """Undo `to_windows`: return (B, height, width, C) without the padding."""
    rows, columns = -(-height // size), -(-width // size)
    x = windows.unflatten(0, (-1, rows, columns)).transpose(2, 3)
    return x.flatten(3, 4).flatten(1, 2)[:, :height, :width]


class SamVisionNeck(nn.Module):
    """Reduces tokens to the channels of the image embedding."""

    def __init__(self, config: SamVisionConfig) -> None:
        super().__init__()
        channels = config.output_channels
        self.conv1 = nn.Conv2d(config.hidden_size, channels, kernel_size=1, bias=False)
        self.layer_norm1 = SamLayerNorm(channels)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
        self.layer_norm2 = SamLayerNorm(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, h, w, hidden_size) tokens to the (B, output_channels, h, w) embedding."""
        x = self.layer_norm1(self.conv1(x.permute(0, 3, 1, 2)))
        out: torch.Tensor = self.layer_norm2(self.conv2(x))
        return out.contiguous()


class SamVisionEncoder(nn.Module):
    """Image encoder: (B, 3, H, W) normalised pixels to a (B, C, H / patch, W / patch) embedding.

    H and W may be any multiples of the patch size up to the configured image size. The reference
    takes the full size only; a smaller image saves the work that it spends on padding.
    """

    def __init__(self, config: SamVisionConfig) -> None:
        super().__init__()
        self.config = config
        grid = config.image_size // config.patch_size
        self.patch_embed = SamPatchEmbeddings(config)
        self.pos_embed: nn.Parameter | None = None
        if config.use_abs_pos:
            self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, config.hidden_size))
        self.layers = nn.ModuleList(
            SamVisionLayer(config, 0 if i in config.global_attn_indexes else config.window_size)
            for i in range(config.num_hidden_layers)
        )
        self.neck = SamVisionNeck(config)
        self._init_weights()

    def _init_weights(self) -> None:
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    @property
    def dtype(self) -> torch.dtype:
        """Floating point type of the pixels that it takes."""
        return self.patch_embed.projection.weight.dtype

    @property
    def blocks(self) -> list[SamVisionLayer]:
        """The transformer blocks."""
        return cast("list[SamVisionLayer]", list(self.layers))

    def limit_attention(self, reach: int) -> None:
        """Let global layers see a neighbourhood only; see `SamModel.limit_attention`."""
        for layer in self.blocks:
            if not layer.window_size:
                layer.attn.reach = reach

    def embed(self, pixel_values: torch.Tensor, grid_offset: tuple[int, int]) -> torch.Tensor:
        """Return (B, h, w, hidden_size) tokens of an image, with their positions."""
        x: torch.Tensor = self.patch_embed(pixel_values)
        if self.pos_embed is not None:
            top, left = grid_offset
            positions = self.pos_embed[:, top : top + x.shape[1], left : left + x.shape[2]]
            if positions.shape[1:3] != x.shape[1:3]:
                raise ValueError(
                    f"a grid of {tuple(x.shape[1:3])} tokens at offset {grid_offset} leaves the "
                    f"frame of {tuple(self.pos_embed.shape[1:3])} tokens"
                )
            x = x + positions
        return x

    def _may_hurry(self) -> bool:
        """Whether the quick way may be taken: nothing is to be learned, on a CPU."""
        device = self.patch_embed.projection.weight.device
        quick = device.type == "cpu" and self.dtype == torch.float32
        dropout = self.training and self.config.attention_dropout
        return quick and not dropout and not torch.is_grad_enabled()

    def steps(
        self,
        pixel_values: torch.Tensor,
        grid_offset: tuple[int, int] = (0, 0),
        hidden_states: list[torch.Tensor] | None = None,
        attentions: list[torch.Tensor] | None = None,
    ) -> Generator[int, None, torch.Tensor]:
        """Encode block by block, so that a caller can cancel or serve others in between.

        Parameters
        ----------
        pixel_values : (B, 3, H, W) float tensor
            Normalised pixels.
        grid_offset : (int, int)
            Row and column, in tokens, of the image within the full frame.
        hidden_states, attentions : list, optional
            Lists to which the tokens and the attention probabilities of each block are appended.

        Yields
        ------
        int
            Number of blocks done: 1 to `num_hidden_layers`.

        Returns
        -------
        (B, C, h, w) tensor
            The image embedding, as the value of StopIteration.
        """
        if hidden_states is None and attentions is None and self._may_hurry():
            return (yield from fast_encoder.steps(self, pixel_values, grid_offset))
        x = self.embed(pixel_values, grid_offset)
        for done, layer in enumerate(self.blocks, start=1):
            if hidden_states is not None:
                hidden_states.append(x)
            x, weights = layer(x, attentions is not None)
            if attentions is not None:
                attentions.append(weights)
            yield done
        if hidden_states is not None:
            hidden_states.append(x)
        embedding: torch.Tensor = self.neck(x)
        return embedding

    def forward(
        self,
        pixel_values: torch.Tensor,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        grid_offset: tuple[int, int] = (0, 0),
    ) -> SamVisionEncoderOutput:
        """Encode in one go; see `steps` for the parameters."""
        hidden: list[torch.Tensor] | None = [] if output_hidden_states else None
        attentions: list[torch.Tensor] | None = [] if output_attentions else None
        run = self.steps(pixel_values, grid_offset, hidden, attentions)
        while True:
            try:
                next(run)
            except StopIteration as end:
                embedding: torch.Tensor = end.value
                break
        return SamVisionEncoderOutput(
            last_hidden_state=embedding,
            hidden_states=None if hidden is None else tuple(hidden),
            attentions=None if attentions is None else tuple(attentions),
        )
