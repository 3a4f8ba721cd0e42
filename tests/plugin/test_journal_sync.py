"""Nothing is lost: the journal of a window, a crash, a saved file opened again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from samari.engine.export import read_labels
from samari.engine.journal import beside, read_journal
from samari.engine.journal_places import journals_dir
from samari.plugin import settings
from samari.plugin.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def click(c: Any, *point: float) -> list[int]:
    c.points.add(list(point))
    assert c.wait()
    return list(c.accept())


def journals() -> list[Path]:
    return sorted(journals_dir().glob("*")) if journals_dir().exists() else []


def test_every_object_is_in_a_journal_on_the_disk_while_it_is_not_saved(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    """Trap 43."""
    c = annotated(noise(30, 40))
    assert journals() == [], "nothing was done yet"
    click(c, 10, 10)
    assert workshop.files.wait(5)
    (path,) = journals()
    assert read_journal(path).labels() == {1}
    click(c, 20, 20)
    c.undo()
    assert workshop.files.wait(5)
    assert read_journal(path).labels() == {1}


def test_the_thread_of_the_window_never_waits_for_the_disk(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    threads = []
    fsync = os.fsync

    def sync(descriptor: Any) -> None:
        threads.append(threading.current_thread().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    c = annotated(noise(30, 40))
    for k in range(4):
        click(c, 6 + 5 * k, 10)
    c.undo()
    assert workshop.files.wait(5)
    assert set(threads) == {"samari-files"}
    assert len(threads) >= 5


def test_lines_are_written_before_other_work_of_the_thread(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    from samari.plugin.jobs import Job

    c = annotated(noise(30, 40))
    order = []

    def download(job: Any) -> Any:
        for _ in range(40):
            order.append(len(journals()))
            threading.Event().wait(0.01)
            yield 0, 1

    workshop.files.submit(Job(download))
    click(c, 10, 10)
    assert workshop.files.wait(5)
    assert order[-1] == 1, "the journal was there before the download ended"


def test_lines_do_not_wait_for_a_long_save(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, qtbot: Any
) -> None:
    from samari.plugin.jobs import Job

    c = annotated(noise(30, 40))
    assert workshop.files.wait(5)
    saved = threading.Event()

    def save(job: Any) -> Any:
        assert saved.wait(20)
        yield 0, 1

    workshop.files.submit(Job(save))
    click(c, 10, 10)
    qtbot.waitUntil(lambda: journals() != [] and journals()[0].stat().st_size > 0, timeout=5000)
    assert read_journal(journals()[0]).labels() == {1}
    saved.set()
    assert workshop.files.wait(5)
    click(c, 20, 20)
    assert workshop.files.wait(5)
    assert read_journal(journals()[0]).labels() == {1, 2}


def test_what_is_left_is_written_when_the_controller_closes(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    workshop.files.close()
    click(c, 10, 10)
    assert journals() == []
    c.close()
    (path,) = journals()
    assert read_journal(path).labels() == {1}


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
    assert workshop.files.wait(5)
    assert again.restorable.startswith("Restore 2 objects, today ")
    assert again.restore() == 2
    np.testing.assert_array_equal(again.labels_layer.data, before)
    assert "2 objects are back" in again.status
    assert again.restorable == ""
    again.session.reopen(2)
    assert len(again.points.data) == 1, "its prompts are back in their layer"
    again.discard()
    click(again, 0, 24, 32)
    assert workshop.files.wait(5)
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
    assert workshop.files.wait(5)
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
    assert workshop.files.wait(5)
    click(again, 20, 20)
    assert again.restorable == ""
    assert workshop.files.wait(5)
    assert len(journals()) == 2
    again.undo()
    again.undo()
    assert again.restorable, "undone to the beginning, it can be taken up again"


def test_two_sessions_on_one_image_have_two_journals(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    """Trap 33."""
    image = noise(30, 40)
    one, two = annotated(image), annotated(image)
    click(one, 10, 10)
    click(two, 20, 20)
    click(one, 20, 30)
    assert workshop.files.wait(5)
    third = annotated(image)
    assert workshop.files.wait(5)
    assert third.restorable == "", "both are in use"
    labels = sorted(len(read_journal(path).labels()) for path in journals())
    assert labels == [1, 2]


def test_a_new_session_on_the_same_layer_keeps_objects_and_history(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    layer = c.labels_layer
    layer.paint((20, 20), 5)
    shown = layer.data.copy()
    c.close()
    again = Controller(c.viewer, c.image, labels=layer, workshop=workshop)
    try:
        np.testing.assert_array_equal(layer.data, shown)
        assert again.session.objects.keys() == {1}
        again.undo()
        assert not (layer.data == 5).any(), "the stroke is undone"
        assert (layer.data == 1).any()
    finally:
        again.close()


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
    assert workshop.files.wait(5)
    again.restore()
    np.testing.assert_array_equal(again.labels_layer.data, before)


def test_a_folder_that_cannot_be_written_is_told_once_and_nothing_is_lost(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    said: list[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Trap 41."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("SAMARI_JOURNALS", str(tmp_path / "file"))
    c = annotated(noise(30, 40))
    for k in range(4):
        click(c, 6 + 5 * k, 10 + 3 * k)
    assert workshop.files.wait(5)
    assert len(said) == 1
    assert "Nothing is lost while the program runs" in said[0]
    c.save(tmp_path / "a.ome.tif")
    assert len(np.unique(read_labels(tmp_path / "a.ome.tif").labels)) == 5
    assert read_journal(beside(tmp_path / "a.ome.tif")).labels() == {1, 2, 3, 4}
    click(c, 25, 35)
    assert workshop.files.wait(5)
    assert read_journal(beside(tmp_path / "a.ome.tif")).labels() == {1, 2, 3, 4, 5}


def test_a_line_that_cannot_be_made_is_told_once_and_tried_again(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def no_memory(*arguments: Any) -> None:
        raise MemoryError("no room for a line")

    c = annotated(noise(30, 40))
    with monkeypatch.context() as patch:
        patch.setattr("samari.engine.journal.step_json", no_memory)
        for k in range(3):
            click(c, 6 + 5 * k, 10 + 3 * k)
        assert workshop.files.wait(5)
    (sentence,) = said
    assert "no room for a line" in sentence
    assert "save the labels to be safe" in sentence
    click(c, 25, 35)
    assert workshop.files.wait(5)
    assert read_journal(journals()[0]).labels() == {1, 2, 3, 4}


def test_a_search_for_unsaved_work_that_fails_is_told(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(*arguments: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("samari.plugin.journal_sync.find_lost", broken)
    annotated(noise(30, 40))
    assert workshop.files.wait(5)
    assert ["Unsaved work" in sentence for sentence in said] == [True]


def test_without_autosave_nothing_is_written_before_the_save(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(settings, "current", lambda: settings.Settings(autosave=False))
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    assert workshop.files.wait(5)
    assert journals() == []
    c.save_in_background(tmp_path / "a.ome.tif")
    assert workshop.files.wait(10)
    assert read_journal(beside(tmp_path / "a.ome.tif")).labels() == {1}
    assert read_journal(beside(tmp_path / "a.ome.tif")).is_saved


def test_copied_as_python_it_does_the_same_without_a_window(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, qapp: QApplication,
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import tifffile

    from samari.plugin.models import DeferredSegmenter
    from samari.plugin.workshop import Workshop

    image = noise(48, 56)
    tifffile.imwrite(tmp_path / "cells.tif", image)
    viewer = ViewerModel()
    workshop = Workshop()
    monkeypatch.setattr(workshop, "segmenter", lambda model: DeferredSegmenter(tiny_model_folder))
    shown = viewer.add_image(image, name="cells")
    c = Controller(viewer, shown, workshop=workshop)
    try:
        click(c, 10, 10)
        c.points.add([30, 30])
        assert c.wait()
        c.next_candidate()
        c.points.add([34, 34])
        assert c.wait()
        c.accept()
        c.labels_layer.paint((20, 20), 2)
        script = c.copy_as_python()
        assert "Copied as Python" in c.status
        assert QApplication.clipboard().text() == script
        assert "s.choose(" in script
        labels = np.array(c.session.labels)
    finally:
        c.close()
        workshop.close()
        workshop.inference.join(5)
        workshop.files.join(5)
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    words = [tmp_path / "script.py", tmp_path / "cells.tif", tmp_path / "again.ome.tif"]
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(read_labels(tmp_path / "again.ome.tif").labels, labels)


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
    assert workshop.files.wait(10)
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
    assert workshop.files.wait(5)
    assert again.restorable == ""
    again.close()
    c.viewer.layers.remove(c.labels_layer)
    again = Controller(c.viewer, c.image, workshop=workshop)
    assert workshop.files.wait(5)
    assert again.restorable
    again.close()


def test_what_another_window_added_to_a_lost_journal_is_neither_cut_off_nor_deleted(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, said: list[str]
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.close()
    one, two, three = (annotated(noise(30, 40)) for _ in range(3))
    assert workshop.files.wait(5)
    assert one.restorable
    assert three.restorable
    assert two.restore() == 1
    click(two, 20, 20)
    one.forget()
    assert "was not deleted" in said[0]
    assert workshop.files.wait(5)
    (path,) = journals()
    two.close()
    assert three.restore() == 2
    assert read_journal(path).labels() == {1, 2}
