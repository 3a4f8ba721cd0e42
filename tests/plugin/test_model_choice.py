from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from samari.engine.model_list import MODELS
from samari.errors import Cancelled, DownloadError
from samari.plugin import model_choice
from samari.plugin.model_choice import ModelChoice
from samari.plugin.worker import io_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Shelf:
    """Which models are here, and how a download goes."""

    def __init__(self) -> None:
        self.here = {"samari-tiny"}
        self.error: Exception | None = None
        self.wait_for_cancel = False

    def available(self, name: str) -> bool:
        return name in self.here

    def resolve(self, name: str, *, progress: Any, cancel: Callable[[], bool]) -> None:
        progress(10, 100)
        while self.wait_for_cancel:
            if cancel():
                raise Cancelled("the download was cancelled")
        if self.error is not None:
            raise self.error
        progress(100, 100)
        self.here.add(name)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf()
    monkeypatch.setattr(model_choice, "available", shelf.available)
    monkeypatch.setattr(model_choice, "resolve", shelf.resolve)
    return shelf


@pytest.fixture
def choice(shelf: Shelf, qtbot: Any) -> Iterator[ModelChoice]:
    files = io_thread()
    widget = ModelChoice(files, "samari-tiny")
    qtbot.addWidget(widget)
    widget.heard = []  # type: ignore[attr-defined]
    widget.ready.connect(widget.heard.append)  # type: ignore[attr-defined]
    widget.files = files  # type: ignore[attr-defined]
    yield widget
    shelf.wait_for_cancel = False
    files.close()
    assert files.join(30)


def _choose(choice: ModelChoice, name: str) -> None:
    index = choice.combo.findData(name)
    choice.combo.setCurrentIndex(index)
    choice.combo.activated.emit(index)


def test_every_model_is_listed_with_what_it_is_good_for(choice: Any) -> None:
    listed = {choice.combo.itemData(i): choice.combo.itemText(i) for i in range(len(MODELS))}
    assert set(listed) == set(MODELS)
    assert listed["samari-tiny"] == "samari-tiny"
    assert "download 375 MB" in listed["sam-vit-base"]
    assert MODELS["samari-tiny"].good_for[1:10] in choice.note.text()


def test_a_model_that_is_not_here_is_downloaded_and_then_used(choice: Any, qtbot: Any) -> None:
    seen: list[Any] = []
    choice.progress.connect(lambda *values: seen.append(values))
    _choose(choice, "vit_b_lm")
    assert choice.downloading
    assert choice.model == "samari-tiny"
    assert choice.files.wait(30)
    assert choice.heard == ["vit_b_lm"]
    assert choice.model == "vit_b_lm"
    assert "download" not in choice.combo.currentText()
    assert ("Downloading vit_b_lm", 10, 100) in seen
    assert seen[-1] == ("", 0, 0)


def test_a_cancelled_download_leaves_the_old_model_in_use(
    choice: Any, shelf: Shelf, said: list[str]
) -> None:
    shelf.wait_for_cancel = True
    _choose(choice, "vit_b_lm")
    choice.cancel()
    assert choice.files.wait(30)
    assert not choice.downloading
    assert choice.combo.currentData() == "samari-tiny"
    assert choice.heard == []
    assert said == []


def test_a_failed_download_is_told_and_leaves_the_old_model_in_use(
    choice: Any, shelf: Shelf, said: list[str]
) -> None:
    shelf.error = DownloadError("the server did not answer; try again later")
    _choose(choice, "vit_b_lm")
    assert choice.files.wait(30)
    assert said == ["The server did not answer; try again later."]
    assert choice.combo.currentData() == "samari-tiny"


def test_choosing_another_model_stops_the_download(choice: Any, shelf: Shelf) -> None:
    shelf.wait_for_cancel = True
    shelf.here.add("medsam")
    _choose(choice, "vit_b_lm")
    _choose(choice, "medsam")
    assert choice.files.wait(30)
    assert choice.heard == ["medsam"]
    assert choice.combo.currentData() == "medsam"
