"""The prompt encoder: points, boxes and masks to tokens.

Source: Kirillov et al., "Segment Anything" (2023), section 3 and appendix A; Tancik et al.,
"Fourier Features Let Networks Learn High Frequency Functions" (2020) for the position code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from samari.sam.layers import SamLayerNorm, activation

if TYPE_CHECKING:
    from samari.sam.config import SamPromptEncoderConfig, SamVisionConfig

#: Label of a point that stands for "no point"; its position is not used.
NOT_A_POINT = -1
#: Label of a point that only fills up a batch of ragged prompts; its token is all zeros.
PADDING = -10


class SamPositionalEmbedding(nn.Module):
    """Random Fourier features of positions in the image frame."""

    positional_embedding: torch.Tensor

    def __init__(self, config: SamVisionConfig) -> None:
        super().__init__()
        self.register_buffer("positional_embedding", torch.randn(2, config.num_pos_feats))

    def forward(self, coordinates: torch.Tensor) -> torch.Tensor:
        """Encode (..., 2) coordinates (x, y), from 0 to 1 over the frame, as (..., 2 F) features.

        The phase is computed in float32 whatever the dtype of the network, because half precision
        cannot tell neighbouring pixels apart. The result has the dtype of the network.
        """
        matrix = self.positional_embedding
        # A product of matrices would be what autocast computes in half precision.
        x, y = (2 * coordinates.float() - 1).split(1, dim=-1)
        phase = (2 * math.pi) * (x * matrix[0].float() + y * matrix[1].float())
        return torch.cat([phase.sin(), phase.cos()], dim=-1).to(matrix.dtype)


class SamMaskEmbedding(nn.Module):
    """Downscales mask logits fourfold to the grid of the image embedding."""

    def __init__(self, config: SamPromptEncoderConfig) -> None:
        super().__init__()
        channels = config.mask_input_channels
        self.activation = activation(config.hidden_act)
        self.conv1 = nn.Conv2d(1, channels // 4, kernel_size=2, stride=2)
        self.layer_norm1 = SamLayerNorm(channels // 4, eps=config.layer_norm_eps)
        self.conv2 = nn.Conv2d(channels // 4, channels, kernel_size=2, stride=2)
        self.layer_norm2 = SamLayerNorm(channels, eps=config.layer_norm_eps)
        self.conv3 = nn.Conv2d(channels, config.hidden_size, kernel_size=1)

    def forward(self, masks: torch.Tensor) -> torch.Tensor:
        """Map (B, 1, 4 h, 4 w) logits to a (B, hidden_size, h, w) dense embedding."""
        x = self.activation(self.layer_norm1(self.conv1(masks)))
        x = self.activation(self.layer_norm2(self.conv2(x)))
        out: torch.Tensor = self.conv3(x)
        return out


class SamPromptEncoder(nn.Module):
    """Encodes points and boxes as sparse tokens, and a mask (or its absence) as a dense grid.

    Parameters
    ----------
    config : SamPromptEncoderConfig
        Sizes; coordinates are pixels of a frame of `image_size`.
    shared_embedding : SamPositionalEmbedding
        The position code, shared with the image-wide positions of the decoder.
    """

    def __init__(
        self, config: SamPromptEncoderConfig, shared_embedding: SamPositionalEmbedding
    ) -> None:
        super().__init__()
        self.shared_embedding = shared_embedding
        self.mask_embed = SamMaskEmbedding(config)
        self.no_mask_embed = nn.Embedding(1, config.hidden_size)
        self.point_embed = nn.ModuleList(
            nn.Embedding(1, config.hidden_size) for _ in range(config.num_point_embeddings)
        )
        self.not_a_point_embed = nn.Embedding(1, config.hidden_size)
        self.image_size = config.image_size
        self.image_embedding_size = (config.image_embedding_size, config.image_embedding_size)

    def forward(
        self,
        input_points: torch.Tensor | None = None,
        input_labels: torch.Tensor | None = None,
        input_boxes: torch.Tensor | None = None,
        input_masks: torch.Tensor | None = None,
        grid: tuple[int, int] | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Encode N prompts for each of B images.

        Parameters
        ----------
        input_points : (B, N, K, 2) tensor, optional
            Points as (x, y) in pixels of the frame.
        input_labels : (B, N, K) tensor, optional
            1 in the object, 0 not in the object, -1 no point, -10 padding. Needed with points.
        input_boxes : (B, N, 4) tensor, optional
            Boxes as (x0, y0, x1, y1) in pixels of the frame.
        input_masks : (B, 1, 4 h, 4 w) or (B, N, 4 h, 4 w) tensor, optional
            Mask logits, one for all prompts of an image or one for each prompt.
        grid : (int, int), optional
            Rows and columns (h, w) of the image embedding; the full size where not given.

        Returns
        -------
        (B, N, tokens, hidden_size) tensor or None
            The sparse tokens; None without points and boxes.
        (1, hidden_size, h, w), (B, hidden_size, h, w) or (B * N, hidden_size, h, w) tensor
            The dense embedding: without masks, with shared masks, with a mask for each prompt.
        """
        grid = self.image_embedding_size if grid is None else grid
        tokens = []
        if input_points is not None:
            if input_labels is None:
                raise ValueError("input_points need input_labels")
            if input_boxes is None:
                # A box ends the list of points; where there is none, a padding point does.
                input_points = nn.functional.pad(input_points, (0, 0, 0, 1))
                input_labels = nn.functional.pad(input_labels, (0, 1), value=NOT_A_POINT)
            tokens.append(self._embed_points(input_points, input_labels))
        if input_boxes is not None:
            tokens.append(self._embed_boxes(input_boxes))
        sparse = torch.cat(tokens, dim=2) if tokens else None
        if input_masks is None:
            dense = self.no_mask_embed.weight[:, :, None, None].expand(-1, -1, *grid)
        else:
            dense = self.mask_embed(input_masks.flatten(0, 1).unsqueeze(1))
        return sparse, dense

    def _embed_points(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return (B, N, K, hidden_size) tokens of points, moved to the centres of their pixels."""
        code = self.shared_embedding((_precise(points) + 0.5) / self.image_size)
        labels = labels.unsqueeze(-1)
        code = torch.where(labels == NOT_A_POINT, self.not_a_point_embed.weight[0], code)
        code = torch.where(labels == PADDING, torch.zeros_like(code), code)
        for label in (0, 1):
            code = torch.where(labels == label, code + self._kind(label), code)
        return code

    def _embed_boxes(self, boxes: torch.Tensor) -> torch.Tensor:
        """Return (B, N, 2, hidden_size) tokens of the first and the last corner of each box."""
        corners = (_precise(boxes) + 0.5).unflatten(-1, (2, 2))
        code = self.shared_embedding(corners / self.image_size)
        return code + torch.stack([self._kind(2), self._kind(3)])

    def _kind(self, index: int) -> torch.Tensor:
        """Return the learned code of a kind: 0 negative, 1 positive, 2 and 3 corners of a box."""
        embedding = self.point_embed[index]
        assert isinstance(embedding, nn.Embedding)
        return embedding.weight[0]


def _precise(coordinates: torch.Tensor) -> torch.Tensor:
    """Return coordinates as float32, or float64 if they are: half precision has no half pixels."""
    return coordinates if coordinates.dtype == torch.float64 else coordinates.float()
