"""Large labels are copied while the user goes on; the file holds those of one moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from samari.engine.journal import beside, read_journal
from samari.plugin import saving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all labels count as large."""
    monkeypatch.setattr(saving, "_AT_ONCE", 0)


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch, large: None) -> list[str]:
    """Collect the names of the threads that copied labels."""
    threads: list[str] = []
    steps = saving._copy_steps

    def copy_steps(labels: Any, job: Any) -> Any:
        threads.append(threading.current_thread().name)
        return steps(labels, job)

    monkeypatch.setattr(saving, "_copy_steps", copy_steps)
    return threads


def saved(c: Any, path: Path, workshop: Any) -> Any:
    assert workshop.files.wait(30)
    assert path.name in c.status
    return tifffile.imread(path)


def accept(c: Any, point: Any) -> int:
    c.points.add(point)
    assert c.wait()
    (label,) = c.accept()
    return int(label)


def test_large_labels_are_copied_by_the_thread_for_files(
    annotated: Any, noise: Any, tmp_path: Path, workshop: Any, copies: list[str]
) -> None:
    c = annotated(noise(40, 40))
    accept(c, [20, 20])
    c.save_in_background(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(saved(c, tmp_path / "a.ome.tif", workshop), c.session.labels)
    assert copies == ["samari-files"]
    assert read_journal(beside(tmp_path / "a.ome.tif")).is_saved


def test_labels_that_changed_while_they_were_copied_are_copied_again(
    annotated: Any, noise: Any, tmp_path: Path, workshop: Any, copies: list[str]
) -> None:
    c = annotated(noise(40, 40))
    accept(c, [10, 10])
    accept(c, [30, 30])
    c.save_in_background(tmp_path / "a.ome.tif")
    c.undo()  # before the copy is looked at
    np.testing.assert_array_equal(saved(c, tmp_path / "a.ome.tif", workshop), c.session.labels)
    assert len(copies) == 2
    assert read_journal(beside(tmp_path / "a.ome.tif")).is_saved


def test_who_never_stops_working_gets_a_file_as_well(
    annotated: Any, noise: Any, tmp_path: Path, workshop: Any, copies: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    c = annotated(noise(40, 40))
    accept(c, [10, 10])
    on_copied = saving.BackgroundSave._on_copied

    def busy(self: Any, job: Any, copy: Any) -> None:
        c.undo()
        c.redo()
        on_copied(self, job, copy)

    monkeypatch.setattr(saving.BackgroundSave, "_on_copied", busy)
    c.save_in_background(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(saved(c, tmp_path / "a.ome.tif", workshop), c.session.labels)
    assert len(copies) == saving._TRIES


def test_a_failed_save_of_large_labels_is_told(
    annotated: Any, noise: Any, tmp_path: Path, workshop: Any, large: None, said: list[str]
) -> None:
    c = annotated(noise(40, 40))
    c.save_in_background(tmp_path / "nowhere" / "a.ome.tif")
    assert workshop.files.wait(30)
    assert len(said) == 1
    assert "nowhere" in said[0]
