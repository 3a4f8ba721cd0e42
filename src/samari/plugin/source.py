"""What Samari needs to know about an image layer: its axes, its planes, its place in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from napari.layers.utils.layer_utils import calc_data_range

from samari.engine.axes import DEFAULT_AXES, check_axes
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from samari.engine.planes import ImagePlanes, PlaneIndex

_NAMES = {"time": "T", "frame": "T", "channel": "C", "ch": "C", "depth": "Z", "slice": "Z"}


class VisiblePlane(NamedTuple):
    """What is on the screen.

    Attributes
    ----------
    view : str
        Its two axes, in label-axes order.
    point : tuple of float
        A point on it in label-axes order, integers along the axes that are not displayed.
    """

    view: str
    point: tuple[float, ...]


class ImageSource:
    """An image layer, and the way between its coordinates and a Session's.

    Samari's own layers have as many axes as the image layer. A Session's coordinates lack the
    channel axis; there, our layers have length 1.

    Parameters
    ----------
    layer : napari.layers.Image
    axes : str, optional
        What the axes of the layer are, if the user said so.

    Attributes
    ----------
    layer : napari.layers.Image
    axes : str
        One letter of TCZYX for every axis of the layer, without the RGB axis.
    label_axes : str
        The same without C.
    channel_axis : int or None

    Raises
    ------
    InputError
        If it is no image layer, its number of axes is not 2 to 5, or `axes` do not fit it.
    """

    def __init__(self, layer: Any, axes: str = "") -> None:
        if getattr(layer, "_type_string", "image") != "image":
            raise InputError(f"{layer.name!r} is not an image layer; choose an image")
        if layer.ndim not in DEFAULT_AXES:
            raise InputError(
                f"{layer.name!r} has {layer.ndim} axes; Samari works on images of 2 to 5 axes"
            )
        self.layer: Image = layer
        self.axes = layer_axes(layer)
        if axes:
            self.axes = check_axes(axes, self.data.shape[: layer.ndim], f"image {layer.name!r}")
        self.label_axes = self.axes.replace("C", "")
        self.channel_axis = self.axes.index("C") if "C" in self.axes else None

    @property
    def data(self) -> Any:
        """The image array; of a multiscale layer the full resolution."""
        return self.layer.data[0] if self.layer.multiscale else self.layer.data

    @property
    def coarser(self) -> tuple[Any, ...]:
        """The same image in fewer voxels, where the layer is multiscale."""
        return tuple(self.layer.data[1:]) if self.layer.multiscale else ()

    @property
    def n_channels(self) -> int:
        """Length of the channel axis, 1 if there is none."""
        return 1 if self.channel_axis is None else int(self.data.shape[self.channel_axis])

    def contrast_limits(self) -> tuple[float, float] | None:
        """Return the layer's contrast limits if the user set them, else None.

        None leaves the choice to the engine, whose percentiles are robust to hot pixels; napari's
        own are the extremes of the data. napari does not tell its limits from the user's, so those
        that differ from the layer's range, or from the extremes of data in memory, count as set.
        """
        if self.layer.rgb:
            return None
        low, high = (float(limit) for limit in self.layer.contrast_limits)
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            return None
        if (low, high) != tuple(float(limit) for limit in self.layer.contrast_limits_range):
            return low, high
        if not isinstance(self.data, np.ndarray):
            return None
        found = calc_data_range(self.data, rgb=False)
        automatic = np.allclose((low, high), [float(f) for f in found], equal_nan=True)
        return None if automatic else (low, high)

    def channel(self, viewer: ViewerModel) -> int | None:
        """Return the channel on screen; None if there is no channel axis."""
        if self.channel_axis is None:
            return None
        position = self.layer.world_to_data(viewer.dims.point)[self.channel_axis]
        return int(np.clip(np.floor(position + 0.5), 0, self.n_channels - 1))

    def show_channel(self, viewer: ViewerModel, channel: int) -> None:
        """Turn the viewer to a channel; nothing happens if there is no channel axis."""
        if self.channel_axis is not None:
            place = np.array(self.layer.world_to_data(viewer.dims.point), dtype=float)
            place[self.channel_axis] = channel
            world = self.layer.data_to_world(place)
            axis = viewer.dims.ndim - self.layer.ndim + self.channel_axis
            viewer.dims.set_point(axis, float(world[self.channel_axis]))

    def visible_plane(self, viewer: ViewerModel) -> VisiblePlane:
        """Return the plane on screen.

        Raises
        ------
        InputError
            If none is: 3D display, hidden layer, a channel axis on screen, or a slice outside.
        """
        name = self.layer.name
        if viewer.dims.ndisplay != 2:
            raise InputError("Samari works on slices; switch from the 3D to the 2D display first")
        if not self.layer.visible:
            raise InputError(f"the image {name!r} is hidden; show it first")
        offset = viewer.dims.ndim - self.layer.ndim
        displayed = [axis - offset for axis in viewer.dims.displayed]
        if min(displayed) < 0:
            raise InputError(f"this view does not show the image {name!r}; turn it back first")
        letters = {self.axes[axis] for axis in displayed}
        if "C" in letters:
            raise InputError("the view shows the channel axis; turn it to two axes of space first")
        point = np.floor(np.asarray(self.layer.world_to_data(viewer.dims.point)) + 0.5)
        shape = self.data.shape
        for axis, letter in enumerate(self.axes):
            if letter not in letters and not 0 <= point[axis] < shape[axis]:
                raise InputError(f"this slice lies outside the image {name!r}")
        point[displayed] = 0
        view = "".join(letter for letter in self.label_axes if letter in letters)
        return VisiblePlane(view, self.to_session(point))

    def shown_plane(self, viewer: ViewerModel, planes: ImagePlanes) -> PlaneIndex | None:
        """Return the plane of an image's planes that is on screen, None if none is."""
        try:
            view, point = self.visible_plane(viewer)
            return planes.plane_at(point, view)
        except InputError:
            return None

    def looked_at(
        self, viewer: ViewerModel, planes: ImagePlanes, plane: PlaneIndex
    ) -> tuple[float, float]:
        """Return the (row, column) of a plane that is in the middle of the screen."""
        world = np.array(viewer.dims.point, dtype=float)
        shown = list(viewer.dims.displayed)
        world[shown] = np.asarray(viewer.scene.camera.center, dtype=float)[-len(shown) :]
        point = self.to_session(self.layer.world_to_data(world))
        row, col = planes.to_plane(point, plane.view)
        rows, cols = planes.shape_of(plane.view)
        return min(max(row, 0.0), rows - 1.0), min(max(col, 0.0), cols - 1.0)

    def channel_of(self, labels: Layer) -> int | None:
        """Return the channel axis of a labels layer; those of other tools may have none."""
        return self.channel_axis if labels.ndim == len(self.axes) else None

    def to_session(self, coordinates: Sequence[float] | NDArray[Any]) -> tuple[float, ...]:
        """Return a Session's coordinates of data coordinates of our layers, or of bare labels."""
        left_out = None if len(coordinates) == len(self.label_axes) else self.channel_axis
        return tuple(float(value) for axis, value in enumerate(coordinates) if axis != left_out)

    def to_layer(self, point: Sequence[float]) -> tuple[float, ...]:
        """Return data coordinates of our layers for a Session's coordinates."""
        values = [float(value) for value in point]
        if self.channel_axis is not None:
            values.insert(self.channel_axis, 0.0)
        return tuple(values)

    def layer_array(self, labels: Any) -> Any:
        """Return a label array with the axes of our layers; numpy arrays share their memory."""
        if self.channel_axis is None:
            return labels
        index = (slice(None),) * self.channel_axis + (None,)
        return labels[index]

    def session_array(self, labels: Any) -> Any:
        """Return a label layer's array without the channel axis; numpy arrays share memory.

        Raises
        ------
        InputError
            If the array does not have the image's shape.
        """
        shape = tuple(labels.shape)
        wanted = tuple(self.data.shape[: len(self.axes)])
        bare = tuple(n for axis, n in enumerate(wanted) if axis != self.channel_axis)
        if shape == bare:
            return labels
        single = tuple(1 if axis == self.channel_axis else n for axis, n in enumerate(wanted))
        if self.channel_axis is not None and shape == single:
            return labels[(slice(None),) * self.channel_axis + (0,)]
        raise InputError(
            f"the labels have shape {shape}, the image {self.layer.name!r} needs {bare}; choose "
            "another labels layer or a new one"
        )

    def voxels(self) -> dict[str, Any]:
        """Return scale, translate and units along the label axes, for a saved file."""
        kept = [axis for axis in range(self.layer.ndim) if axis != self.channel_axis]
        units = [str(self.layer.units[axis]) for axis in kept]
        return {
            "scale": [float(self.layer.scale[axis]) for axis in kept],
            "translate": [float(self.layer.translate[axis]) for axis in kept],
            "units": None if set(units) == {"pixel"} else units,
        }

    def transform(self, at: Sequence[float] | NDArray[np.float64] | None = None) -> dict[str, Any]:
        """Return what lays a layer of ours on the image.

        Scale, translate, rotate, shear, affine, units and axis labels are the image's. Along the
        channel axis one voxel covers all channels, so that the layer is on screen at each of them.

        Parameters
        ----------
        at : sequence of float, optional
            Data coordinates of our layers at which the layer begins; by default where they do.
        """
        layer = self.layer
        scale = np.array(layer.scale, dtype=float)
        translate = np.array(layer.translate, dtype=float)
        if at is not None:
            translate = translate + self.displacement(layer, np.array(at))
        if self.channel_axis is not None:
            middle = np.zeros(layer.ndim)
            middle[self.channel_axis] = (self.n_channels - 1) / 2
            translate = translate + self.displacement(layer, middle)
            scale[self.channel_axis] *= self.n_channels
        return {
            "scale": scale,
            "translate": translate,
            "rotate": np.array(layer.rotate),
            "shear": np.array(layer.shear),
            "affine": np.array(layer.affine.affine_matrix),
            "units": layer.units,
            "axis_labels": layer.axis_labels,
        }

    @staticmethod
    def displacement(layer: Any, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how `translate` must change to shift a layer by `step` data units."""
        plain = np.array_equal(layer.rotate, np.eye(layer.ndim)) and not np.any(layer.shear)
        if plain:  # napari takes a millisecond to put its transforms together
            return np.asarray(layer.scale, dtype=float) * step
        origin = np.zeros(layer.ndim)
        world = np.asarray(layer.data_to_world(step)) - np.asarray(layer.data_to_world(origin))
        return np.linalg.solve(np.asarray(layer.affine.linear_matrix), world)


def layer_axes(layer: Any) -> str:
    """Return the letters of a layer's axes: from its axis labels if they say, else by default.

    The default is YX, ZYX, TZYX or TCZYX. A stack whose first axis holds channels is recognised
    by an axis label such as "c" or "channel".
    """
    default = DEFAULT_AXES[layer.ndim]
    letters = []
    for label in layer.axis_labels:
        text = str(label).strip().lower()
        letters.append(_NAMES.get(text, text.upper()))
    named = "".join(letters)
    fits = len(named) == layer.ndim == len(set(named)) and set("YX") <= set(named) <= set("TCZYX")
    return named if fits else default
