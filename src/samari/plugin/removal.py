"""Takes our layers out of a viewer, but not while napari goes through a list of layers itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel

#: Ids of the layer lists that are telling of a removal.
_telling: set[int] = set()


@contextmanager
def told_of_removal(viewer: ViewerModel) -> Iterator[None]:
    """Let `take_away` wait: what is done in here follows a removal by napari."""
    key = id(viewer.layers)
    outermost = key not in _telling
    _telling.add(key)
    try:
        yield
    finally:
        if outermost:
            _telling.remove(key)


def take_away(viewer: ViewerModel, *ours: Any) -> None:
    """Remove those of our layers that are in the viewer.

    While napari tells of a removal they go right after it: there may be more that it is about to
    remove, ours among them, and it fails on those that it does not find.
    """
    if id(viewer.layers) in _telling:
        QTimer.singleShot(0, lambda: _remove(viewer, ours))
    else:
        _remove(viewer, ours)


def _remove(viewer: ViewerModel, ours: tuple[Any, ...]) -> None:
    for layer in ours:
        if layer in viewer.layers:
            viewer.layers.remove(layer)
