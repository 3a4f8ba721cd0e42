"""Lays layers where the image is, and again when it was moved or its voxels got another size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine, CompositeAffine

from samari.engine.units import axis_numbers, axis_units, voxel_size

if TYPE_CHECKING:
    from napari.layers import Layer

    from samari.engine.session import Session
    from samari.plugin.source import ImageSource

#: What says where a layer lies and how large its voxels are; each is an event of the layer, too.
PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")
_AXIS_BY_AXIS = ("scale", "translate")


def lay(layer: Layer, transform: dict[str, Any]) -> None:
    """Give a layer a transform; napari draws anew only for what the layer does not have yet."""
    for name, value in transform.items():
        if not _same(_value(layer, name), value):
            setattr(layer, name, value)


def take_along(
    layer: Layer, former: dict[str, Any], now: dict[str, Any], channel_axis: int | None
) -> None:
    """Let a layer go with the image in all that it had in common with it.

    Parameters
    ----------
    layer : napari layer
        With the axes of the image, or without its channel axis.
    former, now : dict
        What `ImageSource.transform` was and is.
    channel_axis : int or None
    """
    if layer.ndim < len(now["scale"]) and channel_axis is not None:
        former, now = (_without_axis(one, channel_axis) for one in (former, now))
    wanted = {}
    for name, value in now.items():
        held = _value(layer, name)
        if name in _AXIS_BY_AXIS:
            common = np.isclose(held, former[name], rtol=1e-6, atol=0)
            wanted[name] = np.where(common, value, held)
        elif _same(held, former[name]):
            wanted[name] = value
    lay(layer, wanted)


def measure(session: Session, source: ImageSource) -> None:
    """Tell a session the size and the place of the image's voxels, which are saved with its labels.

    Raises
    ------
    InputError
        If it is no size that can be saved; the session has the former then.
    """
    voxels, axes = source.voxels(), session.planes.label_axes
    scale = voxel_size(voxels["scale"], axes)
    translate = axis_numbers("translate", voxels["translate"], axes)
    session.scale, session.translate = scale, translate
    session.units = axis_units(voxels["units"], axes)


def _value(layer: Layer, name: str) -> Any:
    value = getattr(layer, name)
    return value.affine_matrix if name == "affine" else value


def _same(held: Any, value: Any) -> bool:
    """Whether two values of a transform are equal: arrays, or tuples of units or names."""
    return held == value if isinstance(value, tuple) else np.array_equal(held, value)


def _without_axis(transform: dict[str, Any], axis: int) -> dict[str, Any]:
    """Return a transform for layers that lack an axis of the image."""
    transform = dict(transform)
    affine = Affine(affine_matrix=transform.pop("affine"))
    kept = [i for i in range(len(transform["scale"])) if i != axis]
    part = CompositeAffine(**transform).set_slice(kept)
    found = {name: getattr(part, name) for name in transform}
    return {**found, "affine": affine.set_slice(kept).affine_matrix}
