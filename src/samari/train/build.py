"""A fresh model of a training config, initialised so that it learns within minutes.

The published classes' initialisation assumes a pretrained encoder and days of training. Three
changes let a small model start on its own: encoder weights of usual size, position codes of several
scales, and cross-attention that finds the prompted place from the first step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from samari.engine.frames import FrameRule
from samari.sam.config import SamConfig
from samari.sam.mask_decoder import SamAttention
from samari.sam.model import SamModel

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_model(config: Mapping[str, Any], seed: int) -> SamModel:
    """Build a model with the initialisation described above.

    Parameters
    ----------
    config : mapping
        Fields of `SamConfig`.
    seed : int
        The global generator of torch is left as it was.

    Returns
    -------
    SamModel
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SamModel(SamConfig.from_dict(dict(config)))
        initialise_encoder(model)
        initialise_decoder(model)
        spread_positions(model)
        align_attention(model)
    # As the engine will have it.
    model.limit_attention(FrameRule.of(model.config).reach)
    return model


def initialise_encoder(model: SamModel) -> None:
    """Give the encoder weights under which the pixels reach the neck unharmed.

    The patch embedding is orthogonal, and what the blocks add to it starts small: fine structure
    within a token is what masks are drawn from, and it has no other way.
    """
    encoder = model.vision_encoder
    nn.init.orthogonal_(encoder.patch_embed.projection.weight.flatten(1))
    for module in encoder.layers.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        for name, parameter in encoder.layers.named_parameters():
            if name.endswith(("attn.proj.weight", "mlp.lin2.weight")):
                parameter.mul_(0.3)


def initialise_decoder(model: SamModel) -> None:
    """Give the mask decoder weights that keep the size of what passes through.

    Under torch's default a prompt has faded by the factor of ten when it reaches the mask, and
    training spends its first hundreds of steps on undoing that.
    """
    for name, module in model.mask_decoder.named_modules():
        if isinstance(module, nn.Linear):
            rectified = "mlp" in name or "iou_prediction_head" in name
            nn.init.xavier_uniform_(module.weight, gain=math.sqrt(2) if rectified else 1.0)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.ConvTranspose2d):
            # Each output pixel sees one tap of the kernel: the fan-in is the input channels.
            nn.init.normal_(module.weight, std=math.sqrt(2 / module.in_channels))


@torch.no_grad()
def spread_positions(model: SamModel, narrow: float = 0.75, wide: float = 7.5) -> None:
    """Draw the position matrix at log-spaced scales, from ``narrow`` to ``wide`` in tokens.

    A standard deviation of s tells places apart that lie half a side / (2 pi s) away from each
    other. The wide features say roughly where to look, the narrow ones which of two touching nuclei
    is meant; the published matrix of deviation 1 knows one scale, a sixth of half the side.
    """
    half = model.config.prompt_encoder_config.image_embedding_size / 2
    matrix = model.shared_image_embedding.positional_embedding
    widths = torch.logspace(math.log10(wide), math.log10(narrow), matrix.shape[1])
    matrix.copy_(torch.randn(matrix.shape) * half / (2 * math.pi * widths))


@torch.no_grad()
def align_attention(model: SamModel, gain: float = 1.5) -> None:
    """Start every cross-attention with equal query and key projections.

    Both sides carry the same position code, so a token then attends to the place that it stands for
    without having to discover, over a thousand steps, that the codes match.

    Parameters
    ----------
    model : SamModel
        Changed in place.
    gain : float
        Size of the (orthogonal) projections; their biases become 0.
    """
    for name, module in model.mask_decoder.transformer.named_modules():
        if isinstance(module, SamAttention) and name.endswith(("to_image", "to_token")):
            nn.init.orthogonal_(module.q_proj.weight, gain)
            module.k_proj.weight.copy_(module.q_proj.weight)
            nn.init.zeros_(module.q_proj.bias)
            nn.init.zeros_(module.k_proj.bias)
