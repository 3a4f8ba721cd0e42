"""Slices, transforms, axes and views: the click lands where the eye saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel

from samari.errors import InputError
from samari.plugin.source import ImageSource

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def _to_slice(c: Any, point: Any) -> None:
    """Move the viewer's sliders so that a data point of the image is on the plane shown."""
    c.viewer.dims.point = c.image.data_to_world(point)


def test_slice_five_of_a_scaled_and_translated_stack(annotated: Annotated, noise: Noise) -> None:
    """Trap 5, 9 and 12: the slice index comes from the world, the object lies on its slice only."""
    c = annotated(noise(12, 40, 50), scale=(2, 0.5, 0.5), translate=(7, -3, 11))
    _to_slice(c, (5, 0, 0))
    c.points.add(c.image.world_to_data(c.image.data_to_world((5, 20, 30))))
    assert c.wait()
    assert c.session.pending[0].newest.plane.index == (5,)
    c.accept()
    labels = c.labels_layer.data
    assert labels[5, 20, 30] == 1
    assert [z for z in range(12) if labels[z].any()] == [5]
    for layer in (c.points, c.shapes, c.labels_layer):
        np.testing.assert_allclose(layer.scale, c.image.scale)
        np.testing.assert_allclose(layer.translate, c.image.translate)
    c.undo()
    np.testing.assert_allclose(
        c.preview.data_to_world((0, 0, 0))[0], c.image.data_to_world((5, 0, 0))[0]
    )


@pytest.mark.parametrize(
    "place",
    [
        {"rotate": 30},
        {"shear": [0.3]},
        {"scale": (2, 3), "rotate": 20, "translate": (5, 6), "shear": [0.1]},
        {"affine": np.array([[1.2, 0.3, 4], [-0.2, 0.9, 5], [0, 0, 1]])},
    ],
)
def test_every_transform_is_copied_and_the_preview_lies_on_the_object(
    annotated: Annotated, noise: Noise, place: dict[str, Any]
) -> None:
    """Trap 5 and 6: rotate, shear and affine, the same before and after."""
    c = annotated(noise(60, 60), **place)
    before = [np.array(c.image.data_to_world(p)) for p in ((0, 0), (10, 20))]
    c.points.add([40, 25])
    assert c.wait()
    for layer in (c.points, c.shapes, c.labels_layer):
        for point in ((0, 0), (10, 20)):
            np.testing.assert_allclose(
                layer.data_to_world(point), c.image.data_to_world(point), atol=1e-9
            )
    center = np.argwhere(c.preview.data).mean(axis=0)
    world = c.preview.data_to_world(center)
    np.testing.assert_allclose(c.image.world_to_data(world), (40, 25), atol=1e-6)
    c.accept()
    c.close()
    after = [np.array(c.image.data_to_world(p)) for p in ((0, 0), (10, 20))]
    np.testing.assert_array_equal(before, after)


def test_units_and_axis_labels_are_copied(annotated: Annotated, noise: Noise) -> None:
    c = annotated(
        noise(3, 30, 30), units=("micrometer",) * 3, axis_labels=("z", "y", "x"), scale=(2, 1, 1)
    )
    for layer in (c.points, c.shapes, c.labels_layer, c.preview):
        assert layer.units == c.image.units
        assert layer.axis_labels == ("z", "y", "x")
    assert c.session.units == ("micrometer",) * 3
    assert c.session.scale == (2, 1, 1)


def test_a_point_of_another_slice_has_no_effect_here(annotated: Annotated, noise: Noise) -> None:
    """Trap 9: one object may have prompts on several slices; each acts on its own."""
    c = annotated(noise(8, 40, 40))
    _to_slice(c, (3, 0, 0))
    c.points.add([3, 10, 10])
    _to_slice(c, (4, 0, 0))
    c.points.add([4, 30, 30])
    assert c.wait()
    parts = {part.plane.index[0]: part.prompts.points for part in c.session.pending[0].parts}
    assert parts == {3: ((10, 10),), 4: ((30, 30),)}
    assert c.accept() == [1]
    labels = c.session.labels
    assert labels[3, 10, 10] == labels[4, 30, 30] == 1
    assert labels[3, 30, 30] == labels[4, 10, 10] == 0


