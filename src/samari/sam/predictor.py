"""`SamPredictor`: one image at a time, with the argument names of the ``segment_anything`` library.

Scripts written for that library run after a change of their import line.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from samari.errors import InputError
from samari.sam.config import vit_config
from samari.sam.image_processing import SamImageProcessor
from samari.sam.image_sizes import as_pair
from samari.sam.mask_processing import restore
from samari.sam.model import SamModel
from samari.sam.predictor_frame import ResizeLongestSide

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping


class SamPredictor:
    """Encodes an image once, then answers prompts on it.

    Points and boxes are (x, y) in pixels of the image, as in the original library; everywhere else
    in Samari but in `samari.sam` they are (y, x).

    Parameters
    ----------
    sam_model : SamModel
        The network; used where it is and set to evaluation mode.
    image_processor : SamImageProcessor, optional
        Prepares images; one that fits the network where not given.

    Attributes
    ----------
    model : SamModel
    transform : ResizeLongestSide
        Scales images and coordinates to the network's frame, for `predict_torch`.
    is_image_set : bool
    features : (1, C, h, w) tensor or None
        The embedding of the image.
    original_size, input_size : (height, width) or None
        Of the image, and of the image within the network's frame.
    """

    #: Logit above which a pixel belongs to a mask.
    mask_threshold: float = 0.0

    def __init__(
        self, sam_model: SamModel, image_processor: SamImageProcessor | None = None
    ) -> None:
        self.model = sam_model.eval()
        if image_processor is None:
            image_processor = SamImageProcessor.from_model_config(sam_model.config.to_dict())
        self.image_processor = image_processor
        self.transform = ResizeLongestSide(image_processor.size["longest_edge"])
        self.reset_image()

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return self.model.device

    def reset_image(self) -> None:
        """Forget the image."""
        self.is_image_set = False
        self.features: torch.Tensor | None = None
        self.original_size: tuple[int, int] | None = None
        self.input_size: tuple[int, int] | None = None

    def set_image(self, image: np.ndarray, image_format: str = "RGB") -> None:
        """Encode an image.

        Parameters
        ----------
        image : (H, W, 3) array of uint8
            Values 0 to 255.
        image_format : {"RGB", "BGR"}
            Order of its channels.

        Raises
        ------
        InputError
            If the image has another shape or dtype, or the format is unknown.
        """
        if image_format not in ("RGB", "BGR"):
            raise InputError(f"image_format must be 'RGB' or 'BGR', got {image_format!r}")
        array = np.asarray(image)
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
            raise InputError(
                f"the image must be an (H, W, 3) array of uint8, got shape {array.shape} of "
                f"{array.dtype}"
            )
        resized = self.transform.apply_image(array if image_format == "RGB" else array[..., ::-1])
        pixels = torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))[None]
        self.set_torch_image(pixels, (array.shape[0], array.shape[1]))

    @torch.inference_mode()
    def set_torch_image(
        self, transformed_image: torch.Tensor, original_image_size: tuple[int, int]
    ) -> None:
        """Encode an image that `transform` has resized already.

        Parameters
        ----------
        transformed_image : (1, 3, h, w) tensor
            RGB, values 0 to 255; the longer side has the network's image size.
        original_image_size : (int, int)
            Height and width before it was resized.

        Raises
        ------
        InputError
            If the tensor has another shape.
        """
        shape, length = tuple(transformed_image.shape), self.transform.target_length
        if len(shape) != 4 or shape[:2] != (1, 3) or max(shape[2:]) != length:
            raise InputError(
                f"the image must be a (1, 3, h, w) tensor with a longer side of {length} pixels, "
                f"got shape {shape}"
            )
        self.reset_image()
        settings = self.image_processor
        mean, std = (
            torch.as_tensor(value, dtype=torch.float32, device=self.device).reshape(-1, 1, 1)
            for value in (settings.image_mean, settings.image_std)
        )
        pixels = transformed_image.to(device=self.device, dtype=torch.float32)
        pixels = (pixels * settings.rescale_factor - mean) / std
        height, width = as_pair(settings.pad_size)
        pixels = F.pad(pixels, (0, width - shape[3], 0, height - shape[2]))
        self.features = self.model.get_image_embeddings(pixels.to(self.model.dtype))
        self.original_size = (int(original_image_size[0]), int(original_image_size[1]))
        self.input_size = (shape[2], shape[3])
        self.is_image_set = True

    def get_image_embedding(self) -> torch.Tensor:
        """Return the (1, C, h, w) embedding of the image.

        Raises
        ------
        InputError
            If no image is set.
        """
        self._check_image()
        assert self.features is not None
        return self.features

    def predict(
        self,
        point_coords: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        box: np.ndarray | None = None,
        mask_input: np.ndarray | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Predict the masks of one object.

        Parameters
        ----------
        point_coords : (K, 2) array, optional
            Points (x, y) in pixels of the image.
        point_labels : (K,) array, optional
            1 in the object, 0 not in it.
        box : (4,) array, optional
            Box (x0, y0, x1, y1) in pixels of the image.
        mask_input : (1, 4 h, 4 w) array, optional
            Mask logits, such as an earlier call's third result; h and w are the embedding's.
        multimask_output : bool
            Three masks, or one.
        return_logits : bool
            Whether the masks are logits.

        Returns
        -------
        masks : (M, H, W) array
            Boolean, or float32 logits.
        iou_predictions : (M,) array
            Predicted overlap of each mask with the object.
        low_res_masks : (M, 4 h, 4 w) array
            Logits at the network's resolution.

        Raises
        ------
        InputError
            If no image is set, or points and labels do not fit together.
        """
        self._check_image()
        assert self.original_size is not None
        points, labels, boxes = _prompts(point_coords, point_labels, box)
        if points is not None:
            points = self.transform.apply_coords(points, self.original_size)[None]
            labels = None if labels is None else labels[None]
        if boxes is not None:
            boxes = self.transform.apply_boxes(boxes, self.original_size)
        logits = None if mask_input is None else np.asarray(mask_input, np.float32)[None]
        results = self.predict_torch(
            self._tensor(points),
            self._tensor(labels),
            self._tensor(boxes),
            self._tensor(logits),
            multimask_output,
            return_logits,
        )
        masks, scores, low = (value[0].cpu().numpy() for value in results)
        return masks, scores, low

    @torch.inference_mode()
    def predict_torch(
        self,
        point_coords: torch.Tensor | None,
        point_labels: torch.Tensor | None,
        boxes: torch.Tensor | None = None,
        mask_input: torch.Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict the masks of B objects whose prompts `transform` has scaled already.

        Parameters
        ----------
        point_coords : (B, K, 2) tensor or None
            Points (x, y) in the network's frame.
        point_labels : (B, K) tensor or None
            1 in the object, 0 not in it, -1 for no point.
        boxes : (B, 4) tensor, optional
            Boxes in the network's frame.
        mask_input : (B, 1, 4 h, 4 w) tensor, optional
            Mask logits.
        multimask_output, return_logits : bool
            See `predict`.

        Returns
        -------
        masks : (B, M, H, W) tensor
        iou_predictions : (B, M) tensor
        low_res_masks : (B, M, 4 h, 4 w) tensor

        Raises
        ------
        InputError
            If no image is set.
        ValueError
            If shapes do not fit together; the message names them.
        """
        self._check_image()
        assert self.original_size is not None
        assert self.input_size is not None
        output = self.model(
            image_embeddings=self.features,
            input_points=None if point_coords is None else point_coords[None],
            input_labels=None if point_labels is None else point_labels[None],
            input_boxes=None if boxes is None else boxes[None],
            input_masks=None if mask_input is None else mask_input.transpose(0, 1),
            multimask_output=multimask_output,
        )
        low, scores = output.pred_masks[0].float(), output.iou_scores[0].float()
        frame = as_pair(self.image_processor.pad_size)
        masks = restore(low, frame, self.input_size, self.original_size)
        return masks if return_logits else masks > self.mask_threshold, scores, low

    def _tensor(self, values: np.ndarray | None) -> torch.Tensor | None:
        """Return an array on the network's device; floats as float32, as Apple's GPUs want them."""
        if values is None:
            return None
        tensor = torch.from_numpy(values)
        return (tensor.float() if tensor.is_floating_point() else tensor).to(self.device)

    def _check_image(self) -> None:
        if not self.is_image_set:
            raise InputError("no image is set: call set_image(image) before predicting")


def _prompts(
    points: Any, labels: Any, box: Any
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return (K, 2) points, (K,) labels and (1, 4) boxes, after a check of their shapes."""
    if (points is None) != (labels is None):
        raise InputError("give point_coords and point_labels together, a label for each point")
    if points is not None:
        points, labels = np.asarray(points, float), np.asarray(labels, np.int64)
        if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1]:
            raise InputError(
                "point_coords must be (K, 2) and point_labels (K,), got shapes "
                f"{points.shape} and {labels.shape}"
            )
    if box is not None:
        box = np.asarray(box, float)
        if box.size != 4:
            raise InputError(f"box must be (x0, y0, x1, y1), got shape {box.shape}")
        box = box.reshape(1, 4)
    return points, labels, box


def _build(size: str, checkpoint: str | os.PathLike[str] | None = None) -> SamModel:
    """Return a published network with the weights of a file, or with random ones."""
    config = vit_config(size)
    if checkpoint is None:
        return SamModel(config).eval()
    return SamModel.from_pretrained(checkpoint, config)


#: ``sam_model_registry["vit_b"](checkpoint="sam_vit_b_01ec64.pth")``, as in the original library.
sam_model_registry: Mapping[str, Callable[..., SamModel]] = {
    "default": partial(_build, "huge"),
    "vit_h": partial(_build, "huge"),
    "vit_l": partial(_build, "large"),
    "vit_b": partial(_build, "base"),
}
