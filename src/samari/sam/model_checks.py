"""What `SamModel` looks at before it computes: widths that fit, shapes that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from samari.sam.config import SamConfig


def check_widths(config: SamConfig) -> None:
    """Raise a ValueError where the three parts of a network do not fit together."""
    vision, prompt = config.vision_config, config.prompt_encoder_config
    widths = {
        "vision_config.output_channels": vision.output_channels,
        "2 * vision_config.num_pos_feats": 2 * vision.num_pos_feats,
        "prompt_encoder_config.hidden_size": prompt.hidden_size,
        "mask_decoder_config.hidden_size": config.mask_decoder_config.hidden_size,
    }
    if len(set(widths.values())) > 1:
        raise ValueError(f"these must be equal, got {widths}")
    if (vision.image_size, vision.patch_size) != (prompt.image_size, prompt.patch_size):
        raise ValueError(
            f"vision_config and prompt_encoder_config differ in image_size or patch_size: "
            f"{(vision.image_size, vision.patch_size)} and {(prompt.image_size, prompt.patch_size)}"
        )


def check_prompts(
    image: torch.Tensor | None,
    points: torch.Tensor | None,
    labels: torch.Tensor | None,
    boxes: torch.Tensor | None,
    masks: torch.Tensor | None,
) -> None:
    """Raise a ValueError that names the shapes where ranks or batch sizes do not fit."""
    if image is None or image.ndim != 4:
        shape = None if image is None else tuple(image.shape)
        raise ValueError(f"the image must be (batch, channels, height, width), got {shape}")
    named = {"input_points": points, "input_boxes": boxes, "input_masks": masks}
    layout = {
        "input_points": "(batch, prompts, points, 2)",
        "input_boxes": "(batch, prompts, 4)",
        "input_masks": "(batch, 1 or prompts, height, width)",
    }
    rank = {"input_points": (4, 2), "input_boxes": (3, 4), "input_masks": (4, None)}
    prompts = 1
    for name, value in named.items():
        if value is None:
            continue
        shape, (ndim, last) = tuple(value.shape), rank[name]
        if len(shape) != ndim or (last is not None and shape[-1] != last):
            raise ValueError(f"{name} must be {layout[name]}, got shape {shape}")
        if shape[0] != image.shape[0]:
            raise ValueError(f"{name} of shape {shape} for a batch of {image.shape[0]} images")
        if name == "input_points" or (points is None and name == "input_boxes"):
            prompts = shape[1]
        elif shape[1] != prompts and not (name == "input_masks" and shape[1] == 1):
            raise ValueError(f"{name} of shape {shape} for {prompts} prompts an image")
    if labels is not None:
        if points is None:
            raise ValueError(f"input_labels of shape {tuple(labels.shape)} without input_points")
        if labels.shape != points.shape[:3]:
            raise ValueError(
                f"input_labels of shape {tuple(labels.shape)} for input_points of shape "
                f"{tuple(points.shape)}"
            )
