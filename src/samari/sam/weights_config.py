"""Works out the configuration of a network from the shapes of its tensors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from samari.errors import WeightsError
from samari.sam.config import SamConfig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch

#: What shapes cannot tell where a file has no relative positions: width to heads, global layers.
_PUBLISHED: dict[int, tuple[int, list[int]]] = {
    768: (12, [2, 5, 8, 11]),
    1024: (16, [5, 11, 17, 23]),
    1280: (16, [7, 15, 23, 31]),
}
#: The published decoders' attention heads; no tensor's shape depends on them.
_DECODER_HEADS = 8


def infer_config(tensors: dict[str, torch.Tensor], path: Path) -> SamConfig:
    """Return the configuration that fits tensors with published names.

    Heads and windows of the encoder follow from the relative positions: a table of ``2 n - 1`` rows
    as wide as one head belongs to a window (or, in a global layer, a grid) of n tokens a side. The
    decoder's number of heads cannot be seen and is taken as the published one.

    Parameters
    ----------
    tensors : dict of str to tensor
        With published names.
    path : Path
        Named in errors.

    Raises
    ------
    WeightsError
        If a tensor that is needed is missing or has an impossible shape, or the shapes leave the
        configuration open. The way out is a ``config.json`` beside the file.
    """
    shapes = _Shapes(tensors, path)
    vision = _vision(shapes)
    patch = {"image_size": vision["image_size"], "patch_size": vision["patch_size"]}
    prompt = {
        **patch,
        "hidden_size": shapes.of("prompt_encoder.no_mask_embed.weight", 2)[1],
        "mask_input_channels": shapes.of("prompt_encoder.mask_embed.conv2.weight", 4)[0],
        "num_point_embeddings": shapes.count(r"prompt_encoder\.point_embed\.(\d+)\.weight"),
    }
    return SamConfig(vision, prompt, _decoder(shapes))


def _vision(shapes: _Shapes) -> dict[str, Any]:
    width, channels, patch, _ = shapes.of("vision_encoder.patch_embed.projection.weight", 4)
    layers = shapes.count(r"vision_encoder\.layers\.(\d+)\.attn\.qkv\.weight")
    mlp_dim = shapes.of("vision_encoder.layers.0.mlp.lin1.weight", 2)[0]
    tables = [
        shapes.of(f"vision_encoder.layers.{i}.attn.rel_pos_h", 2, optional=True)
        for i in range(layers)
    ]
    known = [table for table in tables if table is not None]
    sides = [(rows + 1) // 2 for rows, _ in known]
    pos_embed = shapes.of("vision_encoder.pos_embed", 4, optional=True)
    # Without absolute positions the widest table is that of the global layers.
    grid = pos_embed[1] if pos_embed is not None else max(sides, default=0)
    if len(known) == layers:
        heads = width // known[0][1]
        global_layers = [i for i, side in enumerate(sides) if side == grid]
        windows = {side for side in sides if side != grid}
    elif not known and width in _PUBLISHED and grid:
        heads, global_layers = _PUBLISHED[width]
        windows = {14}
    else:
        raise shapes.open_question("the encoder's heads and windows")
    if len(windows) > 1:
        raise shapes.open_question(f"the window size, which is one of {sorted(windows)},")
    return {
        "hidden_size": width,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": grid * patch,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "global_attn_indexes": global_layers,
        "window_size": windows.pop() if windows else 14,
        "mlp_dim": mlp_dim,
        "mlp_ratio": mlp_dim / width,
        "qkv_bias": shapes.has("vision_encoder.layers.0.attn.qkv.bias"),
        "use_abs_pos": pos_embed is not None,
        "use_rel_pos": bool(known),
        "output_channels": shapes.of("vision_encoder.neck.conv1.weight", 4)[0],
        "num_pos_feats": shapes.of("shared_image_embedding.positional_embedding", 2)[1],
    }


def _decoder(shapes: _Shapes) -> dict[str, Any]:
    tokens, width = shapes.of("mask_decoder.mask_tokens.weight", 2)
    layers = "mask_decoder.transformer.layers"
    inner = shapes.of(f"{layers}.0.cross_attn_token_to_image.q_proj.weight", 2)[0]
    head = "mask_decoder.iou_prediction_head"
    return {
        "hidden_size": width,
        "num_multimask_outputs": tokens - 1,
        "num_hidden_layers": shapes.count(
            r"mask_decoder\.transformer\.layers\.(\d+)\.self_attn\.q_proj\.weight"
        ),
        "num_attention_heads": _DECODER_HEADS,
        "mlp_dim": shapes.of(f"{layers}.0.mlp.lin1.weight", 2)[0],
        "attention_downsample_rate": max(1, width // inner),
        "iou_head_hidden_dim": shapes.of(f"{head}.proj_in.weight", 2)[0],
        "iou_head_depth": 2
        + shapes.count(r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\.weight"),
    }


class _Shapes:
    """The shapes in a file, and errors that name what is missing among them."""

    def __init__(self, tensors: dict[str, torch.Tensor], path: Path) -> None:
        self._shapes = {key: tuple(value.shape) for key, value in tensors.items()}
        self._path = path

    def has(self, name: str) -> bool:
        """Tell whether a tensor is there."""
        return name in self._shapes

    def of(self, name: str, ndim: int, *, optional: bool = False) -> Any:
        """Return a shape of `ndim` sizes, all of them positive; None for an absent optional one."""
        if name not in self._shapes:
            if optional:
                return None
            raise WeightsError(f"{self._path} lacks tensor {name}: another kind of network, or cut")
        shape = self._shapes[name]
        if len(shape) != ndim or not all(shape):
            raise WeightsError(
                f"{self._path}: tensor {name} has shape {shape}, where {ndim} sizes are expected"
            )
        return shape

    def count(self, pattern: str) -> int:
        """Return how many layers there are: one more than the highest number, none left out."""
        numbers = sorted(_numbers(pattern, self._shapes))
        if numbers != list(range(len(numbers))):
            lacking = next(i for i, number in enumerate(numbers) if i != number)
            name = pattern.replace("\\", "").replace("(d+)", str(lacking))
            raise WeightsError(f"{self._path} lacks tensor {name}")
        return len(numbers)

    def open_question(self, what: str) -> WeightsError:
        """Return the error for what shapes do not tell."""
        return WeightsError(
            f"{self._path}: {what} cannot be told from its tensors; put the model's config.json "
            "beside it"
        )


def _numbers(pattern: str, names: Iterable[str]) -> set[int]:
    return {int(match[1]) for match in (re.fullmatch(pattern, name) for name in names) if match}
