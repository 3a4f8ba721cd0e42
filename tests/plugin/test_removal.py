"""Layers are deleted many at a time: napari goes through them, and we must not be in its way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from samari.plugin.removal import take_away

if TYPE_CHECKING:
    from collections.abc import Callable


def _one_by_one(layers: Any, chosen: list[Any]) -> None:
    """What napari does when many are selected; its order is that of a set."""
    for layer in chosen:
        layers.index(layer)
        layers.remove(layer)


def _selected(layers: Any, chosen: list[Any]) -> None:
    layers.selection = set(chosen)
    layers.remove_selected()


def _names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("state", ["pending", "shapes", "brush"])
@pytest.mark.parametrize("delete", [_one_by_one, _selected])
def test_all_layers_are_deleted_in_any_order(
    annotated: Any, noise: Any, qtbot: Any, seed: int, state: str, delete: Callable[..., None]
) -> None:
    viewer = ViewerModel()
    viewer.add_labels(np.ones((9, 9), int), name="old labels")
    c = annotated(noise(40, 40), viewer=viewer)
    c.points.add([20, 20])
    assert c.wait()
    if state == "shapes":
        c.shapes.add([[5, 5], [5, 12], [12, 12], [12, 5]], shape_type="rectangle")
        assert c.wait()
    elif state == "brush":
        c.brush()
    chosen = list(viewer.layers)
    random.Random(seed).shuffle(chosen)
    delete(viewer.layers, chosen)
    qtbot.waitUntil(lambda: not viewer.layers, timeout=1000)
    assert not c.is_open
    assert list(viewer.layers.selection) == []


@pytest.mark.parametrize("place", [0, None])
def test_a_cleared_list_is_empty_wherever_the_image_lies(
    annotated: Any, noise: Any, qtbot: Any, place: int | None
) -> None:
    c = annotated(noise(40, 40))
    c.set_tool("shapes")
    c.viewer.layers.move(c.viewer.layers.index(c.image), place or len(c.viewer.layers))
    c.viewer.layers.clear()
    qtbot.wait(20)
    assert _names(c.viewer) == []
    assert not c.is_open


def test_what_was_not_deleted_stays_and_our_helpers_go(
    annotated: Any, noise: Any, qtbot: Any
) -> None:
    c = annotated(noise(40, 40))
    c.points.add([20, 20])
    assert c.wait()
    c.accept()
    _selected(c.viewer.layers, [c.image, c.points])
    assert not c.is_open
    qtbot.waitUntil(lambda: _names(c.viewer) == ["cells objects"], timeout=1000)
    assert c.labels_layer.data[20, 20] == 1


def test_without_a_removal_our_layers_go_at_once(annotated: Any, noise: Any) -> None:
    c = annotated(noise(40, 40))
    c.close()
    assert _names(c.viewer) == ["cells", "cells objects"]
    take_away(c.viewer, c.labels_layer, c.points)
    assert _names(c.viewer) == ["cells"]


@pytest.mark.parametrize("how", ["selected", "cleared", "closed"])
def test_the_dock_goes_on_after_all_layers_were_deleted(
    docked: Any, noise: Any, qtbot: Any, said: list[str], how: str
) -> None:
    viewer, _, dock = docked(noise(40, 40))
    viewer.add_image(noise(30, 30), name="other")
    viewer.add_labels(np.ones((30, 30), int), name="precious")
    c = dock.controller
    c.points.add([20, 20])
    assert c.wait()
    c.accept()
    dock.everything.run._draw(c.plane, np.eye(40, dtype=np.uint16))
    assert "cells found" in _names(viewer)
    if how == "closed":
        viewer.close()
        return
    if how == "selected":
        viewer.layers.select_all()
        viewer.layers.remove_selected()
    else:
        viewer.layers.clear()
    qtbot.waitUntil(lambda: not viewer.layers and dock.controller is None, timeout=5000)
    qtbot.wait(50)
    assert _names(viewer) == []
    assert "Open an image to begin" in dock.ui.status.text()
    assert said == []
    if how == "cleared":
        return  # a canvas that was cleared draws no more in software: that is not ours
    viewer.add_image(noise(50, 50), name="next")
    qtbot.waitUntil(lambda: dock.controller is not None, timeout=30_000)
    dock.controller.points.add([20, 20])
    assert dock.controller.wait()
    assert dock.controller.accept() == [1]
