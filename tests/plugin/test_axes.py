"""Orders of axes in napari: ZYX, TZYX, TCZYX, CZYX, channels, and views across the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.plugin.following import LEFT, PLANES, DoubtfulTracker, Follower, planes_of, stack

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from samari.plugin.controller import Controller


@pytest.fixture
def discs(monkeypatch: pytest.MonkeyPatch) -> Follower:
    monkeypatch.setattr("samari.engine.tracking.Tracker", DoubtfulTracker)
    return Follower()


@pytest.fixture
def opened(workshop: Any) -> Callable[..., Controller]:
    """Give `opened(image, axes, *step)`: a controller with these steps of the sliders."""

    def open_image(image: Any, axes: str, *step: int, **layer: Any) -> Controller:
        from napari.components import ViewerModel

        from samari.plugin.controller import Controller

        viewer = ViewerModel()
        shown = viewer.add_image(image, name="cells", contrast_limits=(0, 256), rgb=False, **layer)
        viewer.dims.set_current_step(range(len(step)), step)
        controller = Controller(viewer, shown, workshop=workshop, axes=axes)
        controller.viewer = viewer  # type: ignore[attr-defined]
        assert controller.wait(30)
        return controller

    return open_image


def propagated(controller: Any, *point: float) -> Any:
    """Click on an object, propagate it, and return the session."""
    controller.points.add(np.array(point))
    assert controller.wait(30)
    controller.propagate()
    assert controller.wait(30)
    return controller.session


def test_a_stack_is_followed_along_z(opened: Any) -> None:
    c = opened(stack(), "ZYX", 5)
    session = propagated(c, 5, *LEFT)
    assert session.planes.label_axes == "ZYX"
    assert planes_of(session, 1) == PLANES
    c.close()


def test_a_series_of_stacks_goes_along_z_at_its_time_or_along_t(opened: Any) -> None:
    """Trap 10: T and Z are not mixed up."""
    image = np.stack([stack(), stack(), np.zeros_like(stack())])
    image[1, :, 0, 0] += 20
    c = opened(image, "TZYX", 1, 5)
    assert c.axes_to_go == "ZT"
    session = propagated(c, 1, 5, *LEFT)
    assert planes_of(session, 1, axis=0) == [1]
    assert planes_of(session, 1, axis=1) == PLANES
    c.undo()
    c.along = "T"
    c.propagate()
    assert c.wait(30)
    assert planes_of(session, 1, axis=0) == [0, 1]
    assert planes_of(session, 1, axis=1) == [5]
    c.close()


@pytest.mark.parametrize(("axes", "place"), [("CZYX", (1, 5)), ("TCZYX", (1, 1, 5))])
def test_the_channel_on_screen_is_followed_and_our_layers_lie_on_every_channel(
    opened: Any, axes: str, place: tuple[int, ...]
) -> None:
    """Trap 10."""
    image = np.stack([np.zeros_like(stack()), stack()])
    if "T" in axes:
        image = np.stack([np.zeros_like(image), image])
    c = opened(image, axes, *place)
    assert c.session.planes.channel == 1
    assert c.session.planes.label_axes == axes.replace("C", "")
    channel = axes.index("C")
    point = [*place, *LEFT]
    point[channel] = 0  # our layers have one voxel along C
    session = propagated(c, *point)
    assert planes_of(session, 1, axis=len(axes) - 4) == PLANES
    assert c.labels_layer.data.shape[channel] == 1
    # On screen at each channel, and at the same place.
    for k in range(2):
        c.viewer.dims.set_current_step(channel, k)
        world = c.image.data_to_world([*place[:channel], k, *place[channel + 1 :], *LEFT])
        index = np.floor(np.array(c.labels_layer.world_to_data(world)) + 0.5).astype(int)
        assert c.labels_layer.data[tuple(index)] == 1
    c.close()


def test_channels_first_is_no_depth_and_no_colour_once_it_is_said(opened: Any) -> None:
    """Trap 10: a mistaken channel axis is not silently RGB."""
    image = np.zeros((3, 48, 64), np.uint8)
    image[1] = stack()[5]
    as_stack = opened(image, "", 1)
    assert as_stack.session.planes.label_axes == "ZYX"
    assert as_stack.axes_to_go == "Z"
    as_stack.close()
    as_channels = opened(image, "CYX", 1)
    assert as_channels.session.planes.label_axes == "YX"
    assert as_channels.session.planes.channel == 1
    assert as_channels.axes_to_go == ""
    as_channels.close()
    with pytest.raises(InputError, match="axes 'ZYXX' do not fit the image 'cells'"):
        opened(image, "ZYXX", 1)


@pytest.mark.parametrize(("order", "axis"), [((1, 0, 2), 1), ((2, 0, 1), 2)])
def test_across_the_stack_it_prompts_and_goes_along_the_other_axis(
    opened: Any, order: tuple[int, ...], axis: int
) -> None:
    """Trap 11, with voxels that are four times as high as wide: XZ along Y, YZ along X."""
    c = opened(stack(), "ZYX", 5, 16, 16, scale=(2.0, 0.5, 0.5))
    c.viewer.dims.order = order
    assert c.wait(30)
    assert c.axes_to_go == "ZYX"[axis]
    session = propagated(c, 5, 16, 16)
    found = planes_of(session, 1, axis=axis)
    assert set(range(12, 21)) <= set(found) <= set(range(10, 23))
    assert found == list(range(found[0], found[-1] + 1))
    assert {part.plane.view for part in session.objects[1].parts} == {c.session.view}
    # What was prompted across the stack goes on across it, in whatever view G is pressed.
    c.undo()
    c.viewer.dims.order = (0, 1, 2)
    c.propagate()
    assert c.wait(30)
    assert planes_of(session, 1, axis=axis) == found
    c.close()


def test_axes_and_channel_are_chosen_in_the_dock(docked: Any, qtbot: Any) -> None:
    """Trap 10: napari takes (2, Z, Y, X) for a series; one choice makes it channels."""
    image = np.stack([np.zeros_like(stack()), stack()])
    viewer, _, dock = docked(image, contrast_limits=(0, 256), rgb=False)
    ui = dock.ui
    assert ui.axes.axes.currentText() == "TZYX"
    assert ui.axes.channel.isHidden()
    layers = len(viewer.layers)
    choose(ui.axes.axes, "CZYX")
    c = dock.controller
    assert c.session.planes.label_axes == "ZYX"
    assert len(viewer.layers) == layers
    assert c.labels_layer.data.shape == (1, 12, 48, 64)
    assert c.labels_layer.name == "cells objects"
    assert not ui.axes.channel.isHidden()
    choose(ui.axes.channel, "C 1")
    c = dock.controller
    assert c.session.planes.channel == 1
    assert viewer.dims.current_step[0] == 1
    assert c.renewal == ""
    assert len(viewer.layers) == layers
    viewer.dims.set_current_step(1, 5)
    session = propagated(c, 0, 5, *LEFT)
    assert planes_of(session, 1) == PLANES
    # Objects of the axes before stay in their layer.
    choose(ui.axes.axes, "TZYX")
    assert c.labels_layer in viewer.layers
    assert dock.controller.labels_layer != c.labels_layer
    assert dock.controller.session.planes.label_axes == "TZYX"


def choose(box: Any, text: str) -> None:
    """Choose as a click in the list does."""
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())
    box.textActivated.emit(text)