def test_the_preview_follows_the_slice(annotated: Annotated, noise: Noise) -> None:
    c = annotated(noise(8, 40, 40))
    _to_slice(c, (3, 0, 0))
    c.points.add([3, 10, 10])
    assert c.wait()
    assert c.preview.data.any()
    _to_slice(c, (4, 0, 0))
    assert not c.preview.data.any()
    _to_slice(c, (3, 0, 0))
    assert c.preview.data.any()


@pytest.mark.parametrize(
    ("order", "view", "index"),
    [((1, 0, 2), "ZX", 25), ((2, 0, 1), "ZY", 35), ((0, 2, 1), "YX", 6), ((1, 2, 0), "ZX", 25)],
)
def test_the_displayed_plane_is_the_prompted_plane(
    annotated: Annotated, noise: Noise, order: tuple[int, ...], view: str, index: int
) -> None:
    """Trap 11: rolled and transposed dims, XZ and YZ views."""
    c = annotated(noise(16, 40, 50), scale=(2, 0.5, 0.5))
    _to_slice(c, (6, 25, 35))
    c.viewer.dims.order = order
    c.points.add([6, 25, 35])
    assert c.wait()
    plane = c.session.pending[0].newest.plane
    assert (plane.view, plane.index) == (view, (index,))
    assert c.preview.data.any()
    c.accept()
    labels = c.labels_layer.data
    assert labels[6, 25, 35] == 1
    axis = "ZYX".index(({"Z", "Y", "X"} - set(view)).pop())
    assert np.unique(np.argwhere(labels)[:, axis]).tolist() == [index]


def test_a_box_in_the_xz_view(annotated: Annotated, noise: Noise) -> None:
    """Trap 11: boxes too, whatever the order of the corners."""
    c = annotated(noise(16, 40, 50))
    c.viewer.dims.order = (1, 0, 2)
    _to_slice(c, (0, 7, 0))
    c.shapes.add([[10, 7, 30], [4, 7, 30], [4, 7, 12], [10, 7, 12]], shape_type="rectangle")
    part = c.session.pending[0].newest
    assert (part.plane.view, part.plane.index) == ("ZX", (7,))
    assert part.prompts.box == (4, 12, 10, 30)
    assert c.wait()
    c.accept()
    c.undo()
    assert c.session.pending[0].newest == part
    vertices = c.shapes.data[0]
    np.testing.assert_array_equal(vertices.min(axis=0), (4, 7, 12))
    np.testing.assert_array_equal(vertices.max(axis=0), (10, 7, 30))


def test_tzyx_at_a_later_time(annotated: Annotated, noise: Noise) -> None:
    """Trap 10: every axis that is not displayed is an index."""
    c = annotated(noise(3, 5, 30, 30))
    _to_slice(c, (2, 3, 0, 0))
    c.points.add([2, 3, 15, 15])
    assert c.wait()
    c.accept()
    assert np.argwhere(c.session.labels)[:, :2].min(axis=0).tolist() == [2, 3]
    assert np.argwhere(c.session.labels)[:, :2].max(axis=0).tolist() == [2, 3]


