"""Small questions about a viewer and its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image

from samari.errors import InputError

if TYPE_CHECKING:
    from napari.components import ViewerModel


def unwrapped(thing: Any) -> Any:
    """Return the object behind napari's proxy for plugins, so that identities hold."""
    return getattr(thing, "__wrapped__", thing)


def choose_image(viewer: ViewerModel) -> Image:
    """Return the active layer if it is an image, else the topmost image.

    Raises
    ------
    InputError
        If there is none.
    """
    active = viewer.layers.selection.active
    images = [layer for layer in viewer.layers if isinstance(unwrapped(layer), Image)]
    if not images:
        raise InputError("there is no image to work on; open one first")
    return active if active in images else images[-1]
