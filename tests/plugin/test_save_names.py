"""The name that is typed into the dialog of Save: its ending, and what is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox

from samari.plugin.reader import get_reader

if TYPE_CHECKING:
    from pathlib import Path


class Dialogs:
    """What the user types and answers, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.typed = folder, ""
        self.answer = QMessageBox.StandardButton.No
        self.asked: list[str] = []

    def name(self, *args: Any, **options: Any) -> tuple[str, str]:
        return (str(self.folder / self.typed) if self.typed else ""), ""

    def question(self, parent: Any, title: str, text: str, *args: Any) -> Any:
        self.asked.append(text)
        return self.answer


@pytest.fixture
def dialogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dialogs:
    dialogs = Dialogs(tmp_path / "out")
    dialogs.folder.mkdir()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", dialogs.name)
    monkeypatch.setattr(QMessageBox, "question", dialogs.question)
    return dialogs


def save(dock: Any, dialogs: Dialogs, typed: str) -> None:
    dialogs.typed = typed
    dock.ui.save.click()
    assert dock._workshop.files.wait(30)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("cells", "cells.ome.tif"),
        ("mouse 0.5 mM day1.2", "mouse 0.5 mM day1.2.ome.tif"),
        ("cells.png", "cells.png.ome.tif"),
        ("cells.ome", "cells.ome.tif"),
        ("cells.tif", "cells.tif"),
        ("cells.OME.TIFF", "cells.OME.TIFF"),
    ],
)
def test_every_name_becomes_that_of_a_tiff(
    docked: Any, noise: Any, dialogs: Dialogs, typed: str, name: str
) -> None:
    _, _, dock = docked(noise(40, 40))
    save(dock, dialogs, typed)
    path = dialogs.folder / name
    assert [p.name for p in dialogs.folder.glob("*") if p.suffix != ".jsonl"] == [name]
    assert get_reader(str(path)) is not None
    assert dock.controller.status == f"Saved to {path}"
    assert dialogs.asked == []


def test_a_name_that_was_completed_replaces_nothing_unasked(
    docked: Any, noise: Any, dialogs: Dialogs
) -> None:
    _, _, dock = docked(noise(40, 40))
    there = dialogs.folder / "cells.ome.tif"
    there.write_text("yesterday's labels")
    save(dock, dialogs, "cells")
    assert there.read_text() == "yesterday's labels"
    assert "cells.ome.tif" in dialogs.asked[0]
    dialogs.answer = QMessageBox.StandardButton.Yes
    save(dock, dialogs, "cells")
    assert len(dialogs.asked) == 2
    assert get_reader(str(there)) is not None
    assert there.read_bytes()[:2] == b"II"


def test_a_name_typed_in_full_was_asked_for_by_the_dialog_itself(
    docked: Any, noise: Any, dialogs: Dialogs
) -> None:
    _, _, dock = docked(noise(40, 40))
    (dialogs.folder / "cells.ome.tif").write_text("yesterday's labels")
    save(dock, dialogs, "cells.ome.tif")
    assert dialogs.asked == []
    assert (dialogs.folder / "cells.ome.tif").read_bytes()[:2] == b"II"
    dialogs.folder = dialogs.folder / "cancelled"
    save(dock, dialogs, "")
    assert not dialogs.folder.exists()
