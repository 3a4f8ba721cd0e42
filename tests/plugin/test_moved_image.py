"""The image is moved, or its voxels get another size, while it is annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from samari.engine.export import read_labels
from samari.plugin import labels_window
from samari.plugin.everything_run import EverythingRun
from samari.plugin.writer import write_labels

if TYPE_CHECKING:
    from pathlib import Path

MOVES: dict[str, dict[str, Any]] = {
    "scale": {"scale": (2, 0.5, 0.25)},
    "translate": {"translate": (3, -20, 7)},
    "rotate": {"rotate": 30},
    "shear": {"shear": (0, 0, 0.3)},
    "affine": {"affine": [[1, 0, 0, 4], [0, 1.2, 0.3, 5], [0, -0.2, 0.9, 6], [0, 0, 0, 1]]},
    "all": {"scale": (2, 0.5, 0.25), "rotate": 20, "translate": (3, 5, 6), "shear": (0, 0, 0.1)},
}  # fmt: skip


def _move(image: Any, **place: Any) -> None:
    for name, value in place.items():
        setattr(image, name, value)


def _look_at(c: Any, *voxel: float) -> None:
    c.viewer.dims.point = c.image.data_to_world(voxel)


def _click(c: Any, *voxel: float) -> None:
    """Add a point where the eye sees a voxel of the image."""
    c.points.add(c.points.world_to_data(c.image.data_to_world(voxel)))


def _lies_on_image(c: Any, layer: Any) -> None:
    """Check that the voxels of a layer are where those of the image are."""
    for voxel in ((0, 0, 0), (1, 20, 30)):
        np.testing.assert_allclose(
            layer.data_to_world(voxel), c.image.data_to_world(voxel), atol=1e-9
        )


def _middle(layer: Any, image: Any) -> Any:
    """Where on the image the middle of what a layer shows is seen."""
    shown = np.argwhere(layer.data).mean(axis=0)
    return image.world_to_data(layer.data_to_world(shown))


@pytest.mark.parametrize("move", MOVES)
def test_all_layers_go_with_the_image_and_prompts_stay_on_their_voxels(
    annotated: Any, noise: Any, move: str
) -> None:
    c = annotated(noise(9, 60, 80))
    _look_at(c, 5, 0, 0)
    _click(c, 5, 15, 20)
    assert c.wait()
    c.accept()
    _click(c, 5, 40, 60)
    assert c.wait()
    pending = c.session.pending
    _move(c.image, **MOVES[move])
    for layer in (c.points, c.shapes, c.labels_layer):
        _lies_on_image(c, layer)
    assert c.session.pending == pending
    _look_at(c, 5, 40, 60)
    assert c.plane.index == (5,)
    np.testing.assert_allclose(_middle(c.preview, c.image), (5, 40, 60), atol=1e-6)
    c.next_candidate()  # the preview is laid anew: still in the same place
    assert c.wait()
    np.testing.assert_allclose(_middle(c.preview, c.image), (5, 40, 60), atol=1e-6)
    assert c.accept() == [2]
    _look_at(c, 7, 30, 30)
    _click(c, 7, 30, 30)
    assert c.wait()
    assert c.accept() == [3]
    found = [np.argwhere(c.session.labels == n).mean(axis=0).tolist() for n in (1, 2, 3)]
    np.testing.assert_allclose(found, [[5, 15, 20], [5, 40, 60], [7, 30, 30]], atol=0.1)


def test_another_voxel_may_be_on_screen_then(annotated: Any, noise: Any) -> None:
    """The slider stays where it is in the world; where it would leave the image, it moves."""
    c = annotated(noise(12, 40, 40))
    _look_at(c, 10, 0, 0)
    c.image.scale = (2, 1, 1)
    assert c.plane.index == (5,)
    assert c.wait()
    c.image.scale = (0.25, 1, 1)
    shown = round(float(c.image.world_to_data(c.viewer.dims.point)[0]))
    assert 0 <= shown < 12
    assert c.plane.index == (shown,)


def test_what_is_saved_has_the_new_voxel_size_and_units(
    annotated: Any, noise: Any, workshop: Any, tmp_path: Path
) -> None:
    c = annotated(noise(4, 40, 40))
    _look_at(c, 1, 0, 0)
    _click(c, 1, 20, 20)
    assert c.wait()
    c.accept()
    _move(c.image, scale=(2, 0.5, 0.5), translate=(1, 2, 3), units=("micrometer",) * 3)
    for layer in (c.points, c.shapes, c.labels_layer, c.preview):
        assert layer.units == c.image.units
    c.save(tmp_path / "now.ome.tif")
    c.save_in_background(tmp_path / "soon.ome.tif")
    assert workshop.files.wait(30)
    for name in ("now", "soon"):
        saved = read_labels(tmp_path / f"{name}.ome.tif")
        assert saved.scale == (2, 0.5, 0.5)
        assert saved.translate == (1, 2, 3)
        assert saved.units == ("micrometer",) * 3
        assert saved.labels[1, 20, 20] == 1


def test_the_brush_goes_with_the_image_and_paints_where_it_is_seen(
    annotated: Any, noise: Any
) -> None:
    c = annotated(noise(400, 300))
    _click(c, 200, 150)
    assert c.wait()
    c.brush()
    layer = c.brush_layer
    _move(c.image, scale=(2, 0.5), translate=(10, -4), rotate=30)
    np.testing.assert_allclose(_middle(layer, c.image), (200, 150), atol=1e-6)
    layer.brush_size = 3
    layer.paint(layer.world_to_data(c.image.data_to_world((230, 170))), 1)
    assert c.session.prediction(c.session.pending[0].newest).mask[230, 170]


def test_channels_stay_covered(annotated: Any, noise: Any) -> None:
    c = annotated(noise(3, 40, 40), axis_labels=("c", "y", "x"), rgb=False)
    _move(c.image, scale=(1, 0.5, 0.25), translate=(4, 5, 6))
    _click(c, 0, 20, 30)
    assert c.wait()
    assert c.accept() == [1]
    for channel in range(3):
        world = c.image.data_to_world((channel, 20, 30))
        where = np.round(c.labels_layer.world_to_data(world)).astype(int)
        assert c.labels_layer.data[tuple(where)] == 1
    assert c.session.scale == (0.5, 0.25)


def test_a_labels_layer_goes_with_the_image_as_far_as_it_lay_on_it(
    annotated: Any, noise: Any, workshop: Any
) -> None:
    viewer = ViewerModel()
    moved = viewer.add_labels(np.zeros((40, 40), int), translate=(0, 7))
    c = annotated(noise(40, 40), viewer=viewer, labels=moved)
    _move(c.image, scale=(2, 3), translate=(5, 6))
    assert moved.scale.tolist() == [2, 3]
    assert moved.translate.tolist() == [5, 7]
    for layer in (moved, c.image):  # all layers, one after the other: as people do it
        layer.scale = (4, 4)
    assert moved.scale.tolist() == [4, 4]


def test_labels_without_the_channel_axis_go_with_the_image(annotated: Any, noise: Any) -> None:
    bare = Labels(np.zeros((40, 40), int))
    c = annotated(noise(2, 40, 40), labels=bare, axis_labels=("c", "y", "x"), rgb=False)
    _move(c.image, scale=(1, 2, 3), shear=(0, 0, 0.5), affine=np.diag([1, 2, 2, 1]))
    np.testing.assert_allclose(bare.data_to_world((10, 20)), c.image.data_to_world((0, 10, 20))[1:])


def test_large_labels_go_with_the_image_and_are_saved_so(
    annotated: Any, noise: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("LONGEST", 500), ("SIDE", 256), ("GRID", 64)):
        monkeypatch.setattr(labels_window, name, value)
    monkeypatch.setattr("samari.plugin.labels_overview._SIDE", 300)
    c = annotated(noise(1000, 1200))
    assert c.wait(30)
    c._viewer.scene.camera.center = (0, 500, 600)
    c._labels.settle()
    _click(c, 480, 610)
    assert c.wait(30)
    assert c.accept() == [1]
    (overview,) = c.label_helpers
    _move(c.image, scale=(2, 0.5), translate=(30, 40))
    for again in (False, True):
        if again:
            c._labels.settle()
            c._viewer.scene.camera.center = (0, *c.image.data_to_world((480, 610)))
            c._labels.settle()
        np.testing.assert_allclose(_middle(c.labels_layer, c.image), (480, 610), atol=1e-6)
        np.testing.assert_allclose(c.to_labels(c.image.data_to_world((480, 610))), (480, 610))
        np.testing.assert_allclose(overview.extent.world, c.image.extent.world, atol=8)
    data, meta, _ = c.labels_layer.as_layer_data_tuple()
    write_labels(str(tmp_path / "a.ome.tif"), data, meta)
    assert read_labels(tmp_path / "a.ome.tif").scale == (2, 0.5)


def test_what_was_found_goes_with_the_image(annotated: Any, noise: Any, workshop: Any) -> None:
    c = annotated(noise(40, 40))
    run = EverythingRun(c.viewer, c, workshop.inference)
    run._draw(c.plane, np.eye(40, dtype=np.uint16))
    run.state = "choosing"
    _move(c.image, scale=(2, 3), rotate=10)
    assert run._timer.isActive(), "it is about to be drawn again"
    run._draw(c.plane, np.eye(40, dtype=np.uint16))
    for pixel in ((0, 0), (10, 20)):
        np.testing.assert_allclose(run.layer.data_to_world(pixel), c.image.data_to_world(pixel))
    run.close()
    _move(c.image, scale=(1, 1))
    assert not run._timer.isActive()


def test_nothing_moves_after_the_end(annotated: Any, noise: Any) -> None:
    """Trap 32."""
    c = annotated(noise(40, 40))
    c.close()
    c.image.scale = (2, 2)
    for layer in (c.points, c.shapes, c.labels_layer, c.preview):
        assert layer.scale.tolist() == [1, 1]
