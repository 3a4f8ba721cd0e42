"""A save that was asked for is finished, whatever is closed meanwhile: dock, window or program."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from samari.engine.journal import beside, read_journal
from samari.plugin import saving
from samari.plugin.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path


class Gate:
    """Stops the thread for files where a save has come to."""

    def __init__(self, thread: Any) -> None:
        self.thread = thread
        self.reached, self.open = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.open.wait(30)

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def held(*args: Any, **kwargs: Any) -> Any:
            self.wait()
            return function(*args, **kwargs)

        return held

    def steps(self, job: Job) -> Generator[tuple[int, int], None, None]:
        self.wait()
        yield 1, 1

    def behind(self) -> None:
        """Wait until the thread has done all that was submitted, but tell the window nothing."""
        done = threading.Event()

        def steps(job: Job) -> Generator[tuple[int, int], None, None]:
            done.set()
            yield 1, 1

        self.thread.submit(Job(steps))
        assert done.wait(30)

    def close(self, workshop: Any) -> None:
        workshop.close()
        self.open.set()
        assert workshop.files.join(30)


@pytest.fixture
def gate(workshop: Any) -> Any:
    gate = Gate(workshop.files)
    yield gate
    gate.open.set()


def accept(c: Any, point: Any) -> None:
    c.points.add(point)
    assert c.wait()
    assert c.accept()


@pytest.mark.parametrize("stage", ["queued", "copying", "copied", "writing", "written"])
def test_a_save_is_carried_through_when_all_is_closed(
    annotated: Any, noise: Any, workshop: Any, gate: Gate, tmp_path: Path, stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    c, path = annotated(noise(40, 40)), tmp_path / "a.ome.tif"
    accept(c, [20, 20])
    assert workshop.files.wait(30)
    if stage != "writing":
        monkeypatch.setattr(saving, "_AT_ONCE", 0 if stage != "written" else 1 << 24)
    if stage == "queued":
        workshop.files.submit(Job(gate.steps))
    elif stage == "copying":
        monkeypatch.setattr(saving, "copy_of", gate.before(saving.copy_of))
    elif stage == "writing":
        monkeypatch.setattr(saving, "save_labels", gate.before(saving.save_labels))
    c.save_in_background(path)
    if stage in ("copied", "written"):
        gate.behind()
    else:
        assert gate.reached.wait(30)
    assert path.exists() == (stage == "written")
    c.close()
    gate.close(workshop)
    np.testing.assert_array_equal(tifffile.imread(path), c.session.labels)
    assert read_journal(beside(path)).is_saved
    assert sorted(p.name for p in tmp_path.glob("*ome*")) == [path.name, beside(path).name]


def test_two_saves_into_one_file_end_in_their_order(
    annotated: Any, noise: Any, workshop: Any, gate: Gate, tmp_path: Path
) -> None:
    c, path = annotated(noise(40, 40)), tmp_path / "a.ome.tif"
    workshop.files.submit(Job(gate.steps))
    accept(c, [10, 10])
    c.save_in_background(path)
    accept(c, [30, 30])
    c.save_in_background(path)
    c.close()
    gate.close(workshop)
    assert tifffile.imread(path).max() == 2


def test_a_save_that_fails_after_the_end_is_a_warning(
    annotated: Any, noise: Any, workshop: Any, gate: Gate, tmp_path: Path
) -> None:
    c = annotated(noise(40, 40))
    workshop.files.submit(Job(gate.steps))
    c.save_in_background(tmp_path / "nowhere" / "a.ome.tif")
    c.close()
    with pytest.warns(RuntimeWarning, match="nowhere.*the folder does not exist"):
        gate.close(workshop)


def test_a_journal_that_cannot_be_put_beside_the_file_is_a_warning(
    annotated: Any, noise: Any, workshop: Any, gate: Gate, tmp_path: Path
) -> None:
    c, path = annotated(noise(40, 40)), tmp_path / "a.ome.tif"
    beside(path).mkdir()
    workshop.files.submit(Job(gate.steps))
    c.save_in_background(path)
    c.close()
    with pytest.warns(RuntimeWarning, match="were saved, but not their journal"):
        gate.close(workshop)
    assert path.exists()


def test_closing_the_dock_saves_to_the_end(
    docked: Any, noise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_AT_ONCE", 0)
    viewer, _, dock = docked(noise(40, 40))
    accept(dock.controller, [20, 20])
    labels = dock.controller.session.labels
    dock.controller.save_in_background(tmp_path / "a.ome.tif")
    viewer.window.remove_dock_widget(dock.parent())
    assert dock._workshop.files.join(30)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.ome.tif"), labels)


def test_the_dock_says_that_it_saves_whatever_else_goes_on(
    docked: Any, noise: Any, discs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    discs.hold()
    _, _, dock = docked(noise(40, 40))
    gate = Gate(dock._workshop.files)
    monkeypatch.setattr(saving, "save_labels", gate.before(saving.save_labels))
    assert dock.ui.status.text().startswith("Encoding the image")
    dock.controller.save_in_background(tmp_path / "a.ome.tif")
    assert dock.ui.status.text().startswith("Saving. Encoding the image")
    discs.let_go()
    assert dock.controller.wait()
    assert dock.ui.status.text() == "Saving"
    gate.open.set()
    qtbot.waitUntil(lambda: dock.ui.status.text().startswith("Saved to"), timeout=30_000)


SCRIPT = """
import sys, time
import napari, numpy as np
from samari.plugin import saving
from samari.plugin.controller import Controller

copy_of = saving.copy_of

def slow(labels):
    time.sleep(1)
    return copy_of(labels)

saving._AT_ONCE, saving.copy_of = 0, slow
viewer = napari.Viewer(show=False)
image = viewer.add_image(np.zeros((4, 512, 512)))
labels = viewer.add_labels(np.arange(1 << 20).reshape(4, 512, 512))
c = Controller(viewer, image, sys.argv[1], labels=labels)
c.save_in_background(sys.argv[2])
if sys.argv[3] == "closed":
    c.close()
    viewer.close()
"""


@pytest.mark.parametrize("end", ["closed", "left open"])
def test_the_program_ends_when_the_file_is_complete(
    tiny_model_folder: Path, tmp_path: Path, end: str
) -> None:
    path = tmp_path / "a.ome.tif"
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tiny_model_folder), str(path), end],
        capture_output=True, text=True, timeout=180,
        # Several threads compress, however few cores there are.
        env={**os.environ, "TIFFFILE_NUM_THREADS": "4"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "Warning" not in ended.stderr, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    np.testing.assert_array_equal(tifffile.imread(path), np.arange(1 << 20).reshape(4, 512, 512))
