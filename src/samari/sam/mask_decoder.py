"""The mask decoder: a two-way transformer between prompt tokens and the image embedding.

Source: Kirillov et al., "Segment Anything" (2023), section 3 and appendix A; Zhang et al.,
"Personalize Segment Anything Model with One Shot" (2023) for the target-guided attention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional as F

from samari.sam.fast_decoder import as_tokens
from samari.sam.layers import SamFeedForward, SamLayerNorm, SamMLPBlock

if TYPE_CHECKING:
    from samari.sam.config import SamMaskDecoderConfig


class SamAttention(nn.Module):
    """Multi-head attention whose inner width may be smaller than that of the tokens."""

    def __init__(self, config: SamMaskDecoderConfig, downsample_rate: int) -> None:
        super().__init__()
        inner = config.hidden_size // downsample_rate
        if inner % config.num_attention_heads:
            raise ValueError(
                f"hidden_size {config.hidden_size} / attention_downsample_rate {downsample_rate} "
                f"must be a multiple of num_attention_heads {config.num_attention_heads}"
            )
        self.num_heads = config.num_attention_heads
        self.head_dim = inner // config.num_attention_heads
        self.q_proj = nn.Linear(config.hidden_size, inner)
        self.k_proj = nn.Linear(config.hidden_size, inner)
        self.v_proj = nn.Linear(config.hidden_size, inner)
        self.out_proj = nn.Linear(inner, config.hidden_size)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_similarity: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attend from (B, N, T, C) to (B, N, S, C), where N of either may be 1 for "the same".

        `attention_similarity` must broadcast with (B * N, heads, T, S); it is added to the
        probabilities, which then go through a second softmax.
        """
        query, key, value = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        batch, prompts, count = query.shape[:3]
        if key.shape[1] == 1 and prompts > 1 and attention_similarity is None:
            # All prompts look at one image: their tokens can queue up before the same keys.
            query = query.flatten(1, 2).unsqueeze(1)
        elif key.shape[1] != prompts:
            total = max(prompts, key.shape[1])
            query, key, value = (x.expand(-1, total, -1, -1) for x in (query, key, value))
            prompts = total
        query, key, value = (
            x.flatten(0, 1).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x in (query, key, value)
        )
        if attention_similarity is None:
            out = F.scaled_dot_product_attention(query, key, value)
        else:
            weights = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
            weights = (weights.softmax(dim=-1) + attention_similarity).softmax(dim=-1)
            out = weights @ value
        out = out.transpose(1, 2).reshape(batch, prompts, count, -1)
        result: torch.Tensor = self.out_proj(out)
        return result


class SamTwoWayAttentionBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, a small network, image to tokens.

    The downsample rate of the configuration holds here too. (The reference's blocks always take 2,
    the rate of all published files, and only its last attention reads the configuration.)
    """

    def __init__(self, config: SamMaskDecoderConfig, skip_first_layer_pe: bool) -> None:
        super().__init__()
        rate, width = config.attention_downsample_rate, config.hidden_size
        eps = config.layer_norm_eps
        self.self_attn = SamAttention(config, downsample_rate=1)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.cross_attn_token_to_image = SamAttention(config, downsample_rate=rate)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = SamMLPBlock(width, config.mlp_dim, config.hidden_act)
        self.layer_norm3 = nn.LayerNorm(width, eps=eps)
        self.layer_norm4 = nn.LayerNorm(width, eps=eps)
        self.cross_attn_image_to_token = SamAttention(config, downsample_rate=rate)
        self.skip_first_layer_pe = skip_first_layer_pe

    def forward(
        self,
        tokens: torch.Tensor,
        image: torch.Tensor,
        token_positions: torch.Tensor,
        image_positions: torch.Tensor,
        attention_similarity: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return updated tokens and image, and what the image took from the tokens.

        Shapes: tokens (B, N, T, C), image (B, 1 or N, h * w, C); the returned image has N.
        """
        tokens = self.update_tokens(tokens, token_positions)
        placed = image + image_positions
        taken = self.cross_attn_token_to_image(
            tokens + token_positions, placed, image, attention_similarity
        )
        tokens = self.layer_norm2(tokens + taken)
        tokens = self.layer_norm3(tokens + self.mlp(tokens))
        given = self.cross_attn_image_to_token(placed, tokens + token_positions, tokens)
        image = self.layer_norm4(image + given)
        return tokens, image, given

    def update_tokens(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Let the (B, N, T, C) tokens of each prompt look at each other."""
        if self.skip_first_layer_pe:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            query = tokens + positions
            tokens = tokens + self.self_attn(query, query, tokens)
        out: torch.Tensor = self.layer_norm1(tokens)
        return out


class SamTwoWayTransformer(nn.Module):
    """The stack of two-way blocks and a last look of the tokens at the image."""

    def __init__(self, config: SamMaskDecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            SamTwoWayAttentionBlock(config, skip_first_layer_pe=i == 0)
            for i in range(config.num_hidden_layers)
        )
        self.final_attn_token_to_image = SamAttention(config, config.attention_downsample_rate)
        self.layer_norm_final_attn = nn.LayerNorm(config.hidden_size)

    @property
    def blocks(self) -> list[SamTwoWayAttentionBlock]:
        """The two-way blocks."""
        return cast("list[SamTwoWayAttentionBlock]", list(self.layers))

    def forward(
        self,
        tokens: torch.Tensor,
        image: torch.Tensor,
        image_positions: torch.Tensor,
        attention_similarity: torch.Tensor | None = None,
        target_embedding: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return tokens (B, N, T, C), image (B, N, h * w, C) and each block's image update."""
        # The tokens are their own position code. The reference adds the target in place to both
        # before the first block, so the code of all later blocks carries it too.
        positions = tokens if target_embedding is None else tokens + target_embedding
        tokens = positions
        updates = []
        for index, layer in enumerate(self.blocks):
            if target_embedding is not None and index > 0:
                tokens = tokens + target_embedding
            tokens, image, given = layer(
                tokens, image, positions, image_positions, attention_similarity
            )
            updates.append(given)
        placed = image + image_positions
        taken = self.final_attn_token_to_image(tokens + positions, placed, image)
        return self.layer_norm_final_attn(tokens + taken), image, tuple(updates)


class SamMaskDecoder(nn.Module):
    """Turns an image embedding and prompt tokens into mask logits and predicted overlaps."""

    def __init__(self, config: SamMaskDecoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.num_mask_tokens = config.num_multimask_outputs + 1
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, width)
        self.transformer = SamTwoWayTransformer(config)
        self.upscale_conv1 = nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2)
        self.upscale_conv2 = nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2)
        self.upscale_layer_norm = SamLayerNorm(width // 4)
        self.output_hypernetworks_mlps = nn.ModuleList(
            SamFeedForward(width, width, width // 8, 3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = SamFeedForward(
            width, config.iou_head_hidden_dim, self.num_mask_tokens, config.iou_head_depth
        )

    def forward(
        self,
        image_embeddings: torch.Tensor,
        image_positional_embeddings: torch.Tensor,
        sparse_prompt_embeddings: torch.Tensor | None,
        dense_prompt_embeddings: torch.Tensor,
        multimask_output: bool,
        attention_similarity: torch.Tensor | None = None,
        target_embedding: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, ...]]:
        """Decode N prompts for each of B images.

        Parameters
        ----------
        image_embeddings : (B, C, h, w) tensor
            From the image encoder.
        image_positional_embeddings : (1 or B, C, h, w) tensor
            Position code of every token of the image.
        sparse_prompt_embeddings : (B, N, tokens, C) tensor or None
            Points and boxes; None without any (then N is 1).
        dense_prompt_embeddings : (1, C, h, w), (B, C, h, w) or (B * N, C, h, w) tensor
            The mask prompt, for all images, for each image or for each prompt.
        multimask_output : bool
            Whether to return the masks of tokens 1 to 3, or the one of token 0.
        attention_similarity : tensor, optional
            Added to the attention of tokens to image; must broadcast with (B * N, heads, T, h * w).
        target_embedding : tensor, optional
            Added to the tokens before each block; must broadcast with (B, N, T, C).

        Returns
        -------
        masks : (B, N, M, 4 h, 4 w) tensor
            Mask logits.
        iou_scores : (B, N, M) tensor
            Predicted overlaps.
        updates : tuple of (B * N, 1, h * w, C) tensors
            What the image took from the tokens in each block.
        """
        batch, _, height, width = image_embeddings.shape
        tokens = torch.cat([self.iou_token.weight, self.mask_tokens.weight])[None, None]
        prompts = 1
        if sparse_prompt_embeddings is None:
            tokens = tokens.expand(batch, 1, -1, -1)
        else:
            prompts = sparse_prompt_embeddings.shape[1]
            tokens = tokens.expand(batch, prompts, -1, -1)
            tokens = torch.cat([tokens, sparse_prompt_embeddings.to(tokens.dtype)], dim=2)
        image = as_tokens(image_embeddings).unsqueeze(1)
        dense = as_tokens(dense_prompt_embeddings)
        image = image + dense.unflatten(0, (-1, prompts) if len(dense) > batch else (-1, 1))
        positions = as_tokens(image_positional_embeddings).unsqueeze(1)
        tokens, image, updates = self.transformer(
            tokens, image, positions, attention_similarity, target_embedding
        )
        brushes, scores = self.read_tokens(tokens, multimask_output)
        masks = self._draw_masks(image, brushes)
        updates = tuple(update.flatten(0, 1).unsqueeze(1) for update in updates)
        return _to_grid(masks, height, width), scores, updates

    def read_tokens(
        self, tokens: torch.Tensor, multimask_output: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (..., M, C / 8) brushes and (..., M) scores of (..., T, C) tokens."""
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        which = range(self.num_mask_tokens)[chosen]
        brushes = [self.output_hypernetworks_mlps[i](tokens[..., 1 + i, :]) for i in which]
        return torch.stack(brushes, dim=-2), self.iou_prediction_head(tokens[..., 0, :])[
            ..., chosen
        ]

    def _draw_masks(self, image: torch.Tensor, brushes: torch.Tensor) -> torch.Tensor:
        """Return (B, N, M, h * w, 2, 2, 2, 2) logits: two doublings within each token.

        A transposed convolution of stride and size 2 is a linear layer that makes 2 x 2 pixels of
        one, so pixels stay in token order, channels last, until the masks are drawn.
        """
        x = _double(image, self.upscale_conv1)
        norm = self.upscale_layer_norm
        x = F.gelu(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
        x = F.gelu(_double(x, self.upscale_conv2))
        logits = brushes @ x.flatten(2, -2).transpose(-1, -2)
        return logits.unflatten(-1, (-1, 2, 2, 2, 2))


def _double(x: torch.Tensor, layer: nn.ConvTranspose2d) -> torch.Tensor:
    """Apply a 2 x 2 transposed convolution to (..., C) pixels: (..., 2, 2, out_channels)."""
    weight = layer.weight.permute(2, 3, 1, 0)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return F.linear(x, weight.flatten(0, 2), bias).unflatten(-1, weight.shape[:3])


def _to_grid(masks: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return (B, N, M, 4 h, 4 w) of (B, N, M, h * w, 2, 2, 2, 2)."""
    masks = masks.unflatten(3, (height, width))
    masks = masks.permute(0, 1, 2, 3, 5, 7, 4, 6, 8)
    return masks.flatten(6, 8).flatten(3, 5)
