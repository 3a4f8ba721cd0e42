"""How tensors are called in weight files of every origin, and their published names.

The published names are those of the ``safetensors`` files on the model hub, which are also the
state-dict keys of `samari.sam.SamModel`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from samari.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

#: The matrix of the position code is one tensor under two names.
IMAGE_CODE = "shared_image_embedding.positional_embedding"
PROMPT_CODE = "prompt_encoder.shared_embedding.positional_embedding"

#: Where training programs put the weights beside an optimiser's state and the like.
_WRAPPERS = ("model_state", "model_state_dict", "state_dict", "model")
#: What training programs put before every name.
_PREFIXES = ("sam.", "module.", "model.", "_orig_mod.")
#: Constants of the original class that are no weights.
_CONSTANTS = frozenset({"pixel_mean", "pixel_std"})

#: Pattern in the original file, published name. Applied in this order, each to the whole name.
_ORIGINAL: tuple[tuple[str, str], ...] = (
    (r"image_encoder\.(.*)", r"vision_encoder.\1"),
    (r"vision_encoder\.patch_embed\.proj\.(.*)", r"vision_encoder.patch_embed.projection.\1"),
    (r"vision_encoder\.blocks\.(.*)", r"vision_encoder.layers.\1"),
    (r"vision_encoder\.layers\.(\d+)\.norm(\d)\.(.*)", r"vision_encoder.layers.\1.layer_norm\2.\3"),
    (r"vision_encoder\.neck\.0\.(.*)", r"vision_encoder.neck.conv1.\1"),
    (r"vision_encoder\.neck\.1\.(.*)", r"vision_encoder.neck.layer_norm1.\1"),
    (r"vision_encoder\.neck\.2\.(.*)", r"vision_encoder.neck.conv2.\1"),
    (r"vision_encoder\.neck\.3\.(.*)", r"vision_encoder.neck.layer_norm2.\1"),
    (r"prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", PROMPT_CODE),
    (r"prompt_encoder\.point_embeddings\.(.*)", r"prompt_encoder.point_embed.\1"),
    (r"prompt_encoder\.mask_downscaling\.0\.(.*)", r"prompt_encoder.mask_embed.conv1.\1"),
    (r"prompt_encoder\.mask_downscaling\.1\.(.*)", r"prompt_encoder.mask_embed.layer_norm1.\1"),
    (r"prompt_encoder\.mask_downscaling\.3\.(.*)", r"prompt_encoder.mask_embed.conv2.\1"),
    (r"prompt_encoder\.mask_downscaling\.4\.(.*)", r"prompt_encoder.mask_embed.layer_norm2.\1"),
    (r"prompt_encoder\.mask_downscaling\.6\.(.*)", r"prompt_encoder.mask_embed.conv3.\1"),
    (r"mask_decoder\.output_upscaling\.0\.(.*)", r"mask_decoder.upscale_conv1.\1"),
    (r"mask_decoder\.output_upscaling\.1\.(.*)", r"mask_decoder.upscale_layer_norm.\1"),
    (r"mask_decoder\.output_upscaling\.3\.(.*)", r"mask_decoder.upscale_conv2.\1"),
    (
        r"mask_decoder\.transformer\.layers\.(\d+)\.norm(\d)\.(.*)",
        r"mask_decoder.transformer.layers.\1.layer_norm\2.\3",
    ),
    (
        r"mask_decoder\.transformer\.norm_final_attn\.(.*)",
        r"mask_decoder.transformer.layer_norm_final_attn.\1",
    ),
)
#: The small networks at the decoder's end, whose first and last layer have names of their own.
_HEAD = re.compile(
    r"(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.(\d+)\.(.*)"
)

#: A part of a Keras name, its published name. The layout of the values is `weights_h5`'s concern.
_KERAS = {"kernel": "weight", "gamma": "weight", "beta": "bias"}


def unwrap(content: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in what a pickle held, whether flat or beside other training state.

    Raises
    ------
    WeightsError
        If the file holds no dict of tensors, or something else among them.
    """
    import torch

    inner = content
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            inner = content[key]
            break
    if not isinstance(inner, dict) or not inner:
        raise WeightsError(
            f"{path} holds {type(inner).__name__}, no table of tensors; export the model's "
            "state_dict() into it"
        )
    for key, value in inner.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(
                f"{path}: entry {key!r} is {type(value).__name__}, no tensor; export the model's "
                "state_dict() alone"
            )
    return dict(inner)


