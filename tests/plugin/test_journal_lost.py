"""What a session left behind that ended without being saved: found, offered, brought back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from journal_steps import click, journals

from samari.engine.journal import read_journal
from samari.plugin.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_after_a_crash_the_objects_are_offered_and_come_back(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, discs: Any
) -> None:
    """Trap 43."""
    image = noise(3, 30, 40)
    c = annotated(image)
    click(c, 0, 10, 10)
    c.viewer.dims.set_point(0, 1)
    click(c, 1, 20, 20)
    before = np.array(c.session.labels)
    c.close()  # the file is what a killed program leaves; the system frees its lock
    again = annotated(image, name="another name")
    assert workshop.files.wait(30)
    assert again.restorable.startswith("Restore 2 objects, today ")
    assert again.restore() == 2
    np.testing.assert_array_equal(again.labels_layer.data, before)
    assert "2 objects are back" in again.status
    assert again.restorable == ""
    again.session.reopen(2)
    assert len(again.points.data) == 1, "its prompts are back in their layer"
    again.discard()
    click(again, 0, 24, 32)
    assert workshop.files.wait(30)
    (path,) = journals()
    assert read_journal(path).labels() == {1, 2, 3}, "it goes on in the same file"
    for _ in range(12):
        again.undo()
    assert not again.labels_layer.data.any()


def test_the_offer_can_be_refused_for_good(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.close()
    again = annotated(noise(30, 40))
    assert workshop.files.wait(30)
    assert again.restorable
    again.forget()
    assert again.restorable == ""
    assert journals() == []
    assert again.restore() == 0
    assert "nothing to restore" in again.status


def test_the_offer_ends_with_the_first_new_object_but_the_journal_stays(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.close()
    again = annotated(noise(30, 40))
    assert workshop.files.wait(30)
    click(again, 20, 20)
    assert again.restorable == ""
    assert workshop.files.wait(30)
    assert len(journals()) == 2
    again.undo()
    again.undo()
    assert again.restorable, "undone to the beginning, it can be taken up again"


def test_strokes_of_the_brush_come_back_after_a_crash(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    """Trap 43."""
    c = annotated(noise(2, 30, 40))
    click(c, 0, 10, 10)
    c.labels_layer.selected_label = 9
    c.labels_layer.paint((0, 20, 20), 9)
    c.labels_layer.fill((0, 10, 10), 4)
    c.labels_layer.paint((0, 20, 21), 0)
    c.undo()
    before = c.labels_layer.data.copy()
    c.close()
    again = annotated(noise(2, 30, 40))
    assert workshop.files.wait(30)
    again.restore()
    np.testing.assert_array_equal(again.labels_layer.data, before)


def test_a_search_for_unsaved_work_that_fails_is_told(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(*arguments: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("samari.plugin.journal_sync.find_lost", broken)
    annotated(noise(30, 40))
    assert workshop.files.wait(30)
    assert ["Unsaved work" in sentence for sentence in said] == [True]


def test_a_window_that_is_killed_loses_nothing(
    annotated: Callable[..., Any], tmp_path: Path, workshop: Any
) -> None:
    """Trap 43: kill -9."""
    y, x = np.indices((120, 130))
    image = np.full((120, 130), 20, np.uint8)
    for cy, cx in ((20, 20), (60, 70), (90, 30)):
        image[np.hypot(y - cy, x - cx) < 12] = 200
    np.save(tmp_path / "image.npy", image)
    program = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crashing_window.py")),
         str(tmp_path / "image.npy")],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stdout.readline() == "done\n"
    program.kill()
    program.wait()
    program.stdout.close()
    c = annotated(image)
    assert workshop.files.wait(30)
    assert c.restorable.startswith("Restore 3 objects, today ")
    assert c.restore() == 3
    np.testing.assert_array_equal(c.session.labels, np.load(tmp_path / "labels.npy"))
    c.undo()
    assert not (c.session.labels == 7).any()


def test_the_journal_of_a_layer_that_is_still_shown_is_not_offered(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.close()
    again = Controller(c.viewer, c.image, workshop=workshop)
    assert workshop.files.wait(30)
    assert again.restorable == ""
    again.close()
    c.viewer.layers.remove(c.labels_layer)
    again = Controller(c.viewer, c.image, workshop=workshop)
    assert workshop.files.wait(30)
    assert again.restorable
    again.close()


def test_what_another_window_added_to_a_lost_journal_is_neither_cut_off_nor_deleted(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, said: list[str]
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.close()
    one, two, three = (annotated(noise(30, 40)) for _ in range(3))
    assert workshop.files.wait(30)
    assert one.restorable
    assert three.restorable
    assert two.restore() == 1
    click(two, 20, 20)
    one.forget()
    assert "was not deleted" in said[0]
    assert workshop.files.wait(30)
    (path,) = journals()
    two.close()
    assert three.restore() == 2
    assert read_journal(path).labels() == {1, 2}
