"""Segment Anything in plain torch, with the names and weight files of its published reference."""

from __future__ import annotations

from samari.sam.config import (
    SamConfig,
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
    vit_config,
)
from samari.sam.mask_decoder import SamMaskDecoder
from samari.sam.model import SamModel
from samari.sam.outputs import SamImageSegmentationOutput, SamVisionEncoderOutput
from samari.sam.prompt_encoder import SamPositionalEmbedding, SamPromptEncoder
from samari.sam.vision_encoder import SamVisionEncoder

__all__ = [
    "SamConfig",
    "SamImageSegmentationOutput",
    "SamMaskDecoder",
    "SamMaskDecoderConfig",
    "SamModel",
    "SamPositionalEmbedding",
    "SamPromptEncoder",
    "SamPromptEncoderConfig",
    "SamVisionConfig",
    "SamVisionEncoder",
    "SamVisionEncoderOutput",
    "vit_config",
]
