"""Clicks and accepts before the answer is there; cancelling, and errors of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]


def test_a_click_during_encoding_is_answered_when_it_is_done(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    """Trap 30: clicks made before the plane is ready are queued, not lost."""
    discs.hold()
    c = annotated(noise(40, 40))
    c.points.add([10, 10])
    c.points.add([30, 30])
    assert c.candidates is None
    assert c.busy
    discs.let_go()
    assert c.wait()
    assert c.candidates is not None
    assert discs.decoded[-1].points == ((10, 10), (30, 30))


def test_enter_before_the_answer_accepts_when_it_is_there(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    """Trap 29: what is drawn after an early Enter belongs to the next object."""
    discs.hold()
    c = annotated(noise(60, 60))
    c.points.add([10, 10])
    assert c.accept() == []
    c.points.add([40, 40])
    assert c.accept() == []
    c.points.add([10, 50])
    discs.let_go()
    assert c.wait()
    assert set(np.unique(c.session.labels)) == {0, 1, 2}
    assert c.session.labels[10, 10] == 1
    assert c.session.labels[40, 40] == 2
    np.testing.assert_array_equal(c.points.data, [[10, 50]])
    assert c.candidates is not None
    assert c.accept() == [3]


def test_cancel_during_encoding_then_go_on(
    annotated: Annotated, noise: Noise, discs: Any, said: list[str]
) -> None:
    """Trap 31: after a cancel everything still works."""
    discs.hold()
    c = annotated(noise(40, 40))
    c.points.add([20, 20])
    assert c.busy
    c.cancel()
    assert not c.busy
    assert c.wait()
    assert c.candidates is None
    discs.let_go()
    c.points.add([20, 24])
    assert c.wait()
    assert c.candidates is not None
    assert len(discs.decoded[-1].points) == 2
    assert c.accept() == [1]
    assert said == []


def test_accept_after_a_cancel_asks_again(annotated: Annotated, noise: Noise, discs: Any) -> None:
    discs.hold()
    c = annotated(noise(40, 40))
    c.points.add([20, 20])
    c.cancel()
    discs.let_go()
    assert c.accept() == []
    assert c.wait()
    assert c.session.labels.max() == 1


def test_sixty_quick_clicks_are_all_in_the_mask(
    annotated: Annotated, noise: Noise, discs: Any
) -> None:
    """Trap 29: no click is lost, whatever was already under way."""
    discs.seconds_a_block = 0.01
    c = annotated(noise(100, 100))
    places = np.random.default_rng(1).uniform(0, 99, (60, 2))
    for place in places:
        c.points.add(place)
    assert c.wait(30)
    assert len(c.points.data) == 60
    assert len(discs.decoded[-1].points) == 60
    assert c.accept() == [1]
    assert (np.unique(c.session.labels) == [0, 1]).all()


def test_an_error_of_the_model_is_told_and_prompts_stay(
    annotated: Annotated, noise: Noise, discs: Any, said: list[str]
) -> None:
    discs.error = OSError("The file cannot be read: disk pulled out")
    c = annotated(noise(40, 40))
    assert c.wait()
    assert said == ["The file cannot be read: disk pulled out."]
    discs.error = None
    c.points.add([20, 20])
    assert c.wait()
    assert c.candidates is not None
