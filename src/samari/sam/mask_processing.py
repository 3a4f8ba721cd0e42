"""Turns what the network returns into masks of the image; half of `SamImageProcessor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from samari.sam import images as im
from samari.sam import masks as mk
from samari.sam.batch import from_torch, stack, tensor_kind, to_torch
from samari.sam.image_sizes import as_pair, as_pairs, both_sides, preprocess_shape

if TYPE_CHECKING:
    from collections.abc import Sequence


class MaskProcessing:
    """Masks at the size of the image, crops and point grids, filters for automatic segmentation."""

    #: Size to which images are padded, ``{"height": h, "width": w}``.
    pad_size: dict[str, int]

    def post_process_masks(
        self,
        masks: Any,
        original_sizes: Any,
        reshaped_input_sizes: Any,
        mask_threshold: float = 0.0,
        binarize: bool = True,
        pad_size: dict[str, int] | int | None = None,
        return_tensors: Any = "pt",
    ) -> list[Any]:
        """Bring mask logits to the size of their images: enlarge, cut the padding, resize.

        Parameters
        ----------
        masks : (B, N, M, h, w) tensor or a list of B (N, M, h, w) tensors or arrays
            Mask logits of the network.
        original_sizes, reshaped_input_sizes : B pairs (height, width)
            As returned by `preprocess`.
        mask_threshold : float
            Logit above which a pixel belongs to the mask.
        binarize : bool
            Whether to return masks; logits otherwise.
        pad_size : dict or int, optional
            Size to which the images were padded; the processor's where not given.
        return_tensors : {"pt", "np", "tf", "jax"}
            Kind of the results.

        Returns
        -------
        list of B (N, M, height, width) tensors
            Boolean, or logits.
        """
        kind = tensor_kind(return_tensors)
        frame = as_pair(both_sides("pad_size", self.pad_size if pad_size is None else pad_size))
        results = []
        sizes = zip(as_pairs(original_sizes), as_pairs(reshaped_input_sizes), strict=True)
        for logits, (original, reshaped) in zip(masks, sizes, strict=True):
            full = restore(to_torch(logits), frame, reshaped, original)
            results.append(from_torch(full > mask_threshold if binarize else full, kind))
        return results

    def generate_crop_boxes(
        self,
        image: Any,
        target_size: int,
        crop_n_layers: int = 0,
        overlap_ratio: float = 512 / 1500,
        points_per_crop: int = 32,
        crop_n_points_downscale_factor: int = 1,
        device: torch.device | str | None = None,
        input_data_format: Any = None,
        return_tensors: Any = "pt",
    ) -> tuple[Any, Any, list[np.ndarray], Any]:
        """Cut an image into overlapping crops, each with a grid of points.

        Parameters
        ----------
        image : PIL image, array or tensor
            The image.
        target_size : int
            Longest edge of the network's input.
        crop_n_layers : int
            Number of layers beside the whole image; layer i has 4 ** i crops.
        overlap_ratio : float
            Overlap in the first layer, as a fraction of the image's shorter side.
        points_per_crop : int
            Points a side of the grid in the whole image.
        crop_n_points_downscale_factor : int
            By how much points a side shrink from layer to layer. As the points are returned as one
            array, it must be 1 with crops; `MaskGenerationPipeline` takes any.
        device : torch.device, optional
            Where torch tensors go.
        input_data_format : {"channels_first", "channels_last"}, optional
            Where the channels of the image are.
        return_tensors : {"pt", "np", "tf", "jax"}
            Kind of the boxes, points and labels.

        Returns
        -------
        boxes : (crops, 4) float32
            (x0, y0, x1, y1) of each crop.
        points : (1, points, crops, 2) float64
            Points (x, y) of each crop, scaled as the reference scales them: by the size of the
            whole image, not of the crop.
        crops : list of arrays
            The crops.
        labels : (1, points, crops) int64
            All 1.
        """
        kind = tensor_kind(return_tensors)
        array, layout = im.read_image(image, im.layout_name(input_data_format), False, None)
        size = im.size_of(array, layout)
        boxes, levels = mk.crop_boxes(size, crop_n_layers, overlap_ratio)
        height, width = preprocess_shape(size, target_size)
        crops, grids = [], []
        for (left, top, right, bottom), level in zip(boxes, levels, strict=True):
            window = (slice(top, bottom), slice(left, right))
            crops.append(array[(slice(None), *window)] if layout == im.FIRST else array[window])
            grid = mk.point_grid(int(points_per_crop / crop_n_points_downscale_factor**level))
            points = grid * np.array([right - left, bottom - top])
            grids.append(points * np.array([width / size[1], height / size[0]]))
        if len({len(grid) for grid in grids}) > 1:
            raise ValueError(
                f"crop_n_points_downscale_factor {crop_n_points_downscale_factor} gives crops with "
                f"different numbers of points {sorted({len(grid) for grid in grids})}, which do "
                "not make one array"
            )
        points = np.stack(grids, axis=1)[None]
        results: list[Any] = [np.array(boxes, np.float32), points]
        results.append(np.ones(points.shape[:3], np.int64))
        if kind is not None:
            results = [stack(value, kind, "points") for value in results]
        if kind == "pt" and device is not None:
            results = [value.to(device) for value in results]
        return results[0], results[1], crops, results[2]

    def filter_masks(
        self,
        masks: Any,
        iou_scores: Any,
        original_size: tuple[int, int],
        cropped_box_image: Sequence[float],
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        mask_threshold: float = 0,
        stability_score_offset: float = 1,
        return_tensors: Any = "pt",
    ) -> tuple[list[dict[str, Any]], Any, Any]:
        """Keep the masks of a crop that are good, stable, and not cut by an edge of the crop.

        Parameters
        ----------
        masks : (N, M, H, W) tensor
            Mask logits at the size of the crop.
        iou_scores : (N, M) tensor
            Their predicted overlaps.
        original_size : (int, int)
            Height and width of the image.
        cropped_box_image : (x0, y0, x1, y1)
            The crop.
        pred_iou_thresh, stability_score_thresh : float
            What scores and stability must exceed; 0 for no limit.
        mask_threshold, stability_score_offset : float
            See `samari.sam.masks.stability_scores`.
        return_tensors : {"pt", "np", "tf", "jax"}
            Kind of the scores and boxes.

        Returns
        -------
        masks : list of dict
            Run lengths in the image.
        scores : (K,) tensor
            Their predicted overlaps.
        boxes : (K, 4) tensor
            Their boxes, in pixels of the crop.
        """
        kind = tensor_kind(return_tensors)
        logits, scores = to_torch(masks).flatten(0, 1), to_torch(iou_scores).flatten(0, 1)
        if logits.shape[0] != scores.shape[0]:
            raise ValueError(
                f"as many masks as scores are needed, got shapes {tuple(logits.shape)} and "
                f"{tuple(scores.shape)} (prompts and masks flattened)"
            )
        scores = scores.to(logits.device)
        keep = torch.ones_like(scores, dtype=torch.bool)
        if pred_iou_thresh > 0:
            keep &= scores > pred_iou_thresh
        if stability_score_thresh > 0:
            stability = mk.stability_scores(logits, mask_threshold, stability_score_offset)
            keep &= stability > stability_score_thresh
        binary, scores = logits[keep] > mask_threshold, scores[keep]
        boxes = mk.mask_boxes(binary)
        whole = ~mk.cut_by_crop(boxes, cropped_box_image, original_size)
        binary = mk.place_in_image(binary[whole], cropped_box_image, original_size)
        return (
            mk.encode_rle(binary),
            from_torch(scores[whole], kind),
            from_torch(boxes[whole], kind),
        )

    def post_process_for_mask_generation(
        self,
        all_masks: list[dict[str, Any]],
        all_scores: Any,
        all_boxes: Any,
        crops_nms_thresh: float,
        return_tensors: Any = "pt",
    ) -> tuple[list[np.ndarray], Any, list[dict[str, Any]], Any]:
        """Drop masks whose boxes overlap with a better one; best score first.

        Parameters
        ----------
        all_masks : list of N dict
            Run lengths.
        all_scores : (N,) tensor
            Scores.
        all_boxes : (N, 4) tensor
            Boxes.
        crops_nms_thresh : float
            Largest overlap of two boxes that is allowed.
        return_tensors : {"pt", "np", "tf", "jax"}
            Kind of the scores and boxes.

        Returns
        -------
        masks : list of (H, W) boolean arrays
        scores : (K,) tensor
        run lengths : list of dict
        boxes : (K, 4) tensor
        """
        kind = tensor_kind(return_tensors)
        scores, boxes = to_torch(all_scores), to_torch(all_boxes)
        keep = mk.suppress_overlaps(boxes, scores, crops_nms_thresh)
        runs = [all_masks[int(index)] for index in keep]
        masks = [mk.decode_rle(run) for run in runs]
        return masks, from_torch(scores[keep], kind), runs, from_torch(boxes[keep], kind)


def restore(
    logits: torch.Tensor,
    frame: tuple[int, int],
    reshaped: tuple[int, int],
    original: tuple[int, int],
) -> torch.Tensor:
    """Resize (N, M, h, w) logits to the padded frame, cut the padding, resize to the image."""
    full = F.interpolate(logits, frame, mode="bilinear", align_corners=False)
    full = full[..., : reshaped[0], : reshaped[1]]
    return F.interpolate(full, original, mode="bilinear", align_corners=False)
