"""Enter before the mask is there: done when it is, whatever happens to the prompts meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def due(annotated: Callable[..., Any], noise: Callable[..., Any], discs: Any) -> Any:
    """Give a controller whose first object was accepted before its mask was there."""
    discs.hold()
    c = annotated(noise(60, 60))
    c.points.add([10, 10])
    c.accept()
    return c


def test_a_click_that_is_refused_meanwhile_is_not_kept_for_later(due: Any, discs: Any) -> None:
    due.image.visible = False
    due.points.add([40, 40])
    due.shapes.add([[30, 30], [30, 40], [40, 40], [40, 30]], shape_type="rectangle")
    due.image.visible = True
    discs.let_go()
    assert due.wait()
    assert due.session.labels[10, 10] == 1
    assert due.session.pending == ()
    assert len(due.points.data) == len(due.shapes.data) == 0


def test_deleting_the_points_layer_meanwhile_takes_the_accept_back(due: Any, discs: Any) -> None:
    due.viewer.layers.remove(due.points)
    due.points.add([40, 40])
    discs.let_go()
    assert due.wait()
    assert len(due.session.pending) == 1
    assert due.accept() == [1]
    assert due.session.labels[10, 10] == 0
    assert due.session.labels[40, 40] == 1


def test_an_accept_of_prompts_that_were_answered_before_is_done(due: Any, discs: Any) -> None:
    """As is one that comes to an answer by a point that is moved onto an earlier place."""
    due.points.add([40, 40])
    discs.let_go()
    assert due.wait()
    due.discard()
    discs.encoded.clear()
    due.points.add([25, 25])
    due.accept()
    due.points.add([40, 40])
    due.accept()
    assert due.wait()
    assert due.session.labels[25, 25] == 2
    assert due.session.labels[40, 40] == 3
    assert due.session.pending == ()


def test_redo_meanwhile_forgets_the_accept(annotated: Any, noise: Any, discs: Any) -> None:
    c = annotated(noise(60, 60))
    c.points.add([10, 10])
    assert c.wait()
    assert c.accept() == [1]
    c.undo()
    discs.hold()
    discs.encoded.clear()
    c.set_model("another")
    c.accept()
    c.redo()
    assert c.session.labels[10, 10] == 1
    discs.let_go()
    c.points.add([40, 40])
    assert c.wait()
    assert len(c.session.pending) == 1
    assert c.accept() == [2]


def test_a_new_look_at_the_same_labels_goes_on_with_an_object_that_is_open(
    annotated: Any, noise: Any
) -> None:
    from samari.plugin.controller import Controller

    c = annotated(noise(60, 60))
    c.points.add([30, 30])
    assert c.wait()
    assert c.accept() == [1]
    c.reopen(1)
    c.close()
    again = Controller(c.viewer, c.image, labels=c.labels_layer, workshop=c._workshop)
    again.take_over(c)
    again.points.add([36, 30])
    assert again.wait()
    assert again.accept() == [1]
    assert np.unique(again.session.labels).tolist() == [0, 1]
    assert again.session.labels[40, 30] == 1
    again.close()


def test_prompt_layers_that_the_user_deleted_are_let_go(annotated: Any, noise: Any) -> None:
    """Trap 32: also their keys."""
    c = annotated(noise(40, 40))
    points = c.points
    c.viewer.layers.remove(points)
    assert points not in [row[0] for row in c._bindings._owners]
    assert id(points) not in {owner for owner, _ in c._bindings._bindings}
