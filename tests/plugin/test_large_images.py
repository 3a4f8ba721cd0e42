"""Images larger than the model's picture, in the window: the mask does not depend on the zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.plugin.layers import HOVER_EDGE

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def large(docked: Any, discs: Any, noise: Any) -> Callable[..., Any]:
    """Give `large(image)`: hand and controller, with a model whose pictures have 128 pixels."""

    def open_image(image: Any = None, **layer: Any) -> tuple[Any, Any, Any]:
        discs.picture_size = 128
        viewer, hand, dock = docked(noise(1000, 1200) if image is None else image, **layer)
        assert dock.controller.wait(30)
        return viewer, hand, dock.controller

    return open_image


def look_at(viewer: Any, qtbot: Any, point: tuple[float, float], zoom: float) -> None:
    camera = viewer.scene.camera
    camera.center = (0, *point)
    camera.zoom = zoom
    qtbot.wait(50)


def test_a_click_gives_the_same_label_at_every_zoom(large: Any, discs: Any, qtbot: Any) -> None:
    viewer, hand, c = large()
    found = []
    for zoom in (0.45, 2.0, 8.0):
        look_at(viewer, qtbot, (500, 700), zoom)
        c.session.add_point((500.0, 700.0))
        c._inference.ask()
        assert c.wait(30)
        c.accept()
        found.append(np.asarray(c.labels_layer.data).copy())
        c.undo()
        c.discard()
        hand.click((500, 700))
        assert c.wait(30)
        (label,) = c.accept()
        # A pixel of the screen is two of the image at the lowest zoom.
        rows, cols = np.nonzero(c.session.labels == label)
        assert abs(rows.mean() - 500) <= 1.2
        assert abs(cols.mean() - 700) <= 1.2
        c.undo()
        c.discard()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert found[0].any()
    assert {rgb.shape[:2] for rgb in discs.encoded} == {(128, 128)}


def test_only_tiles_are_encoded_that_were_looked_at(large: Any, discs: Any, qtbot: Any) -> None:
    viewer, hand, c = large()
    assert len(discs.encoded) == 1  # in the middle of the screen
    look_at(viewer, qtbot, (300, 900), 3.0)
    hand.move((300, 900))
    qtbot.waitUntil(lambda: len(discs.encoded) == 2, timeout=30_000)
    # The contour is there as soon as the tile is encoded, without another move.
    qtbot.waitUntil(lambda: HOVER_EDGE in c.preview.data, timeout=30_000)
    hand.click((300, 900))
    assert c.wait(30)
    assert c.candidates is not None
    assert len(discs.encoded) == 2
    assert c.candidates.tile.box == (256, 832, 384, 960)


def test_a_multiscale_layer_is_annotated_at_full_resolution(large: Any, qtbot: Any) -> None:
    """Trap 14."""
    full = np.random.default_rng(0).integers(0, 200, (1000, 1200), dtype=np.uint8)
    viewer, hand, c = large([full, full[::2, ::2].copy(), full[::4, ::4].copy()])
    assert c.session.planes.reduction("YX", 4) == 4
    look_at(viewer, qtbot, (400, 600), 0.5)
    hand.click((400, 600))
    assert c.wait(30)
    (label,) = c.accept()
    rows, cols = np.nonzero(c.session.labels == label)
    assert abs(rows.mean() - 400) <= 1.2
    assert abs(cols.mean() - 600) <= 1.2
    assert rows.max() - rows.min() == 12
