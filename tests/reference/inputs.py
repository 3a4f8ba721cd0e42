"""Random inputs of the processors and the pipeline, the same for the reference and for us.

Every case comes from a generator of its own, so that cases can be added at the end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

CASES = 340
#: From this case on, calls have rarer settings.
RARE = 280
SPECIAL_SIZES = [
    (1, 1), (1, 40), (40, 1), (3, 50), (50, 3), (3, 3), (2, 2), (3000, 17), (17, 3000), (1, 3),
    (3, 1), (2048, 31), (500, 500), (4, 4), (1024, 64), (5, 7),
]  # fmt: skip
KINDS = [
    *["pil", "pil", "pil", "last", "last", "first", "torch", "fractions", "list_pil", "last"],
    *["first", "torch", "torch_last", "fractions", "floats", "float64", "int32", "bool"],
    *["one_channel", "batch", "batch_list", "list_pil", "pil_l", "pil_rgba", "pil_p", "grey"],
    *["rgba", "tuple"],
]


@dataclass
class Case:
    """Arguments of one call of a processor."""

    index: int
    kind: str
    images: Any
    setup: dict[str, Any]
    arguments: dict[str, Any] = field(default_factory=dict)

    def converts(self) -> bool:
        """Tell whether grey and RGBA images become RGB."""
        return bool(self.arguments.get("do_convert_rgb", True))

    def digest(self) -> str:
        """Return a hash of all numbers in the inputs."""
        return hashlib.sha256(_bytes([self.images, self.arguments])).hexdigest()[:16]


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"".join(key.encode() + _bytes(value[key]) for key in sorted(value))
    if isinstance(value, (list, tuple)):
        return b"[" + b"".join(map(_bytes, value)) + b"]"
    if isinstance(value, (Image.Image, torch.Tensor)):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    return repr(value).encode()


def _picture(rng: np.random.Generator, size: tuple[int, int], channels: int) -> np.ndarray:
    """Return smooth blobs and noise, (height, width, channels) uint8."""
    rows = np.linspace(0, 1, size[0])[:, None, None]
    columns = np.linspace(0, 1, size[1])[None, :, None]
    centre, slope = rng.random((2, channels)), rng.integers(1, 5, channels)
    wave = np.sin(6 * (rows - centre[0])) * np.cos(6 * slope * (columns - centre[1]))
    noise = rng.integers(-30, 31, (*size, channels))
    return np.clip(np.rint(128 + 90 * wave) + noise, 0, 255).astype(np.uint8)


def _size(rng: np.random.Generator, index: int) -> tuple[int, int]:
    if index < len(SPECIAL_SIZES):
        return SPECIAL_SIZES[index]
    return int(2 ** rng.uniform(2, 7)), int(2 ** rng.uniform(2, 7))


def _images(rng: np.random.Generator, kind: str, size: tuple[int, int]) -> Any:
    picture = _picture(rng, size, 4 if kind in ("rgba", "pil_rgba") else 3)
    if kind in ("pil", "pil_rgba"):
        return Image.fromarray(picture)
    if kind in ("pil_l", "pil_p"):
        return Image.fromarray(picture[..., 0]).convert(kind[-1].upper())
    if kind == "grey":
        return picture[..., 0]
    if kind == "one_channel":
        return picture[..., :1]
    if kind in ("last", "rgba"):
        return picture
    if kind == "first":
        return np.ascontiguousarray(picture.transpose(2, 0, 1))
    if kind == "torch":
        return torch.from_numpy(picture.transpose(2, 0, 1).copy())
    if kind == "torch_last":
        return torch.from_numpy(picture).float()
    if kind == "fractions":
        return (picture / 255).astype(np.float32)
    if kind == "floats":
        return picture.transpose(2, 0, 1).astype(np.float32)
    if kind == "float64":
        return picture / 256
    if kind == "int32":
        return picture.astype(np.int32)
    if kind == "bool":
        return picture > 128
    more = [_picture(rng, size, 3) for _ in range(int(rng.integers(1, 3)))]
    if kind == "batch":
        return np.stack([picture, *more])
    more = [_picture(rng, (int(rng.integers(4, 60)), int(rng.integers(4, 60))), 3) for _ in more]
    if kind == "list_pil":
        return [Image.fromarray(image) for image in [picture, *more]]
    return (picture, *more) if kind == "tuple" else [picture, *more]


def _shape(image: Any) -> tuple[int, int]:
    """Return (height, width) of an image of ours."""
    if isinstance(image, Image.Image):
        return image.size[::-1]
    shape = tuple(image.shape)
    if len(shape) == 2:
        return shape
    return shape[1:] if shape[0] == 3 else shape[:2]


def _prompts(rng: np.random.Generator, sizes: list[tuple[int, int]]) -> dict[str, Any]:
    """Return points, labels and boxes for each image, in one of many ways to write them."""
    style = rng.choice(["none", "points", "many", "ragged", "tensor", "boxes", "both", "one_entry"])
    if style == "none":
        return {}
    count, prompts = int(rng.integers(1, 4)), int(rng.integers(1, 4))

    def point(size: tuple[int, int]) -> list[float]:
        return [round(rng.random() * size[1], 2), round(rng.random() * size[0], 2)]

    def box(size: tuple[int, int]) -> list[float]:
        first, second = point(size), point(size)
        return [*map(min, first, second), *map(max, first, second)]

    boxes = [[box(size) for _ in range(prompts)] for size in sizes]
    if style == "boxes":
        return {"input_boxes": boxes}
    if style == "many":
        points: Any = [[[point(s) for _ in range(count)] for _ in range(prompts)] for s in sizes]
        labels: Any = rng.integers(0, 2, (len(sizes), prompts, count)).tolist()
    elif style == "ragged":
        counts = [count + i % 2 for i in range(len(sizes))]
        points = [[point(s) for _ in range(n)] for s, n in zip(sizes, counts, strict=True)]
        labels = [rng.integers(0, 2, n).tolist() for n in counts]
    else:
        sizes = sizes[:1] if style == "one_entry" else sizes
        points = [[point(size) for _ in range(count)] for size in sizes]
        labels = rng.integers(0, 2, (len(sizes), count)).tolist()
    given = {"input_points": points}
    if style == "tensor":
        given["input_points"] = torch.tensor(points, dtype=torch.float64)
        labels = torch.tensor(labels)
    if style != "many" or rng.random() < 0.5:
        given["input_labels"] = labels
    if style == "both":
        given["input_points"] = [[[point(s)] for _ in range(prompts)] for s in sizes]
        given["input_labels"] = [[[1]] * prompts for _ in sizes]
        given["input_boxes"] = boxes
    return given


def _options(rng: np.random.Generator, batch: int) -> dict[str, Any]:
    """Return settings of one call; most calls change one or none."""
    choices: list[dict[str, Any]] = [
        {},
        {},
        {},
        {"do_rescale": False},
        {"do_normalize": False},
        {"do_rescale": False, "do_normalize": False},
        {"rescale_factor": 0.5},
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [1.0, 2.0, 4.0]},
        {"image_mean": 0.5, "image_std": 0.25},
        {"data_format": "channels_last"},
        {"data_format": None},
        {"resample": 0},
        {"resample": 3},
        {"size": {"longest_edge": 12}},
        {"pad_size": {"height": 40, "width": 36}},
        {"do_convert_rgb": False},
    ]
    if batch == 1:
        choices.append({"do_pad": False})
    return choices[int(rng.integers(len(choices)))]


def _rare_options(rng: np.random.Generator, kind: str, batch: int) -> dict[str, Any]:
    """Return settings of one call that few people use."""
    large = {"pad_size": {"height": 160, "width": 170}}
    masks = {"mask_pad_size": {"height": 180, "width": 150}}
    first = kind in ("first", "torch", "floats")
    choices: list[dict[str, Any]] = [
        {"do_resize": False, **large, **masks},
        {"do_resize": False, "do_rescale": False, **large, **masks},
        {"mask_size": {"longest_edge": 10}, "mask_pad_size": {"height": 11, "width": 13}},
        {"mask_size": {"longest_edge": 40}, "mask_pad_size": {"height": 40, "width": 40}},
        {"resample": 1},
        {"resample": 4},
        {"resample": 5},
        {"do_normalize": False, "do_rescale": True, "rescale_factor": 2.0},
        {"size": {"longest_edge": 20}, "pad_size": {"height": 20, "width": 24}},
    ]
    if not kind.startswith(("list_pil", "pil_l", "pil_p", "grey", "one_channel")):
        layout = "channels_first" if first else "channels_last"
        choices += [
            {"input_data_format": layout},
            {"input_data_format": layout, "data_format": "channels_last"},
        ]
    if batch == 1:
        choices += [{"do_resize": False, "do_pad": False}, {"do_pad": False, "resample": 0}]
    return choices[int(rng.integers(len(choices)))]


def processor_cases() -> list[Case]:
    """Return all calls of the processor."""
    cases = []
    for index in range(CASES):
        rng = np.random.default_rng([20240, index])
        kind = KINDS[index % len(KINDS)]
        size = _size(rng, index)
        if kind == "rgba" and size[0] in (1, 3, 4):
            # (3, W, 4) is taken for channels of images of width 4, here as in the reference.
            size = (7, size[1])
        images = _images(rng, kind, size)
        listed = list(images) if kind in ("batch", "batch_list", "list_pil", "tuple") else [images]
        sizes = [_shape(image) for image in listed]
        edge = int(rng.choice([16, 24, 32]))
        if index % 40 == 39:
            edge = 1024
        setup = {
            "size": {"longest_edge": edge},
            "pad_size": {"height": edge, "width": edge},
            "mask_size": {"longest_edge": edge // 2},
            "mask_pad_size": {"height": edge // 2, "width": edge // 2},
        }
        count = len(listed)
        rare = index >= RARE
        options = _rare_options(rng, kind, count) if rare else _options(rng, count)
        arguments = {**options, **_prompts(rng, sizes)}
        arguments["return_tensors"] = [None, "np", "pt"][int(rng.integers(3))]
        if rng.random() < 0.3:
            maps = [rng.integers(0, 5, size).astype(np.int64) for size in sizes]
            one = len(maps) == 1 and rng.random() >= 0.5
            arguments["segmentation_maps"] = maps[0] if one else maps
        cases.append(Case(index, kind, images, setup, arguments))
    return cases


@dataclass
class PipelineCase:
    """One image for the pipeline."""

    image: Image.Image
    arguments: dict[str, Any]


def pipeline_cases() -> list[PipelineCase]:
    """Return 20 images of different sizes, with different thresholds."""
    cases = []
    for index in range(20):
        rng = np.random.default_rng([777, index])
        size = (int(rng.integers(20, 110)), int(rng.integers(20, 110)))
        picture = Image.fromarray(_picture(rng, size, 3))
        arguments = {
            "points_per_crop": 32 if index == 8 else [16, 8, 8, 8][index % 4],
            "points_per_batch": [64, 64, 32, 16][index % 4],
            "pred_iou_thresh": [-1.0, 0.1, 0.3, 0.0][index % 4],
            "stability_score_thresh": [0.05, 0.3, 0.1, 0.02, 0.2][index // 4],
            "stability_score_offset": [0.1, 0.05][index % 2],
            "mask_threshold": [1.2, 1.6, 2.0][index % 3],
            "crops_nms_thresh": [0.7, 0.95, 0.9][index % 3],
        }
        cases.append(PipelineCase(picture, arguments))
    return cases


def crop_cases() -> list[PipelineCase]:
    """Return 20 larger images, of which crops do not lose everything at their edges."""
    cases = []
    for index in range(20):
        rng = np.random.default_rng([888, index])
        size = (int(rng.integers(100, 260)), int(rng.integers(100, 260)))
        picture = Image.fromarray(_picture(rng, size, 3))
        arguments = {
            "points_per_crop": [8, 4, 6, 8][index % 4],
            "crop_n_points_downscale_factor": 1 + index % 2,
            "crop_overlap_ratio": [512 / 1500, 0.2, 0.5][index % 3],
            "pred_iou_thresh": [-1.0, 0.0, 0.1][index % 3],
            "stability_score_thresh": [0.05, 0.1][index % 2],
            "stability_score_offset": [0.1, 0.05][index // 2 % 2],
            "mask_threshold": [1.6, 2.0, 1.2, 1.8][index % 4],
            "crops_nms_thresh": [0.8, 0.7, 0.6, 0.5][index // 5],
        }
        cases.append(PipelineCase(picture, arguments))
    return cases


def method_cases() -> list[dict[str, Any]]:
    """Return arguments of the methods that work on masks, 24 of each."""
    cases = []
    for index in range(24):
        rng = np.random.default_rng([999, index])
        size = (int(rng.integers(5, 90)), int(rng.integers(5, 90)))
        side = int(rng.choice([16, 24, 32]))
        scale = 2 * side / max(size)
        frame = (int(size[0] * scale + 0.5), int(size[1] * scale + 0.5))
        count, prompts = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        coarse = torch.from_numpy(rng.normal(size=(count * prompts, 1, 5, 5)).astype(np.float32))
        logits = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
        corner = (int(rng.integers(0, 20)), int(rng.integers(0, 20)))
        more = (int(rng.integers(0, 20)), int(rng.integers(0, 20)))
        full = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
        cases.append(
            {
                "logits": logits.reshape(1, prompts, count, side, side),
                "size": size,
                "frame": frame,
                "pad": {"height": 2 * side, "width": 2 * side} if index % 3 else None,
                "threshold": [0.0, 0.3, -0.2][index % 3],
                "binarize": bool(index % 4),
                "full": full.reshape(prompts, count, *size),
                "scores": torch.from_numpy(rng.random((prompts, count)).astype(np.float32)),
                "image": (size[0] + corner[1] + more[1], size[1] + corner[0] + more[0]),
                "crop": [corner[0], corner[1], corner[0] + size[1], corner[1] + size[0]],
                "stability": [0.0, 0.3, 0.6][index % 3],
                "score": [0.0, 0.4][index % 2],
                "offset": [1, 0.2][index % 2],
                "overlap": [0.7, 0.3, 0.1][index % 3],
            }
        )
    return cases


def restored(processor_class: Any, case: dict[str, Any]) -> torch.Tensor:
    """Return the masks of a case as the processor, of the reference or ours, brings them back."""
    side = 2 * case["logits"].shape[-1]
    processor = processor_class(pad_size={"height": side, "width": side})
    (masks,) = processor.post_process_masks(
        case["logits"],
        torch.tensor([case["size"]]),
        torch.tensor([case["frame"]]),
        case["threshold"],
        case["binarize"],
        case["pad"],
    )
    return masks


def filtered(processor: Any, case: dict[str, Any]) -> Any:
    """Return what passes the filters of a processor, of the reference or ours."""
    names = ("full", "scores", "image", "crop", "score", "stability", "threshold", "offset")
    return processor.filter_masks(*(case[name] for name in names))
