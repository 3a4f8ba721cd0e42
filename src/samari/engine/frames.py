"""The model's frame: how a plane of any size becomes the square picture that a SAM model reads.

The published models enlarge or shrink the longest edge to ``image_size`` and pad the rest with
zeros after normalisation (Kirillov et al., "Segment Anything", 2023, appendix A). A model may ask
for less (``"samari": {"pad": false, "upscale": false}`` in its ``config.json``): then only a rim up
to the next multiple of the patch is padded, and small planes keep their size. Such a model may ask
to see small objects enlarged (``"samari": {"zoom": 256}``), see `samari.engine.tiles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from samari.engine.embedding import check_rgb
from samari.errors import InputError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samari.sam import SamConfig

#: Mean and standard deviation of ImageNet's red, green and blue, in grey levels of 0..255.
PIXEL_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
PIXEL_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)

#: Mask logits a side for each token.
LOGITS_PER_TOKEN = 4


@dataclass(frozen=True)
class FrameRule:
    """What a model wants its pictures to look like.

    Attributes
    ----------
    image_size : int
        Longest edge of the frame, in pixels.
    patch : int
        Pixels a side that make one token.
    pad : bool
        Whether frames are always `image_size` squares.
    upscale : bool
        Whether planes smaller than `image_size` are enlarged.
    zoom : int
        Side of the pictures in which small objects are seen enlarged, in pixels; 0: they are not.
    reach : int
        How far tokens see in global layers, see `SamModel.limit_attention`; 0: everywhere.
    """

    image_size: int
    patch: int
    pad: bool = True
    upscale: bool = True
    zoom: int = 0
    reach: int = 0

    @classmethod
    def of(cls, config: SamConfig) -> FrameRule:
        """Read the rule of a model from its configuration.

        Raises
        ------
        ModelError
            If ``config.extra["samari"]`` is not a dict with boolean ``pad`` and ``upscale``, its
            ``zoom`` is not a multiple of the patch from 0 to the image size, or its ``reach`` is
            no number of tokens.
        """
        own = config.extra.get("samari", {})
        if not isinstance(own, dict):
            raise ModelError(f'"samari" in config.json must be an object, got {own!r}')
        flags = {name: own.get(name, True) for name in ("pad", "upscale")}
        for name, value in flags.items():
            if not isinstance(value, bool):
                raise ModelError(f'"samari.{name}" in config.json must be a boolean, got {value!r}')
        vision = config.vision_config
        zoom, patch = own.get("zoom", 0), vision.patch_size
        whole = isinstance(zoom, int) and not isinstance(zoom, bool)
        if not (whole and 0 <= zoom <= vision.image_size and zoom % patch == 0):
            raise ModelError(
                f'"samari.zoom" in config.json must be a multiple of {patch} from 0 to '
                f"{vision.image_size}, got {zoom!r}"
            )
        if zoom and flags["upscale"]:
            raise ModelError('"samari.zoom" in config.json needs "upscale": false')
        reach = own.get("reach", 0)
        if not isinstance(reach, int) or isinstance(reach, bool) or reach < 0:
            raise ModelError(
                f'"samari.reach" in config.json must be a number of tokens from 0 on, got {reach!r}'
            )
        if reach and not vision.use_rel_pos:
            raise ModelError('"samari.reach" in config.json needs "use_rel_pos": true')
        return cls(vision.image_size, patch, **flags, zoom=zoom, reach=reach)

    def frame(self, plane_shape: tuple[int, int], enlarge: int = 1) -> Frame:
        """Return the frame of a plane of H rows and W columns.

        Parameters
        ----------
        plane_shape : (int, int)
        enlarge : int
            How many pixels of the frame a pixel of the plane is wide, if more than 1.

        Raises
        ------
        InputError
            If the plane has no pixels.
        """
        height, width = plane_shape
        if height < 1 or width < 1:
            raise InputError(f"the plane is empty: shape {tuple(plane_shape)}")
        scale = self.image_size / max(height, width)
        if not self.upscale:
            scale = float(enlarge) if enlarge > 1 else min(scale, 1.0)
        # Rounded half up as the reference does; a thin plane keeps at least a line of pixels.
        rows, cols = (max(1, int(side * scale + 0.5)) for side in (height, width))
        if self.pad:
            padded = (self.image_size, self.image_size)
        else:
            padded = (-(-rows // self.patch) * self.patch, -(-cols // self.patch) * self.patch)
        return Frame((height, width), (rows, cols), padded, self.patch)

    def frame_seen(self, plane_shape: tuple[int, int], input_shape: tuple[int, int]) -> Frame:
        """Return the frame of a plane of which the model saw `input_shape` pixels."""
        return self.frame(plane_shape, input_shape[0] // plane_shape[0] if self.zoom else 1)


@dataclass(frozen=True)
class Frame:
    """How one plane lies in its model's frame: at the top left, padded at the bottom and right.

    Attributes
    ----------
    plane_shape : (int, int)
        Rows and columns H, W of the plane.
    input_shape : (int, int)
        Rows and columns after the resize.
    padded_shape : (int, int)
        Rows and columns after the padding: multiples of `patch`.
    patch : int
        Pixels a side that make one token.
    """

    plane_shape: tuple[int, int]
    input_shape: tuple[int, int]
    padded_shape: tuple[int, int]
    patch: int

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.padded_shape[0] // self.patch, self.padded_shape[1] // self.patch

    @property
    def logits_shape(self) -> tuple[int, int]:
        """Rows and columns of the mask logits."""
        rows, cols = self.grid
        return LOGITS_PER_TOKEN * rows, LOGITS_PER_TOKEN * cols

    def to_frame(self, points: Any) -> NDArray[np.float64]:
        """Map points of the plane to the frame, and from (y, x) to (x, y).

        A pixel covers half a pixel to each side of its index, so the index p becomes
        ``(p + 0.5) * s - 0.5``: the centre of a plane is the centre of its frame, and nothing is
        cut off toward zero (trap 8). The scale s is that of each axis after rounding.

        Parameters
        ----------
        points : array-like, shape (..., 2)
            (y, x) in pixels of the plane, centres at integers.

        Returns
        -------
        ndarray of float64, shape (..., 2)
            (x, y) in pixels of the frame, centres at integers.
        """
        scale = np.divide(self.input_shape, self.plane_shape)
        placed = (np.asarray(points, dtype=np.float64) + 0.5) * scale - 0.5
        return placed[..., ::-1]

    def pixels(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """Resize, normalise and pad a plane.

        Bilinear; when shrinking, every source pixel counts (antialiased), as in the reference.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (H, W, 3)
            The plane, or all of it in fewer pixels.

        Returns
        -------
        (1, 3, rows, columns) float32 tensor
            Of `padded_shape`; the padding is zero after the normalisation.

        Raises
        ------
        InputError
            If `rgb` is not an RGB plane, or larger than `plane_shape`.
        """
        check_rgb(rgb)
        if rgb.shape[0] > self.plane_shape[0] or rgb.shape[1] > self.plane_shape[1]:
            raise InputError(
                f"a plane of shape {rgb.shape[:2]} for the frame of {self.plane_shape}"
            )
        rows, cols = self.input_shape
        if self.input_shape != rgb.shape[:2]:
            picture = Image.fromarray(np.ascontiguousarray(rgb))
            rgb = np.asarray(picture.resize((cols, rows), Image.Resampling.BILINEAR))
        out = torch.zeros((1, 3, *self.padded_shape), dtype=torch.float32)
        for channel, (mean, std) in enumerate(zip(PIXEL_MEAN, PIXEL_STD, strict=True)):
            values = torch.from_numpy(rgb[..., channel].astype(np.float32))
            out[0, channel, :rows, :cols] = values.sub_(mean).div_(std)
        return out
