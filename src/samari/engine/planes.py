"""nD images to the 2D planes that prompts act on.

Of the axes of an image (letters of TCZYX in any order), labels and coordinates have all but C, in
the image's order: the *label axes*. A plane is two of them, the *view*, at one index along each of
the others.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.axes import as_array, check_axes, shape_without_colours
from samari.engine.checks import whole_number
from samari.engine.intensity import (
    auto_contrast_limits,
    check_contrast_limits,
    check_dtype,
    to_rgb_uint8,
)
from samari.engine.levels import Level
from samari.engine.stack_limits import stack_contrast_limits
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ImagePlanes", "PlaneIndex", "auto_contrast_limits", "to_rgb_uint8"]


@dataclass(frozen=True)
class PlaneIndex:
    """One plane of an image; hashable.

    Attributes
    ----------
    view : str
        The plane's two axes in label-axes order, e.g. "YX": a transposed display is the same
        plane.
    index : tuple of int
        Its position along each of the remaining label axes, in order.
    """

    view: str
    index: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Take any sequence of integers as index."""
        object.__setattr__(self, "index", tuple(int(i) for i in self.index))


class ImagePlanes:
    """The planes of an image of 2 to 5 dimensions, read one at a time.

    Parameters
    ----------
    image : array-like
        numpy, dask, zarr, h5py, memory-mapped: anything with shape and dtype that slices like
        numpy; boolean, integer or real floating point. Only the planes asked for are read, nothing
        is kept.
    axes : str, optional
        Letters of TCZYX in the image's order, without the RGB axis. Default YX, ZYX, TZYX or TCZYX.
    rgb : bool
        Whether the last axis holds 3 or 4 colour samples. Never guessed from the shape.
    channel : int, optional
        Position along C; the first by default.
    contrast_limits : tuple of float, optional
        (low, high) for the whole stack. Default: see `contrast_limits`.
    coarser : sequence of array-like
        The same image in fewer and fewer voxels, as in a multiscale file: large parts of a plane
        are read from these. Those that do not fit the image are not used.

    Attributes
    ----------
    image, axes, rgb
        As given, axes upper case.
    channel : int or None
        None where there is no C axis.
    label_axes, label_shape
        Axes and shape of labels and coordinates: those of the image without C and RGB.

    Raises
    ------
    InputError
        If image, axes, channel or limits do not fit each other.

    Notes
    -----
    Immutable apart from the remembered contrast limits; as safe to use from several threads as the
    image is.
    """

    def __init__(
        self,
        image: Any,
        axes: str | None = None,
        *,
        rgb: bool = False,
        channel: int | None = None,
        contrast_limits: tuple[float, float] | None = None,
        coarser: Sequence[Any] = (),
    ) -> None:
        self.image = as_array(image)
        shape = tuple(int(n) for n in self.image.shape)
        check_dtype(self.image.dtype)
        self.rgb = bool(rgb)
        self._shape = shape_without_colours(shape, self.rgb)
        self.axes = check_axes(axes, self._shape)
        self.channel = self._check_channel(channel)
        self.label_axes = self.axes.replace("C", "")
        self.label_shape = tuple(self._shape[self.axes.index(letter)] for letter in self.label_axes)
        self._coarser = [level for one in coarser if (level := Level.of(one, self.image, self))]
        self._limits = None if contrast_limits is None else check_contrast_limits(contrast_limits)
        self._limits_known = contrast_limits is not None

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """The limits (low, high) of the whole stack, the same for every plane; None for RGB uint8.

        Where none were given they are found on first use: `auto_contrast_limits` of at most 16
        evenly spaced YX planes of the chosen channel (of windows of them where a plane on disk is
        very large), so that opening a large file reads a bounded part of it; the same values on
        every call and machine.
        """
        if not self._limits_known:
            self._limits = self._default_limits()
            self._limits_known = True
        return self._limits

    def canonical_view(self, view: str) -> str:
        """Return the two letters of `view` in label-axes order: "XY" and "yx" are "YX".

        Raises
        ------
        InputError
            If they are not two different label axes.
        """
        letters = {letter for letter in str(view).upper() if letter in self.label_axes}
        if len(str(view)) != 2 or len(letters) != 2:
            raise InputError(
                f"view {view!r} is not two different axes out of {self.label_axes}, e.g. 'YX'"
            )
        return "".join(letter for letter in self.label_axes if letter in letters)

    def plane_at(
        self, point: Sequence[float], view: str = "YX", *, inside: bool = True
    ) -> PlaneIndex:
        """Return the plane that a point lies on.

        Parameters
        ----------
        point : sequence of float
            Data coordinates in label-axes order, voxel centres at integers; rounded half up on
            either side of 0.
        view : str
            The two axes of the plane, in any order.
        inside : bool
            Whether the point must also lie inside along the plane's own axes (the corner of a box
            may not).

        Raises
        ------
        InputError
            If the point has the wrong length, is not finite, or lies outside [-0.5, n - 0.5).
        """
        view = self.canonical_view(view)
        coordinates = self._check_point(point)
        index = []
        lengths = dict(zip(self.label_axes, self.label_shape, strict=True))
        for letter, value in zip(self.label_axes, coordinates, strict=True):
            length = lengths[letter]
            if (inside or letter not in view) and not -0.5 <= value < length - 0.5:
                where = ", ".join(
                    f"{a.lower()}={v:g}" for a, v in zip(self.label_axes, coordinates, strict=True)
                )
                raise InputError(
                    f"point ({where}) is outside the image of shape {self.label_shape} "
                    f"({self.label_axes}): {letter.lower()} must be at least -0.5 and below "
                    f"{length - 0.5:g}"
                )
            if letter not in view:
                index.append(math.floor(value + 0.5))
        return PlaneIndex(view, tuple(index))

    def check(self, plane: PlaneIndex) -> None:
        """Raise InputError unless `plane` is one of this image, its view in label-axes order."""
        view = self.canonical_view(plane.view)
        if view != plane.view:
            raise InputError(f"the view {plane.view!r} must be written {view!r}")
        lengths = zip(self.label_axes, self.label_shape, strict=True)
        others = [(letter, length) for letter, length in lengths if letter not in view]
        ranges = ", ".join(f"{a.lower()} from 0 to {n - 1}" for a, n in others)
        image = f"the image of shape {self.label_shape} ({self.label_axes})"
        if len(plane.index) != len(others):
            raise InputError(
                f"a {view} plane of {image} is named by {ranges or 'no number'}, "
                f"not by {plane.index}"
            )
        if not all(0 <= i < n for i, (_, n) in zip(plane.index, others, strict=True)):
            raise InputError(f"there is no plane {self.name_of(plane)} in {image}: it has {ranges}")

    def name_of(self, plane: PlaneIndex) -> str:
        """Return what a user calls a plane: "t=1, z=5", or "" where there is only one."""
        others = (letter.lower() for letter in self.label_axes if letter not in plane.view)
        return ", ".join(f"{a}={i}" for a, i in zip(others, plane.index, strict=True))

    def shape_of(self, view: str) -> tuple[int, int]:
        """Return (H, W) of the planes of a view."""
        rows, cols = self._view_positions(view)
        return self.label_shape[rows], self.label_shape[cols]

    def plane_of(self, plane: PlaneIndex | Sequence[int] | int, view: str) -> PlaneIndex:
        """Return the plane that is meant where not its view, or just one number, is given.

        Parameters
        ----------
        plane : PlaneIndex, sequence of int, or int
        view : str
            Which plane is meant where only its index is given.

        Raises
        ------
        InputError
            If its index is not of whole numbers.
        """
        if isinstance(plane, PlaneIndex):
            return plane
        index = plane if isinstance(plane, Iterable) else [plane]
        return PlaneIndex(view, tuple(whole_number(i, "the index of a plane") for i in index))

    def to_plane(self, point: Sequence[float], view: str) -> tuple[float, float]:
        """Return the (row, col) of a point given in label-axes order; nothing is rounded."""
        coordinates = self._check_point(point)
        rows, cols = self._view_positions(view)
        return coordinates[rows], coordinates[cols]

    def to_volume(self, position: Sequence[float], plane: PlaneIndex) -> tuple[float, ...]:
        """Return the point, in label-axes order, at (row, col) of a plane."""
        self.check(plane)
        row, col = position
        within = iter((float(row), float(col)))
        index = iter(plane.index)
        return tuple(
            next(within) if letter in plane.view else float(next(index))
            for letter in self.label_axes
        )

    def label_slices(
        self, plane: PlaneIndex, rows: slice = slice(None), cols: slice = slice(None)
    ) -> tuple[int | slice, ...]:
        """Return the index that gives `rows` and `cols` of a plane of a label array, as (H, W)."""
        self.check(plane)
        within = iter((rows, cols))
        index = iter(plane.index)
        return tuple(
            next(within) if letter in plane.view else next(index) for letter in self.label_axes
        )

    def read(
        self, plane: PlaneIndex, rows: slice = slice(None), cols: slice = slice(None)
    ) -> NDArray[Any]:
        """Read a plane, or `rows` and `cols` of it, from the image.

        Returns
        -------
        ndarray, shape (H, W), or (H, W, 3 | 4) if rgb, dtype of the image
        """
        position = dict(zip(self.label_axes, self.label_slices(plane, rows, cols), strict=True))
        if self.channel is not None:
            position["C"] = self.channel
        return np.asarray(self.image[tuple(position[letter] for letter in self.axes)])

    def rgb_plane(
        self,
        plane: PlaneIndex,
        rows: slice = slice(None),
        cols: slice = slice(None),
        coarsest: int = 1,
    ) -> NDArray[np.uint8]:
        """Read a plane, or `rows` and `cols` of it, as the network sees it.

        Parameters
        ----------
        plane : PlaneIndex
        rows, cols : slice
            In pixels of the image.
        coarsest : int
            By how much the pixels may be reduced, if the image is also there in fewer voxels.

        Returns
        -------
        ndarray of uint8, shape (H, W, 3)
            By the stack's contrast limits.
        """
        level = self._level(plane.view, coarsest)
        if level is None:
            return to_rgb_uint8(self.read(plane, rows, cols), self.contrast_limits)
        return to_rgb_uint8(level.read(self, plane, rows, cols), self.contrast_limits)

    def reduction(self, view: str, coarsest: int) -> int:
        """Return by how much the pixels are reduced that `rgb_plane` gives."""
        level = self._level(view, coarsest)
        return 1 if level is None else level.reduction(view)

    def _level(self, view: str, coarsest: int) -> Level | None:
        """Return the coarsest level whose pixels in a view are `coarsest` or a divisor of it."""
        fitting = [
            level
            for level in self._coarser
            if level.reduction(view) > 1 and coarsest % level.reduction(view) == 0
        ]
        return max(fitting, key=lambda level: level.reduction(view), default=None)

    def _default_limits(self) -> tuple[float, float] | None:
        if self.rgb and self.image.dtype == np.uint8:
            return None
        view = self.canonical_view("YX")
        lengths = zip(self.label_axes, self.label_shape, strict=True)
        return stack_contrast_limits(
            lambda index, rows, cols: self.read(PlaneIndex(view, index), rows, cols),
            tuple(length for letter, length in lengths if letter not in view),
            self.shape_of(view),
            rgb=self.rgb,
            in_memory=isinstance(self.image, np.ndarray) and not isinstance(self.image, np.memmap),
        )

    def _view_positions(self, view: str) -> tuple[int, int]:
        view = self.canonical_view(view)
        return self.label_axes.index(view[0]), self.label_axes.index(view[1])

    def _check_point(self, point: Sequence[float]) -> tuple[float, ...]:
        try:
            coordinates = tuple(float(value) for value in point)
        except (TypeError, ValueError) as error:
            raise InputError(f"{point!r} is not a sequence of coordinates") from error
        if len(coordinates) != len(self.label_axes):
            raise InputError(
                f"point {coordinates} has {len(coordinates)} coordinates; the image needs "
                f"{len(self.label_axes)}, in the order {self.label_axes}"
            )
        if not all(math.isfinite(value) for value in coordinates):
            raise InputError(f"point {coordinates} has a coordinate that is not a finite number")
        return coordinates

    def _check_channel(self, channel: int | None) -> int | None:
        if "C" not in self.axes:
            if channel is not None:
                raise InputError(
                    f"channel={channel} given, but the axes {self.axes} have no C; leave channel "
                    "out or name the channel axis in axes"
                )
            return None
        count = self._shape[self.axes.index("C")]
        if channel is None:
            return 0
        try:
            position = operator.index(channel)
        except TypeError:
            position = -1
        if not 0 <= position < count:
            raise InputError(f"channel={channel!r} is not one of 0..{count - 1}")
        return position
