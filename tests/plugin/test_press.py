"""What a click will ask is computed from the press of its button on, before it is let go."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def ready(docked: Any, noise: Any) -> Callable[[], Any]:
    """Give `ready()`: hand and controller, the plane encoded, nothing shown under the mouse."""

    def open_dock() -> Any:
        _viewer, hand, dock = docked(noise(100, 120))
        c = dock.controller
        assert c.wait(30)
        c.hover = False
        return hand, c

    return open_dock


def press(hand: Any, qtbot: Any, discs: Any, place: Any, button: Any, modifiers: Any) -> None:
    """Press, and wait until something more was decoded."""
    before = len(discs.decoded)
    QTest.mousePress(hand.native, button, modifiers, hand.at(place))
    qtbot.waitUntil(lambda: len(discs.decoded) > before, timeout=30_000)


def test_the_release_finds_its_answer_whatever_click_it_is(
    ready: Any, qtbot: Any, discs: Any
) -> None:
    hand, c = ready()
    clicks = [
        ((40, 60), LEFT, NONE, 1),
        ((44, 70), LEFT, NONE, 1),
        ((42, 50), RIGHT, NONE, 0),
        ((30, 30), LEFT, CTRL, 0),
    ]
    for number, (place, button, modifiers, label) in enumerate(clicks, start=1):
        press(hand, qtbot, discs, place, button, modifiers)
        assert len(c.points.data) == number - 1
        assert discs.decoded[-1].labels[-1] == label
        assert c.wait(30)
        asked = len(discs.decoded)
        QTest.mouseRelease(hand.native, button, modifiers, hand.at(place))
        assert len(c.points.data) == number
        qtbot.waitUntil(lambda: c.candidates is not None, timeout=30_000)
        assert len(discs.decoded) == asked
        assert discs.decoded[-1].points == tuple(map(tuple, c.points.data.tolist()))
    assert c.accept() == [1]


def test_a_press_that_becomes_no_click_leaves_no_trace(ready: Any, qtbot: Any, discs: Any) -> None:
    hand, c = ready()
    press(hand, qtbot, discs, (40, 60), LEFT, NONE)
    hand._send_move(hand.at((60, 90)).toPointF(), LEFT)
    QTest.mouseRelease(hand.native, LEFT, NONE, hand.at((60, 90)))
    assert c.wait(30)
    assert len(c.points.data) == 0
    assert not c.session.pending
    assert not c.session.history.can_undo
    assert not c.preview.data.any()
    assert not np.any(c.session.labels)


def test_while_a_click_is_being_answered_the_next_press_asks_nothing(
    ready: Any, discs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand, c = ready()
    gate, predict = threading.Event(), discs.predict_prompts
    monkeypatch.setattr(discs, "predict_prompts", lambda *a: gate.wait(30) and predict(*a))
    hand.click((40, 60))
    QTest.mousePress(hand.native, LEFT, NONE, hand.at((44, 70)))
    assert c._inference.ahead._next is None
    gate.set()
    QTest.mouseRelease(hand.native, LEFT, NONE, hand.at((44, 70)))
    assert c.wait(30)
    assert [len(prompts.points) for prompts in discs.decoded] == [1, 2]


def test_prompts_behind_an_early_enter_are_left_to_the_release(
    ready: Any, qtbot: Any, discs: Any
) -> None:
    hand, c = ready()
    c.session.segmenter = discs  # what was answered counts no more
    discs.cache.clear()
    discs.encoded.clear()
    c._inference.set_segmenter(discs)
    discs.hold()
    hand.click((40, 60))
    assert c.accept() == []
    QTest.mousePress(hand.native, LEFT, NONE, hand.at((80, 30)))
    assert c._inference.ahead._question is None
    QTest.mouseRelease(hand.native, LEFT, NONE, hand.at((80, 30)))
    discs.let_go()
    assert c.wait(30)
    assert np.unique(c.session.labels).tolist() == [0, 1]
    assert len(c.points.data) == 1
