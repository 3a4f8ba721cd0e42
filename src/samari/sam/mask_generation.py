"""Everything in an image: masks from a grid of points, filtered and without duplicates.

Source: Kirillov et al., "Segment Anything" (2023), appendix B.
"""

from __future__ import annotations

import base64
import binascii
import io
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps

from samari.sam import images as im
from samari.sam import masks as mk
from samari.sam.image_processing import SamImageProcessor
from samari.sam.image_sizes import as_pair, as_pairs, preprocess_shape
from samari.sam.mask_processing import restore
from samari.sam.model import SamModel

if TYPE_CHECKING:
    import os
    from collections.abc import Generator

    from samari.sam.fast_decoder import PreparedImage

DEFAULT_MODEL = "facebook/sam-vit-huge"

#: Largest number of pixels of full-size logits that are in memory at a time.
_PIXELS_AT_ONCE = 2**25

_DEFAULTS: dict[str, Any] = {
    "points_per_batch": 64,
    "points_per_crop": 32,
    "crops_n_layers": 0,
    "crop_overlap_ratio": 512 / 1500,
    "crop_n_points_downscale_factor": 1,
    "pred_iou_thresh": 0.88,
    "stability_score_thresh": 0.95,
    "stability_score_offset": 1,
    "mask_threshold": 0,
    "crops_nms_thresh": 0.7,
    "output_rle_mask": False,
    "output_bboxes_mask": False,
    "timeout": None,
}


