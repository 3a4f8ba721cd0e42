"""Label files with their journal: saved, opened again, changed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from journal_steps import click, journals
from napari.components import ViewerModel
from napari.layers import Layer
from napari.layers._source import layer_source

from samari.engine.export import read_labels, save_labels
from samari.engine.journal import beside, read_journal
from samari.engine.session import Session
from samari.plugin import reader
from samari.plugin.controller import Controller
from samari.plugin.dock import SamariDock
from samari.plugin.journal_sync import KEY
from samari.plugin.writer import write_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def from_file() -> Callable[[Path, Any], Any]:
    """Give `from_file(path, viewer)`: what napari adds to a viewer when a file is dropped."""

    def open_file(path: Path, viewer: Any) -> Any:
        ((data, meta, kind),) = reader.read(str(path))
        with layer_source(path=str(path), reader_plugin="samari"):
            return viewer.add_layer(Layer.create(data, meta, kind))

    return open_file


def test_saving_moves_the_journal_beside_the_file(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    path = tmp_path / "Zellen 細胞.ome.tif"
    c.save_in_background(path)
    assert workshop.files.wait(30)
    assert journals() == []
    assert read_journal(beside(path)).is_saved
    click(c, 20, 20)
    assert workshop.files.wait(30)
    assert read_journal(beside(path)).labels() == {1, 2}
    c.save(tmp_path / "b.ome.tif")
    assert read_journal(beside(tmp_path / "b.ome.tif")).is_saved
    assert read_journal(beside(path)).labels() == {1, 2}, "that of the first file stays with it"
    click(c, 20, 30)
    assert workshop.files.wait(30)
    assert read_journal(beside(tmp_path / "b.ome.tif")).labels() == {1, 2, 3}
    assert read_journal(beside(path)).labels() == {1, 2}


def test_what_is_done_while_a_file_is_saved_counts_as_not_saved(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    from_file: Any,
) -> None:  # fmt: skip
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.save_in_background(tmp_path / "a.ome.tif")
    c.points.add([20, 20])
    assert workshop.inference.wait(30)
    c.accept()
    assert workshop.files.wait(30)
    assert not read_journal(beside(tmp_path / "a.ome.tif")).is_saved
    shown = np.array(c.session.labels)
    c.close()
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(noise(30, 40), viewer=viewer, labels=layer)
    np.testing.assert_array_equal(again.labels_layer.data, shown)


def test_napari_s_own_save_puts_a_copy_of_the_journal_beside_the_file(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    from_file: Any,
) -> None:  # fmt: skip
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    assert workshop.files.wait(30)
    data, meta, _ = c.labels_layer.as_layer_data_tuple()
    assert write_labels(str(tmp_path / "a.ome.tif"), data, meta) == [str(tmp_path / "a.ome.tif")]
    assert read_journal(beside(tmp_path / "a.ome.tif")).is_saved
    click(c, 20, 20)
    c.close()
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(noise(30, 40), viewer=viewer, labels=layer)
    assert again.session.objects.keys() == {1}
    data, meta, _ = again.labels_layer.as_layer_data_tuple()
    write_labels(str(tmp_path / "a.ome.tif"), data, meta)
    write_labels(str(tmp_path / "no journal.tif"), data, {"name": "b"})
    assert not beside(tmp_path / "no journal.tif").exists()


def test_yesterdays_file_goes_on_with_its_objects_prompts_and_history(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any,
    from_file: Any,
) -> None:  # fmt: skip
    image = noise(3, 30, 40)
    c = annotated(image, scale=(2, 0.5, 0.5))
    click(c, 0, 10, 10)
    click(c, 0, 20, 30)
    c.save(tmp_path / "a.ome.tif")
    table = dict(c.session.objects)
    c.close()
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(image, viewer=viewer, labels=layer, scale=(2, 0.5, 0.5))
    assert again.labels_layer is layer
    assert dict(again.session.objects) == table
    again.session.reopen(1)
    np.testing.assert_allclose(again.points.data, [[0, 10, 10]])
    again.discard()
    assert click(again, 0, 5, 35) == [3]
    assert layer.data[0, 5, 35] == 3
    assert workshop.files.wait(30)
    assert read_journal(beside(tmp_path / "a.ome.tif")).labels() == {1, 2, 3}
    again.undo()
    while again.session.undo():
        pass
    assert not layer.data.any()


def test_a_file_whose_journal_is_of_another_image_opens_without_prompts(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, said: list[str],
    from_file: Any,
) -> None:  # fmt: skip
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.save(tmp_path / "a.ome.tif")
    c.close()
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(noise(30, 40)[::-1].copy(), viewer=viewer, labels=layer)
    assert (layer.data == 1).any()
    assert not again.session.objects
    assert len(said) == 1
    assert "without their prompts" in said[0]


def test_a_damaged_journal_costs_the_prompts_and_not_the_labels(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, said: list[str],
    from_file: Any,
) -> None:  # fmt: skip
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.save(tmp_path / "a.ome.tif")
    c.close()
    content = beside(tmp_path / "a.ome.tif").read_bytes()
    beside(tmp_path / "a.ome.tif").write_bytes(content.replace(b'"pixels"', b'"pixel5"'))
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(noise(30, 40), viewer=viewer, labels=layer)
    assert "line 2 of the journal" in said[0]
    assert (again.session.labels == 1).any()
    click(again, 20, 20)
    assert (layer.data == 2).any()


def test_a_file_changed_by_another_program_keeps_its_pixels_and_the_prompts(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, from_file: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.save(tmp_path / "a.ome.tif")
    c.close()
    labels = read_labels(tmp_path / "a.ome.tif").labels
    labels[25:, 30:], labels[10, 10] = 7, 0
    save_labels(tmp_path / "a.ome.tif", labels, "YX")
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(noise(30, 40), viewer=viewer, labels=layer)
    np.testing.assert_array_equal(layer.data, labels)
    assert again.session.objects.keys() == {1}


def test_the_window_reads_what_a_script_recorded(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, from_file: Any,
    discs: Any,
) -> None:  # fmt: skip
    session = Session(noise(30, 40), segmenter=discs, journal=tmp_path / "mine.jsonl")
    session.add_point((10, 10))
    session.accept()
    session.save(tmp_path / "a.ome.tif")
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    again = annotated(noise(30, 40), viewer=viewer, labels=layer)
    assert again.session.objects.keys() == {1}


def test_a_file_that_another_window_annotates_opens_without_its_journal(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, said: list[str],
    from_file: Any, workshop: Any,
) -> None:  # fmt: skip
    """Trap 33."""
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    c.save(tmp_path / "a.ome.tif")
    viewer = ViewerModel()
    layer = from_file(tmp_path / "a.ome.tif", viewer)
    other = annotated(noise(30, 40), viewer=viewer, labels=layer)
    assert "in use by another session" in said[0]
    click(other, 20, 20)
    click(c, 20, 30)
    assert workshop.files.wait(30)
    log = read_journal(beside(tmp_path / "a.ome.tif"))
    assert [len(entry.objects) for kind, entry in log.entries if kind == "do"] == [1, 1]
    (own,) = journals()
    assert read_journal(own).labels() == {2}


def test_a_save_that_ends_after_its_session_leaves_the_journal_whole(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    click(c, 10, 10)
    assert workshop.files.wait(30)
    (own,) = journals()
    path, layer = tmp_path / "a.ome.tif", c.labels_layer
    c.save_in_background(path)
    c.close()
    again = Controller(c.viewer, c.image, labels=layer, workshop=workshop)
    try:
        assert workshop.files.wait(30)
        log = read_journal(beside(path))
        assert (log.labels(), log.is_saved) == ({1}, True)
        assert layer.metadata[KEY] == str(own), "where the new session goes on"
        assert again.session.objects.keys() == {1}
        click(again, 20, 20)
        assert workshop.files.wait(30)
        assert read_journal(own).labels() == {1, 2}
    finally:
        again.close()
    again = Controller(c.viewer, c.image, labels=layer, workshop=workshop)
    assert again.session.objects.keys() == {1, 2}
    again.close()


def test_a_file_saved_under_another_name_leaves_the_first_journal_alone(
    annotated: Callable[..., Any], noise: Callable[..., Any], tmp_path: Path, workshop: Any
) -> None:
    c = annotated(noise(30, 40))
    for k, name in enumerate(("a.ome.tif", "b.ome.tif", "c.ome.tif")):
        click(c, 6 + 8 * k, 10)
        if k < 2:
            c.save_in_background(tmp_path / name)
            assert workshop.files.wait(30)
        else:
            c.save(tmp_path / name)
    for k, name in enumerate(("a.ome.tif", "b.ome.tif", "c.ome.tif"), 1):
        log = read_journal(beside(tmp_path / name))
        assert log.until_saved().labels() == set(range(1, k + 1))
        assert log.entries[-1][0] == ("do" if k < 3 else "saved")
    assert b"b.ome.tif" not in beside(tmp_path / "a.ome.tif").read_bytes()


def test_what_is_being_added_is_taken_back_before_the_journal_closes() -> None:
    dock = MagicMock()
    SamariDock._use(dock, None)
    calls = [name for name, *_ in dock.mock_calls]
    assert calls.index("everything.use") < calls.index("controller.close")
