"""Nothing is lost: the journal of a window, a crash, a saved file opened again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from journal_steps import click, journals
from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtWidgets import QApplication

from samari.engine.export import read_labels
from samari.engine.journal import beside, read_journal
from samari.plugin import settings
from samari.plugin.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_every_object_is_in_a_journal_on_the_disk_while_it_is_not_saved(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    """Trap 43."""
    c = annotated(noise(30, 40))
    assert journals() == [], "nothing was done yet"
    click(c, 10, 10)
    assert workshop.files.wait(30)
    (path,) = journals()
    assert read_journal(path).labels() == {1}
    click(c, 20, 20)
    c.undo()
    assert workshop.files.wait(30)
    assert read_journal(path).labels() == {1}


def test_the_thread_of_the_window_never_waits_for_the_disk(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any,
    monkeypatch: pytest.MonkeyPatch, qtbot: Any,
) -> None:  # fmt: skip
    """The disk does nothing until all steps are done; how many lines go with one write is its."""
    threads, done = [], threading.Event()
    fsync = os.fsync

    def sync(descriptor: Any) -> None:
        threads.append(threading.current_thread().name)
        assert done.wait(30)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    c = annotated(noise(30, 40))
    for k in range(4):
        click(c, 6 + 5 * k, 10)
    c.undo()
    done.set()
    assert workshop.files.wait(30)
    (path,) = journals()
    qtbot.waitUntil(lambda: read_journal(path).labels() == {1, 2, 3}, timeout=30_000)
    assert threads
    assert set(threads) <= {"samari-files", "samari-journal"}


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
    assert workshop.files.wait(30)
    assert order[-1] == 1, "the journal was there before the download ended"


def test_lines_do_not_wait_for_a_long_save(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, qtbot: Any
) -> None:
    from samari.plugin.jobs import Job

    c = annotated(noise(30, 40))
    assert workshop.files.wait(30)
    saved = threading.Event()

    def save(job: Any) -> Any:
        assert saved.wait(30)
        yield 0, 1

    workshop.files.submit(Job(save))
    click(c, 10, 10)
    qtbot.waitUntil(lambda: journals() != [] and journals()[0].stat().st_size > 0, timeout=30_000)
    assert read_journal(journals()[0]).labels() == {1}
    saved.set()
    assert workshop.files.wait(30)
    click(c, 20, 20)
    assert workshop.files.wait(30)
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


def test_two_sessions_on_one_image_have_two_journals(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any
) -> None:
    """Trap 33."""
    image = noise(30, 40)
    one, two = annotated(image), annotated(image)
    click(one, 10, 10)
    click(two, 20, 20)
    click(one, 20, 30)
    assert workshop.files.wait(30)
    third = annotated(image)
    assert workshop.files.wait(30)
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


@pytest.mark.parametrize("autosave", [True, False])
def test_a_duplicate_of_a_layer_goes_its_own_way(
    annotated: Callable[..., Any], noise: Callable[..., Any], workshop: Any, autosave: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    c = annotated(noise(30, 60))
    click(c, 10, 10)
    click(c, 10, 40)
    layer, viewer = c.labels_layer, c.viewer
    # As Duplicate Layer of napari does it: with the metadata, in which the journal is.
    data, values, kind = layer.as_layer_data_tuple()
    duplicate = viewer.add_layer(Layer.create(data.copy(), {**values, "name": "backup"}, kind))
    c.close()
    (first,) = journals()
    lines = first.read_bytes()
    monkeypatch.setattr(settings, "current", lambda: settings.Settings(autosave=autosave))
    for _ in range(2 if autosave else 1):
        other = Controller(viewer, c.image, labels=duplicate, workshop=workshop)
        # With the prompts and the steps of its original.
        assert other.session.history.can_undo
        if 1 in other.session.objects:
            other.reopen(1)
            assert other.session.pending
            other.session.discard()
            other.delete(1)
        other.close()
    assert first.read_bytes() == lines
    assert len(journals()) == (2 if autosave else 1)
    again = Controller(viewer, c.image, labels=layer, workshop=workshop)
    try:
        assert again.session.objects.keys() == {1, 2}
        again.undo()
        assert np.unique(layer.data).tolist() == [0, 1]
        assert np.unique(duplicate.data).tolist() == [0, 2]
    finally:
        again.close()


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
    assert workshop.files.wait(30)
    assert len(said) == 1
    assert "Nothing is lost while the program runs" in said[0]
    c.save(tmp_path / "a.ome.tif")
    assert len(np.unique(read_labels(tmp_path / "a.ome.tif").labels)) == 5
    assert read_journal(beside(tmp_path / "a.ome.tif")).labels() == {1, 2, 3, 4}
    click(c, 25, 35)
    assert workshop.files.wait(30)
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
        assert workshop.files.wait(30)
    (sentence,) = said
    assert "no room for a line" in sentence
    assert "save the labels to be safe" in sentence
    click(c, 25, 35)
    assert workshop.files.wait(30)
    assert read_journal(journals()[0]).labels() == {1, 2, 3, 4}


def test_without_autosave_nothing_is_written_before_the_save(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(settings, "current", lambda: settings.Settings(autosave=False))
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    assert workshop.files.wait(30)
    assert journals() == []
    c.save_in_background(tmp_path / "a.ome.tif")
    assert workshop.files.wait(30)
    assert read_journal(beside(tmp_path / "a.ome.tif")).labels() == {1}
    assert read_journal(beside(tmp_path / "a.ome.tif")).is_saved


@pytest.mark.usefixtures("precision_of_users")
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
        workshop.inference.join(30)
        workshop.files.join(30)
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    words = [tmp_path / "script.py", tmp_path / "cells.tif", tmp_path / "again.ome.tif"]
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(read_labels(tmp_path / "again.ome.tif").labels, labels)
