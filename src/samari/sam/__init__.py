"""Segment Anything in plain torch, with the names and weight files of its published reference."""

from __future__ import annotations

from samari.sam.batch import BatchFeature
from samari.sam.config import (
    SamConfig,
    SamMaskDecoderConfig,
    SamPromptEncoderConfig,
    SamVisionConfig,
    vit_config,
)
from samari.sam.image_processing import SamImageProcessor
from samari.sam.mask_decoder import SamMaskDecoder
from samari.sam.mask_generation import MaskGenerationPipeline, pipeline
from samari.sam.model import SamModel
from samari.sam.outputs import SamImageSegmentationOutput, SamVisionEncoderOutput
from samari.sam.predictor import SamPredictor, sam_model_registry
from samari.sam.predictor_frame import ResizeLongestSide
from samari.sam.processing import SamProcessor
from samari.sam.prompt_encoder import SamPositionalEmbedding, SamPromptEncoder
from samari.sam.vision_encoder import SamVisionEncoder

__all__ = [
    "BatchFeature",
    "MaskGenerationPipeline",
    "ResizeLongestSide",
    "SamConfig",
    "SamImageProcessor",
    "SamImageSegmentationOutput",
    "SamMaskDecoder",
    "SamMaskDecoderConfig",
    "SamModel",
    "SamPositionalEmbedding",
    "SamPredictor",
    "SamProcessor",
    "SamPromptEncoder",
    "SamPromptEncoderConfig",
    "SamVisionConfig",
    "SamVisionEncoder",
    "SamVisionEncoderOutput",
    "pipeline",
    "sam_model_registry",
    "vit_config",
]