class MaskGenerationPipeline:
    """Segments everything in an image.

    Parameters
    ----------
    model : SamModel
        The network; set to evaluation mode and moved to the device.
    image_processor : SamImageProcessor
        Prepares images for the network.
    device : torch.device, str or int, optional
        Where to compute: a number is a GPU, -1 the CPU. Where the model is, if not given.
    dtype : torch.dtype, optional
        Floating point type of the network.
    **settings
        Defaults of the arguments of a call.
    """

    def __init__(
        self,
        model: SamModel,
        image_processor: SamImageProcessor,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        **settings: Any,
    ) -> None:
        if isinstance(device, int):
            device = "cpu" if device < 0 else f"cuda:{device}"
        self.device = model.device if device is None else torch.device(device)
        self.model = model.eval().to(device=self.device, dtype=dtype or model.dtype)
        self.image_processor = image_processor
        self.settings = _with(_DEFAULTS, settings)

    def __call__(self, image: Any, **settings: Any) -> Any:
        """Segment one image, or each of a list.

        Parameters
        ----------
        image : str, Path, PIL image, array, or a list of these
            An address, a file, or the image itself.
        points_per_batch : int or None
            Points that go through the decoder at a time; None for all.
        points_per_crop : int
            Points a side of the grid; 32 gives 1024.
        crops_n_layers : int
            Number of layers of crops beside the whole image; layer i has 4 ** i.
        crop_overlap_ratio : float
            Overlap of the crops in the first layer, as a fraction of the image's shorter side.
        crop_n_points_downscale_factor : int
            By how much points a side shrink from layer to layer.
        pred_iou_thresh, stability_score_thresh : float
            What a mask's predicted overlap and its stability must exceed.
        stability_score_offset, mask_threshold : float
            See `samari.sam.masks.stability_scores`.
        crops_nms_thresh : float
            Largest overlap of two boxes that is allowed.
        output_rle_mask, output_bboxes_mask : bool
            Whether to return ``rle_mask`` and ``bounding_boxes`` too.
        timeout : float, optional
            Seconds to wait for an address.

        Returns
        -------
        dict, or list of dict
            ``masks``: list of (H, W) boolean arrays, best first; ``scores``: (K,) tensor;
            ``rle_mask``: list of COCO run lengths; ``bounding_boxes``: (K, 4) tensor of
            (x0, y0, x1, y1) in pixels of the image. Without any mask they are empty.

        Raises
        ------
        ValueError
            If there is no such image, or a number is out of range.
        TypeError
            If an argument is unknown.
        """
        if isinstance(image, (list, tuple)):
            return [self(one, **settings) for one in image]
        steps = self.steps(image, **settings)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def steps(
        self, image: Any, **settings: Any
    ) -> Generator[tuple[int, int], None, dict[str, Any]]:
        """Do the same as a call, batch by batch, so that a caller can show progress and cancel.

        Yields
        ------
        (int, int)
            Points done, and their number.
        """
        chosen = _with(self.settings, settings)
        array, layout = im.read_image(load_image(image, chosen["timeout"]), None, True, 3)
        size = im.size_of(array, layout)
        array = im.to_layout(array, layout, im.LAST)
        boxes, levels = mk.crop_boxes(size, chosen["crops_n_layers"], chosen["crop_overlap_ratio"])
        factor = chosen["crop_n_points_downscale_factor"]
        grids = [
            mk.point_grid(max(1, int(chosen["points_per_crop"] / factor**level)))
            for level in levels
        ]
        total, done = sum(map(len, grids)), 0
        found: list[tuple[list[dict[str, Any]], torch.Tensor, torch.Tensor]] = []
        for crop, grid in zip(boxes, grids, strict=True):
            left, top, right, bottom = crop
            encoded, points, frame = self._encode(array[top:bottom, left:right], grid)
            with torch.inference_mode():
                quick = encoded.device.type == "cpu"  # elsewhere it is of no use
                prepared = self.model.prepare_image(encoded) if quick else None
            at_once = chosen["points_per_batch"] or len(points)
            for start in range(0, len(points), at_once):
                batch = points[start : start + at_once]
                found += self._decode(encoded, prepared, batch, frame, crop, size, chosen)
                done += len(batch)
                yield done, total
        return self._collect(found, chosen)

    @torch.inference_mode()
    def _encode(
        self, crop: np.ndarray, grid: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[int, int]]:
        """Return the embedding of a crop, its points in the frame, and its size in the frame."""
        inputs = self.image_processor(crop, return_tensors="pt", input_data_format=im.LAST)
        pixels = inputs["pixel_values"].to(device=self.device, dtype=self.model.dtype)
        height, width = crop.shape[:2]
        longest = self.image_processor.size["longest_edge"]
        rows, columns = preprocess_shape((height, width), longest)
        points = grid * np.array([width, height]) * np.array([columns / width, rows / height])
        frame = as_pairs(inputs["reshaped_input_sizes"])[0]
        return self.model.get_image_embeddings(pixels), torch.from_numpy(points), frame

    @torch.inference_mode()
    def _decode(
        self,
        embedding: torch.Tensor,
        prepared: PreparedImage | None,
        points: torch.Tensor,
        frame: tuple[int, int],
        crop: tuple[int, int, int, int],
        size: tuple[int, int],
        chosen: dict[str, Any],
    ) -> list[tuple[list[dict[str, Any]], torch.Tensor, torch.Tensor]]:
        """Return run lengths, scores and boxes, all in the image, of the masks that pass."""
        # Apple's GPUs have no float64; elsewhere the points stay as exact as the reference's.
        precision = torch.float32 if self.device.type == "mps" else torch.float64
        prompts = points[None, :, None].to(device=self.device, dtype=precision)
        least = chosen["pred_iou_thresh"]
        if least <= 0:  # as in the reference, where a threshold of 0 keeps all
            least = None
        output = self.model(
            image_embeddings=embedding,
            input_points=prompts,
            prepared=prepared,
            least_score=least,
        )
        logits, scores = output.pred_masks[0].flatten(0, 1), output.iou_scores[0].flatten(0, 1)
        if least is not None:
            # Most masks fail here, before the costly step, which is to enlarge them.
            good = scores > least
            logits, scores = logits[good], scores[good]
        left, top, right, bottom = crop
        padded = as_pair(self.image_processor.pad_size)
        pixels = max((bottom - top) * (right - left), padded[0] * padded[1])
        at_once = max(1, _PIXELS_AT_ONCE // pixels)
        found = []
        for part in range(0, len(scores), at_once):
            full = restore(
                logits[part : part + at_once, None].float(),
                padded,
                frame,
                (bottom - top, right - left),
            )
            runs, kept, boxes = self.image_processor.filter_masks(
                full,
                scores[part : part + at_once, None],
                size,
                crop,
                chosen["pred_iou_thresh"],
                chosen["stability_score_thresh"],
                chosen["mask_threshold"],
                chosen["stability_score_offset"],
            )
            offset = torch.tensor([left, top, left, top])
            found.append((runs, kept.cpu(), boxes.cpu() + offset))
        return found

    def _collect(
        self,
        found: list[tuple[list[dict[str, Any]], torch.Tensor, torch.Tensor]],
        chosen: dict[str, Any],
    ) -> dict[str, Any]:
        """Drop duplicates among the masks of all batches and crops."""
        runs = [run for part in found for run in part[0]]
        scores = torch.cat([part[1] for part in found] or [torch.zeros(0)])
        boxes = torch.cat([part[2] for part in found] or [torch.zeros(0, 4, dtype=torch.int64)])
        masks, scores, runs, boxes = self.image_processor.post_process_for_mask_generation(
            runs, scores, boxes, chosen["crops_nms_thresh"]
        )
        result: dict[str, Any] = {"masks": masks, "scores": scores}
        if chosen["output_rle_mask"]:
            result["rle_mask"] = runs
        if chosen["output_bboxes_mask"]:
            result["bounding_boxes"] = boxes
        return result


def pipeline(
    task: str = "mask-generation",
    model: SamModel | str | os.PathLike[str] | None = None,
    image_processor: SamImageProcessor | None = None,
    device: torch.device | str | int | None = None,
    torch_dtype: torch.dtype | None = None,
    **settings: Any,
) -> MaskGenerationPipeline:
    """Make a `MaskGenerationPipeline` from a name.

    Parameters
    ----------
    task : {"mask-generation"}
        The only task there is.
    model : SamModel, str or Path, optional
        A network, a folder or a hub id; the published ViT-H where not given, as in the reference.
    image_processor : SamImageProcessor, optional
        The model's own where not given.
    device, torch_dtype, **settings
        See `MaskGenerationPipeline`.
    """
    if task != "mask-generation":
        raise ValueError(f"the only task is 'mask-generation', got {task!r}")
    source = DEFAULT_MODEL if model is None else model
    network = source if isinstance(source, SamModel) else SamModel.from_pretrained(source)
    if image_processor is None:
        if isinstance(source, SamModel):
            image_processor = SamImageProcessor.from_model_config(source.config.to_dict())
        else:
            image_processor = SamImageProcessor.from_pretrained(source)
    return MaskGenerationPipeline(network, image_processor, device, torch_dtype, **settings)


def load_image(image: Any, timeout: float | None = None) -> Any:
    """Open an address, a file or a base64 text as an upright RGB image; pass images through.

    Raises
    ------
    ValueError
        If a text is none of these.
    """
    if isinstance(image, Path):
        image = str(image)
    if isinstance(image, str):
        image = _open(image, timeout)
    if isinstance(image, Image.Image):
        upright: Image.Image = ImageOps.exif_transpose(image)
        return upright.convert("RGB")
    return image


def _open(text: str, timeout: float | None) -> Image.Image:
    if text.startswith(("http://", "https://")):
        with urllib.request.urlopen(text, timeout=timeout) as answer:
            return _decoded(answer.read(), text)
    if Path(text[:4096]).is_file():
        return _decoded(Path(text).read_bytes(), text)
    if text.startswith("data:image/"):
        text = text.partition(",")[2]
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(
            f"an image must be an address, a file or base64 text, got {text[:80]!r}"
        ) from error
    return _decoded(content, text)


def _decoded(content: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{name[:80]!r} is not an image that can be read: {error}") from error
    return image


def _with(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return settings with changes, after a check of names and ranges."""
    unknown = changes.keys() - _DEFAULTS.keys()
    if unknown:
        raise TypeError(f"MaskGenerationPipeline has no argument {sorted(unknown)[0]!r}")
    chosen = {**settings, **changes}
    lowest = {"points_per_batch": 1, "points_per_crop": 1, "crops_n_layers": 0}
    for name, least in lowest.items():
        value = chosen[name]
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return chosen
