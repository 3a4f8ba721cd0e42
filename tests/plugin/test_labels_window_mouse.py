"""A virtual image larger than any texture in a real window: click, pan, paint, undo, save."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROL = Qt.KeyboardModifier.ControlModifier


def resident() -> int:
    """Return the memory of this process, in bytes; 0 where nobody tells."""
    status = Path("/proc/self/statm")
    pages = int(status.read_text().split()[1]) if status.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def level(longest: int, factor: int) -> Any:
    """Return a square pattern, reduced by a factor; each chunk is computed when it is read."""

    def chunk(block_info: Any) -> Any:
        spans = block_info[None]["array-location"]
        rows, cols = (factor * np.arange(*span)[:, None] for span in spans)
        waves = 60 * np.sin(rows / 150) + 60 * np.sin(cols.T / 110)
        return (120 + waves).astype(np.uint8)

    side = -(-longest // factor)
    chunks = tuple(min(1024, side - first) for first in range(0, side, 1024))
    return da.map_blocks(
        chunk, chunks=(chunks, chunks), dtype=np.uint8, meta=np.zeros((0, 0), "u1")
    )


def look_at(viewer: Any, c: Any, qtbot: Any, point: tuple[float, float], zoom: float) -> None:
    camera = viewer.scene.camera
    camera.center, camera.zoom = (0, *point), zoom
    qtbot.wait(50)  # the canvas draws at its new place
    c._labels.settle()


def test_an_image_larger_than_any_texture_is_annotated_painted_and_saved(
    docked: Callable[..., Any], discs: Any, qtbot: Any, soak: Any, tmp_path: Path
) -> None:
    pytest.importorskip("zarr")
    side = soak(33_000, 50_000)  # both have labels above 2 GiB
    discs.picture_size = 512
    before = resident()
    viewer, hand, dock = docked([level(side, 2**k) for k in range(7)], contrast_limits=(0, 255))
    c = dock.controller
    assert c.wait(30)
    assert c.session.labels.shape == (side, side)
    assert not isinstance(c.session.labels, np.ndarray)
    layer, (overview,) = c.labels_layer, c.label_helpers

    def clicked(point: tuple[float, float]) -> int:
        look_at(viewer, c, qtbot, point, 1.0)
        c.set_tool("points")
        hand.click(point)
        assert c.wait(30)
        (label,) = c.accept()
        return label

    first, second = clicked((30_000, 20_000)), clicked((31_100, 29_900))
    assert c.session.labels[30_000, 20_000] == first
    assert c.session.labels[31_100, 29_900] == second
    assert layer.data.shape == (2048, 2048)
    assert set(np.unique(layer.data)) == {0, second}
    assert first in overview.data
    # Another place, with napari's own brush.
    look_at(viewer, c, qtbot, (10_000, 10_500), 1.0)
    viewer.layers.selection.active = layer
    layer.selected_label, layer.brush_size, layer.mode = 9, 21, "paint"
    hand.drag((9_990, 10_450), (10_010, 10_550))
    painted = np.asarray(c.session.labels[9_900:10_100, 10_400:10_600])
    assert np.count_nonzero(painted == 9) > 1500
    assert painted[90, 50] == painted[110, 150] == 9
    look_at(viewer, c, qtbot, (10_000, 10_500), 0.2)
    c.set_tool("points")
    hand.click((9_600, 10_500))
    assert c.wait(30)
    (third,) = c.accept()
    assert third == 10
    for _ in range(2):  # the accept and its click
        hand.key(Qt.Key.Key_Z, CONTROL)
    assert third not in layer.data
    hand.key(Qt.Key.Key_Z, CONTROL)
    assert not np.asarray(c.session.labels[9_900:10_100, 10_400:10_600]).any()
    c.redo()
    assert 9 in np.asarray(c.session.labels[9_900:10_100, 10_400:10_600])
    if soak(0, 1):  # writing a billion pixels takes a minute
        path = tmp_path / "labels.ome.tif"
        c.save_in_background(path)
        qtbot.waitUntil(lambda: "aved" in c.status, timeout=240_000)
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].shape == (side, side)
    assert resident() - before < 4e9