def published_names(
    tensors: dict[str, torch.Tensor], path: Path
) -> tuple[dict[str, torch.Tensor], str]:
    """Rename tensors of any origin.

    Parameters
    ----------
    tensors : dict of str to tensor
        As in the file. Keras names are expected to be renamed already (`keras_name`).
    path : Path
        Named in errors.

    Returns
    -------
    dict of str to tensor
        With published names; both names of the position code are there.
    str
        ``"published"`` or ``"original"``: whose names the file had.

    Raises
    ------
    WeightsError
        If these are no weights of Segment Anything.
    """
    tensors = _without_prefix({k: v for k, v in tensors.items() if k not in _CONSTANTS})
    parts = {key.partition(".")[0] for key in tensors}
    if not parts & {"image_encoder", "vision_encoder"} or "mask_decoder" not in parts:
        raise WeightsError(
            f"{path} holds no weights of Segment Anything: its tensors begin with "
            f"{', '.join(sorted(parts)[:4]) or 'nothing'}"
        )
    origin = "published"
    if "image_encoder" in parts:
        origin = "original"
        tensors = _rename_original(tensors)
    codes = [tensors[key] for key in (IMAGE_CODE, PROMPT_CODE) if key in tensors]
    if len(codes) == 2 and not codes[0].equal(codes[1]):
        raise WeightsError(f"{path}: {IMAGE_CODE} and {PROMPT_CODE} must be equal, but differ")
    if codes:
        tensors[IMAGE_CODE] = tensors[PROMPT_CODE] = codes[0]
    return tensors, origin


def original_names(names: list[str]) -> dict[str, str]:
    """Return the published name of each name in an original ``.pth`` file.

    Examples
    --------
    >>> original_names(["image_encoder.blocks.0.norm1.bias"])
    {'image_encoder.blocks.0.norm1.bias': 'vision_encoder.layers.0.layer_norm1.bias'}
    """
    heads = [match for match in map(_HEAD.fullmatch, names) if match]
    last: dict[str, int] = {}
    for match in heads:
        last[match[1]] = max(last.get(match[1], 0), int(match[2]))
    renamed = {}
    for name in names:
        new = name
        for pattern, replacement in _ORIGINAL:
            new = re.sub(rf"\A{pattern}\Z", replacement, new)
        head = _HEAD.fullmatch(new)
        if head:
            new = f"{head[1]}.{_head_layer(int(head[2]), last[head[1]])}.{head[3]}"
        renamed[name] = new
    return renamed


def keras_name(name: str) -> str:
    """Return the published name of a variable in a ``tf_model.h5``.

    Examples
    --------
    >>> keras_name("vision_encoder/tf_sam_model/vision_encoder/layers_._0/mlp/lin1/kernel:0")
    'vision_encoder.layers.0.mlp.lin1.weight'
    """
    group, _, inner = name.rpartition(":")[0].partition("/tf_sam_model/")
    if inner.startswith("shared_image_embedding/") and group == "prompt_encoder":
        return PROMPT_CODE
    parts = re.sub(r"_\._", "/", inner).replace(".", "/").split("/")
    return ".".join([*parts[:-1], _KERAS.get(parts[-1], parts[-1])])


def _head_layer(index: int, last: int) -> str:
    if index == 0:
        return "proj_in"
    return "proj_out" if index == last else f"layers.{index - 1}"


def _rename_original(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = original_names(list(tensors))
    return {names[key]: value for key, value in tensors.items()}


def _without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take off what training programs put before every name, as often as they did."""
    for _ in _PREFIXES:
        for prefix in _PREFIXES:
            if tensors and all(key.startswith(prefix) for key in tensors):
                tensors = {key[len(prefix) :]: value for key, value in tensors.items()}
    return tensors
