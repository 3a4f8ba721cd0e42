"""Scales images and coordinates to the frame of the network, for `SamPredictor`."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from samari.sam import images as im
from samari.sam.image_processing import BILINEAR
from samari.sam.image_sizes import preprocess_shape


class ResizeLongestSide:
    """Maps pixels of an image to those of a frame in which its longer side has a given length.

    Parameters
    ----------
    target_length : int
        Length of the longer side in the frame.
    """

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    @staticmethod
    def get_preprocess_shape(oldh: int, oldw: int, long_side_length: int) -> tuple[int, int]:
        """Return (height, width) in the frame of an image of `oldh` by `oldw` pixels."""
        return preprocess_shape((oldh, oldw), long_side_length)

    def apply_image(self, image: np.ndarray) -> np.ndarray:
        """Resize an (H, W, 3) image of uint8."""
        size = preprocess_shape((image.shape[0], image.shape[1]), self.target_length)
        return im.resize(image, size, BILINEAR, im.LAST)

    def apply_image_torch(self, image: torch.Tensor) -> torch.Tensor:
        """Resize a (B, 3, H, W) batch by torch; not exactly what `apply_image` gives."""
        size = preprocess_shape((image.shape[2], image.shape[3]), self.target_length)
        return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)

    def apply_coords(self, coords: np.ndarray, original_size: tuple[int, int]) -> np.ndarray:
        """Scale (..., 2) points (x, y) of an image of (height, width)."""
        return np.asarray(coords, float) * self._scale(original_size)

    def apply_boxes(self, boxes: np.ndarray, original_size: tuple[int, int]) -> np.ndarray:
        """Scale (N, 4) boxes (x0, y0, x1, y1); see `apply_coords`."""
        corners = np.asarray(boxes, float).reshape(-1, 2, 2)
        return self.apply_coords(corners, original_size).reshape(-1, 4)

    def apply_coords_torch(
        self, coords: torch.Tensor, original_size: tuple[int, int]
    ) -> torch.Tensor:
        """Do for a tensor, on its device, what `apply_coords` does."""
        scale = torch.from_numpy(self._scale(original_size).astype(np.float32))
        return coords.float() * scale.to(coords.device)

    def apply_boxes_torch(
        self, boxes: torch.Tensor, original_size: tuple[int, int]
    ) -> torch.Tensor:
        """Do for a tensor, on its device, what `apply_boxes` does."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def _scale(self, size: tuple[int, int]) -> np.ndarray:
        height, width = preprocess_shape((int(size[0]), int(size[1])), self.target_length)
        return np.array([width / size[1], height / size[0]])