def test_tczyx_uses_the_channel_on_screen_and_its_labels_have_none(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 10: T and C do not mix, and the result is seen on every channel."""
    viewer = ViewerModel()
    image = noise(3, 2, 5, 30, 30)
    viewer.add_image(image, name="other")
    viewer.dims.point = (1, 1, 2, 0, 0)
    c = annotated(image, viewer=viewer)
    assert c.session.planes.channel == 1
    assert c.session.labels.shape == (3, 5, 30, 30)
    assert c.labels_layer.data.shape == (3, 1, 5, 30, 30)
    position = c.points.world_to_data(c.image.data_to_world((1, 1, 2, 15, 15)))
    c.points.add(position)
    assert c.wait()
    assert c.session.pending[0].newest.plane.index == (1, 2)
    c.accept()
    assert c.session.labels[1, 2, 15, 15] == 1
    assert np.shares_memory(c.session.labels, c.labels_layer.data)
    for channel in (0, 1):
        world = c.image.data_to_world((1, channel, 2, 15, 15))
        where = np.round(c.labels_layer.world_to_data(world)).astype(int)
        assert c.labels_layer.data[tuple(where)] == 1


def test_a_channel_axis_is_known_by_its_label(annotated: Annotated, noise: Noise) -> None:
    """Trap 10: (C, Y, X) is not a stack, and not RGB."""
    c = annotated(noise(3, 40, 40), axis_labels=("channel", "y", "x"), rgb=False)
    assert c.session.planes.axes == "CYX"
    assert c.session.labels.shape == (40, 40)
    c.points.add([0, 20, 20])
    assert c.wait()
    assert c.accept() == [1]


@pytest.mark.parametrize(
    ("shape", "rgb", "labels"),
    [
        ((40, 40, 3), True, (40, 40)),
        ((40, 40, 4), True, (40, 40)),
        ((5, 40, 40, 3), True, (5, 40, 40)),
        ((3, 40, 40), False, (3, 40, 40)),
        ((40, 4), False, (40, 4)),
        ((5, 5, 5), False, (5, 5, 5)),
        ((40, 40, 3), False, (40, 40, 3)),
    ],
)
def test_the_layer_says_whether_it_is_rgb(
    annotated: Annotated, noise: Noise, shape: tuple[int, ...], rgb: bool, labels: Any
) -> None:
    """Trap 10: `layer.rgb` decides, never the shape."""
    c = annotated(noise(*shape), rgb=rgb)
    assert c.session.planes.rgb == rgb
    assert c.session.labels.shape == labels
    c.points.add([0] * (len(labels) - 2) + [2, 2])
    assert c.wait()
    assert c.accept() == [1]


def test_a_multiscale_layer_is_annotated_at_full_resolution(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 14: the click is level-0 data."""
    full = noise(64, 64)
    c = annotated([full, full[::2, ::2], full[::4, ::4]], multiscale=True)
    assert c.session.labels.shape == (64, 64)
    c.points.add(c.image.world_to_data((50, 40)))
    assert c.wait()
    c.accept()
    assert c.session.labels[50, 40] == 1


@pytest.mark.parametrize(
    ("point", "reason"),
    [((-3, 10), "outside the image"), ((10, 40), "outside the image"), ((39.6, 10), "outside")],
)
def test_click_outside_the_image_is_ignored_with_a_notice(
    annotated: Annotated, noise: Noise, said: list[str], point: Any, reason: str
) -> None:
    """Trap 13."""
    c = annotated(noise(40, 40))
    c.points.add([20, 20])
    c.points.add(point)
    assert len(said) == 1
    assert reason in said[0]
    np.testing.assert_array_equal(c.points.data, [[20, 20]])
    assert c.session.pending[0].newest.prompts.points == ((20, 20),)


def test_a_box_that_reaches_out_is_cut_and_one_outside_is_ignored(
    annotated: Annotated, noise: Noise, said: list[str], qtbot: Any
) -> None:
    """Trap 13."""
    c = annotated(noise(40, 40))
    c.shapes.add([[30, 30], [30, 60], [60, 60], [60, 30]], shape_type="rectangle")
    assert c.session.pending[0].newest.prompts.box == (30, 30, 39.5, 39.5)
    assert said == []
    c.shapes.add([[50, 50], [50, 60], [60, 60], [60, 50]], shape_type="rectangle")
    qtbot.waitUntil(lambda: len(c.shapes.data) == 1, timeout=30_000)
    assert len(said) == 1
    assert len(c.session.pending) == 1


@pytest.mark.parametrize("how", ["3d", "hidden", "beside"])
def test_clicks_are_ignored_while_no_plane_is_on_screen(
    annotated: Annotated, noise: Noise, said: list[str], how: str
) -> None:
    """Trap 13: 3D display, hidden layer, a slice beside the image."""
    viewer = ViewerModel()
    viewer.add_image(noise(30, 40, 40), name="taller")
    c = annotated(noise(8, 40, 40), viewer=viewer)
    if how == "3d":
        viewer.dims.ndisplay = 3
    elif how == "hidden":
        c.image.visible = False
    else:
        viewer.dims.point = (20, 0, 0)
    c.points.add([4, 20, 20])
    assert len(said) == 1
    assert len(c.points.data) == 0
    assert c.session.pending == ()
    c.image.visible = True
    viewer.dims.ndisplay = 2
    viewer.dims.point = (4, 0, 0)
    c.points.add([4, 20, 20])
    assert c.wait()
    assert c.accept() == [1]


def test_a_prompt_layer_moved_by_the_user_still_says_what_its_data_says(
    annotated: Annotated, noise: Noise
) -> None:
    """Trap 5 and 6: nothing resets a transform, neither the user's nor the image's."""
    c = annotated(noise(40, 40), scale=(2, 2))
    c.points.scale = (3, 3)
    c.points.add([20, 10])
    assert c.wait()
    c.accept()
    assert c.session.labels[20, 10] == 1
    np.testing.assert_array_equal(c.points.scale, (3, 3))
    np.testing.assert_array_equal(c.image.scale, (2, 2))


def test_a_2d_image_beside_a_stack_is_on_every_slice(annotated: Annotated, noise: Noise) -> None:
    """Trap 12: the image has fewer axes than the viewer."""
    viewer = ViewerModel()
    viewer.add_image(noise(9, 40, 40), name="stack")
    c = annotated(noise(40, 40), viewer=viewer)
    viewer.dims.point = (7, 0, 0)
    c.points.add([20, 20])
    assert c.wait()
    assert c.accept() == [1]
    viewer.dims.order = (1, 0, 2)
    c.points.add([30, 30])
    assert c.session.pending == ()


def test_visible_slices_are_encoded_when_the_slider_rests(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    c = annotated(noise(8, 40, 40))
    assert c.wait()
    for z in range(8):
        _to_slice(c, (z, 0, 0))
    assert c.wait()
    assert len(discs.encoded) == 2
    np.testing.assert_array_equal(discs.encoded[-1], c.session.planes.rgb_plane(
        c.session.planes.plane_at((7, 0, 0))
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("made", "later", "expected"),
    [
        ({}, None, None),
        ({}, (10, 500), (10, 500)),
        ({"contrast_limits": (5, 700)}, None, (5, 700)),
    ],
)
def test_contrast_limits_are_taken_over_only_if_the_user_set_them(
    qapp: Any, made: dict[str, Any], later: Any, expected: Any
) -> None:
    """Trap 4: napari's automatic limits are the extremes of the data; the engine's are robust."""
    image = np.random.default_rng(0).integers(0, 1000, (4, 30, 30)).astype(np.uint16)
    layer = ViewerModel().add_image(image, **made)
    if later is not None:
        layer.contrast_limits = later
    assert ImageSource(layer).contrast_limits() == expected


def test_rgb_layers_have_no_contrast_limits(qapp: Any, noise: Noise) -> None:
    layer = ViewerModel().add_image(noise(40, 40, 3), rgb=True)
    assert ImageSource(layer).contrast_limits() is None


def test_images_of_one_or_six_axes_are_refused(qapp: Any) -> None:
    layer = ViewerModel().add_image(np.zeros((2,) * 6))
    with pytest.raises(InputError, match="2 to 5 axes"):
        ImageSource(layer)


def test_an_image_that_was_hidden_while_the_slice_changed_shows_its_masks_again(
    annotated: Annotated, noise: Noise
) -> None:
    c = annotated(noise(3, 40, 40))
    assert c.wait()
    c.points.add([0, 20, 20])
    assert c.wait()
    c.image.visible = False
    assert not c.preview.data.any()
    c.viewer.dims.set_point(0, 1)
    c.image.visible = True
    c.points.add([1, 20, 20])
    assert c.wait()
    assert c.preview.data.any()


@pytest.mark.parametrize(
    "laid",
    [
        {},
        {"scale": (2, 0.5, 0.25), "translate": (3, 4, 5)},
        {"scale": (2, 0.5, 0.25), "rotate": np.eye(3)[[0, 2, 1]]},
        {"scale": (2, 0.5, 0.25), "shear": (0.1, 0, 0.3)},
        {"scale": (2, 3, 4), "affine": [[1, 0, 0, 7], [0, 0.8, -0.6, 0], [0, 0.6, 0.8, 1]]},
    ],
)
def test_a_layer_is_displaced_by_data_units_wherever_it_lies(
    qapp: Any, laid: dict[str, Any]
) -> None:
    if "affine" in laid:
        laid = {**laid, "affine": [*laid["affine"], [0, 0, 0, 1]]}
    layer = ViewerModel().add_image(np.zeros((3, 30, 30), np.uint8), **laid)
    step = np.array([1.0, 7.5, -2.0])
    wanted = layer.data_to_world(step)
    layer.translate = np.asarray(layer.translate) + ImageSource.displacement(layer, step)
    np.testing.assert_allclose(layer.data_to_world(np.zeros(3)), wanted, atol=1e-6)
