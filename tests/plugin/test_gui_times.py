"""Never frozen: what our callbacks cost the thread of the window."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from samari.plugin.notices import sentence
from samari.plugin.preview import Preview

if TYPE_CHECKING:
    import pytest

#: Milliseconds that a callback may take, and their share that must stay below.
LIMIT, SHARE = 16, 99
SOAK = bool(os.environ.get("SAMARI_SOAK"))


def test_the_instrument_times_the_outermost_call_and_nothing_else(
    gui_times: Any, annotated: Any, noise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = annotated(noise(64, 64))
    gui_times.clear()
    sentence("plain functions are part of who calls them")
    assert gui_times.durations == []
    show = Preview.show
    monkeypatch.setattr(Preview, "show", lambda *a: (time.sleep(0.05), show(*a)))
    c.points.add([30, 30])
    assert set(gui_times.names) == {"PromptsSync._on_points"}  # adding, added
    assert 0.05 < gui_times.total < 1
    assert gui_times.longest(1)[0][1] >= 50
    before = gui_times.total
    assert c.wait(30)
    assert "JobThread._deliver" in gui_times.names
    assert not any("wait" in name for name in gui_times.names)
    assert gui_times.total > before


def test_clicks_answers_and_accepts_hold_the_window_for_moments_only(
    gui_times: Any, docked: Any, qtbot: Any
) -> None:
    import skimage.data

    _viewer, hand, dock = docked(skimage.data.camera())
    c = dock.controller
    gui_times.clear()
    for number in range(60 if SOAK else 12):
        row, col = 60 + 37 * number % 400, 60 + 83 * number % 400
        hand.click((row, col))
        qtbot.waitUntil(lambda: c.candidates is not None, timeout=30_000)
        if number % 4 == 3:
            c.accept()
            c.undo()
            c.redo()
        else:
            c.next_candidate()
            c.discard()
        qtbot.wait(5)
    print(f"\nclicks, answers, accepts: {gui_times}; longest {gui_times.longest()}")
    # On a machine that does other things as well, the limit of a quiet one is exceeded now and
    # then; what a soak run prints is the figure.
    assert gui_times.percentile(50) < LIMIT
    assert gui_times.percentile(SHARE if SOAK else 90) < (LIMIT if SOAK else 10 * LIMIT)
