"""The objects table: what it lists, in which order, and what its buttons do."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt

from samari.plugin.objects_model import ID, PIXELS, PLANE, PROMPTS, SCORE
from samari.plugin.objects_table import ObjectsTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Annotated = Callable[..., Any]
    Noise = Callable[..., Any]

DOWN = Qt.SortOrder.DescendingOrder


@pytest.fixture
def table(qapp: Any) -> Iterator[ObjectsTable]:
    widget = ObjectsTable()
    yield widget
    widget.use(None)


def _accept(c: Any, *point: float, choice: int | None = None) -> int:
    c.points.add(point)
    assert c.wait()
    if choice is not None:
        c.session.choose(choice)
    (label,) = c.accept()
    return int(label)


def _rows(table: ObjectsTable) -> list[list[str]]:
    model = table.model
    return [
        [model.data(model.index(row, column)) for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def _column(table: ObjectsTable, column: int) -> list[str]:
    return [row[column] for row in _rows(table)]


def _select(table: ObjectsTable, *labels: int) -> None:
    table.view.clearSelection()
    flags = QItemSelectionModel.SelectionFlag
    for label in labels:
        row = table.model.row_of(label)
        table.view.selectionModel().select(table.model.index(row, 0), flags.Select | flags.Rows)


def test_a_row_says_id_plane_size_score_and_prompts(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(6, 60, 60))
    table.use(c)
    c.viewer.dims.set_point(0, 4)
    c.points.add((4, 20, 20))
    c.points.add((4, 22, 20))
    assert c.wait()
    c.accept()
    pixels = int((c.session.labels == 1).sum())
    assert _rows(table) == [["1", "z=4", f"{pixels:,}", "0.90", "2"]]
    color = table.model.data(table.model.index(0, ID), Qt.ItemDataRole.DecorationRole)
    np.testing.assert_allclose(color.getRgbF(), c.labels_layer.get_color(1), atol=0.01)


def test_the_table_follows_accepts_deletes_joins_strokes_and_undo(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(60, 60))
    table.use(c)

    def sizes() -> dict[int, str]:
        return {int(row[ID]): row[PIXELS] for row in _rows(table)}

    def counted() -> dict[int, str]:
        found, numbers = np.unique(c.session.labels, return_counts=True)
        return {int(f): f"{n:,}" for f, n in zip(found, numbers, strict=True) if f}

    _accept(c, 15, 15)
    _accept(c, 45, 45)
    _accept(c, 15, 45)
    assert sizes() == counted()
    c.labels_layer.brush_size = 5
    c.labels_layer.paint((15, 15), 2)
    assert sizes() == counted()
    c.labels_layer.paint((50, 10), 77)
    assert sizes() == counted()
    assert 77 in sizes()
    c.delete(3)
    c.join(1, into=2)
    assert set(sizes()) == {2, 77}
    assert sizes() == counted()
    states = []
    while c.session.history.can_undo:
        c.undo()
        assert sizes() == counted()
        states.append(sizes())
    assert states[-1] == {}
    while c.session.history.can_redo:
        c.redo()
        assert sizes() == counted()
    assert set(sizes()) == {2, 77}


def test_it_sorts_by_every_column_in_both_directions_and_stays_sorted(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(6, 60, 60))
    table.use(c)
    for z, choice in ((3, 0), (1, 1), (5, 2)):
        c.viewer.dims.set_point(0, z)
        _accept(c, z, 30, 30, choice=choice)
    wanted = {
        ID: ["1", "2", "3"], PLANE: ["z=1", "z=3", "z=5"], SCORE: ["0.50", "0.70", "0.90"],
        PIXELS: ["29", "69", "113"], PROMPTS: ["1", "1", "1"],
    }  # fmt: skip
    for column, texts in wanted.items():
        table.view.sortByColumn(column, Qt.SortOrder.AscendingOrder)
        assert _column(table, column) == texts
        table.view.sortByColumn(column, DOWN)
        assert _column(table, column) == texts[::-1]
    table.view.sortByColumn(SCORE, DOWN)
    c.viewer.dims.set_point(0, 0)
    _accept(c, 0, 10, 10, choice=2)
    assert _column(table, SCORE) == ["0.90", "0.70", "0.70", "0.50"]
    c.delete(3)
    assert _column(table, SCORE) == ["0.90", "0.70", "0.50"]
    for row in range(3):
        assert table.model.row_of(table.model.label_at(row)) == row


def test_a_click_on_a_row_looks_at_the_object_and_next_selects_its_row(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(6, 60, 60), scale=(3, 1, 1))
    table.use(c)
    for z, choice in ((1, 1), (5, 0)):
        c.viewer.dims.set_point(0, 3 * z)
        _accept(c, z, 30, 10 * z, choice=choice)
    row = table.model.row_of(1)
    table.view.selectRow(row)
    table.view.clicked.emit(table.model.index(row, PIXELS))
    assert c.viewer.dims.point[0] == 3
    np.testing.assert_allclose(c.viewer.scene.camera.center[-2:], (30, 10))
    table.next.click()  # after 0.9 it goes round: 0.5
    assert c.viewer.dims.point[0] == 15
    assert table.selected == [2]


def test_the_buttons_mean_the_selected_rows(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(60, 90))
    table.use(c)
    labels = [_accept(c, 15, x) for x in (10, 30, 50, 70)]
    assert not table.delete.isEnabled()
    _select(table, labels[1], labels[3])
    assert table.title.text() == "Objects: 4, 2 selected"
    table.join.click()
    assert c.session.labels[15, 70] == labels[1]
    _select(table, labels[0])
    assert not table.join.isEnabled()
    table.delete.click()
    assert sorted(c.session.objects) == [labels[1], labels[2]]
    _select(table, labels[2])
    table.reopen.click()
    assert c.session.pending[0].replaces == labels[2]
    c.discard()
    c.undo()
    c.undo()
    assert set(np.unique(c.session.labels)) >= {labels[1], labels[2]}


def test_objects_of_another_tool_are_listed_once_they_are_counted(
    annotated: Annotated, noise: Noise, table: ObjectsTable, qtbot: Any
) -> None:
    given = np.zeros((6, 60, 60), np.int32)
    given[1:4, 10:20, 10:20], given[2, 40:50, 40:50] = 7, 300
    c = annotated(noise(6, 60, 60), labels=Labels(given))
    table.use(c)
    qtbot.waitUntil(lambda: table.model.rowCount() == 2, timeout=30_000)
    assert _rows(table) == [
        ["7", "z=1\u20133", "300", "\u2013", "\u2013"],
        ["300", "z=2", "100", "\u2013", "\u2013"],
    ]


def test_the_selection_survives_other_objects_coming_and_going(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(60, 90))
    table.use(c)
    table.view.sortByColumn(SCORE, DOWN)
    first = _accept(c, 15, 10, choice=0)
    _select(table, first)
    second = _accept(c, 15, 40)
    assert table.selected == [first]
    c.delete(second)
    assert table.selected == [first]


def test_ten_thousand_objects_do_not_freeze(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    """What an accept costs does not grow with the number of objects."""
    c = annotated(noise(60, 90))
    label = _accept(c, 30, 30)
    record = c.session.objects[label]
    for other in range(2, 10_002):
        part = replace(record.parts[0], score=other / 10_002)
        c.session.objects.replace(other, replace(record, label=other, parts=(part,)))
    table.use(c)
    table.show()
    table.view.sortByColumn(SCORE, DOWN)
    assert table.model.rowCount() == 10_001
    durations = []
    for turn in range(20):
        c.session.objects.replace(20_000 + turn, replace(record, label=20_000 + turn))
        start = time.perf_counter()
        c.objects_changed.emit(frozenset({20_000 + turn}))
        durations.append(time.perf_counter() - start)
    assert table.model.rowCount() == 10_021
    assert np.median(durations) < 0.016
    table.hide()


def _grid(annotated: Annotated, noise: Noise, table: ObjectsTable, qtbot: Any, side: int) -> Any:
    """Give a controller on objects of another tool, side by side."""
    given = np.kron(
        np.arange(1, side * side + 1, dtype=np.uint16).reshape(side, side),
        np.pad(np.ones((12, 12), np.uint16), 4),
    )
    c = annotated(noise(*given.shape), labels=Labels(given))
    table.use(c)
    qtbot.waitUntil(lambda: table.model.rowCount() == side * side, timeout=30_000)
    return c


def test_hundreds_of_rows_are_deleted_and_joined_at_once_as_one_step(
    annotated: Annotated, noise: Noise, table: ObjectsTable, qtbot: Any
) -> None:
    c = _grid(annotated, noise, table, qtbot, 24)
    before = c.session.labels.copy()
    table.show()
    table.view.sortByColumn(PIXELS, Qt.SortOrder.AscendingOrder)
    for act in (table.delete, table.join):
        table.view.selectAll()
        assert len(table.selected) == 576
        start = time.perf_counter()
        act.click()
        assert time.perf_counter() - start < 2, "5.5 s for 200 rows, one after the other"
        assert len(c.session.history) == 1
        assert np.unique(c.session.labels).tolist() == ([0] if act is table.delete else [0, 1])
        c.undo()
        np.testing.assert_array_equal(c.session.labels, before)
    table.hide()


def test_what_a_step_of_several_rows_says(
    annotated: Annotated, noise: Noise, table: ObjectsTable, qtbot: Any
) -> None:
    c = _grid(annotated, noise, table, qtbot, 3)
    _select(table, 2, 5, 4)
    table.join.click()
    assert c.status == "2 objects are now parts of object 2"
    assert c.last_object == 2
    _select(table, 7)
    table.delete.click()
    assert c.status == "Object 7 deleted"
    assert table.selected == []
    _select(table, 2, 9)
    table.delete.click()
    assert c.status == "2 objects deleted"
    assert table.title.text() == "Objects: 4"


@pytest.mark.parametrize("many", [False, True])
def test_sorting_keeps_the_rows_selected_that_are_acted_on(
    annotated: Annotated, noise: Noise, table: ObjectsTable, qtbot: Any, many: bool
) -> None:
    c = _grid(annotated, noise, table, qtbot, 12)
    chosen = list(range(3, 120, 2)) if many else [2, 7]
    _select(table, *chosen)
    for column, order in ((PIXELS, DOWN), (ID, DOWN), (ID, Qt.SortOrder.AscendingOrder)):
        table.view.sortByColumn(column, order)
        rows = table.view.selectionModel().selectedRows()
        assert sorted(table.model.label_at(row.row()) for row in rows) == chosen
        assert sorted(c._selected) == chosen
        assert table.title.text() == f"Objects: 144, {len(chosen)} selected"
    table.delete.click()
    assert set(np.unique(c.session.labels)) == set(range(145)) - set(chosen)
    assert (table.selected, c._selected) == ([], ())
    assert not table.delete.isEnabled()


def test_many_changes_at_once_leave_the_selection_alone(
    annotated: Annotated, noise: Noise, table: ObjectsTable, qtbot: Any
) -> None:
    c = _grid(annotated, noise, table, qtbot, 12)
    _select(table, 3, 140)
    c.delete(range(10, 110))
    assert sorted(table.selected) == sorted(c._selected) == [3, 140]
    c.undo()
    assert sorted(table.selected) == sorted(c._selected) == [3, 140]


def test_another_image_has_nothing_selected(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    first, second = annotated(noise(60, 60)), annotated(noise(60, 70))
    for c in (first, second):
        _accept(c, 20, 20)
    table.use(first)
    _select(table, 1)
    table.use(second)
    assert (table.selected, second._selected) == ([], ())
    assert not table.delete.isEnabled()


def test_sorting_thousands_of_selected_rows_does_not_freeze(
    annotated: Annotated, noise: Noise, table: ObjectsTable
) -> None:
    c = annotated(noise(60, 90))
    record = c.session.objects[_accept(c, 30, 30)]
    for other in range(2, 5_001):
        c.session.objects.replace(other, replace(record, label=other))
    table.use(c)
    table.show()
    _select_every_other(table)
    start = time.perf_counter()
    table.view.sortByColumn(SCORE, DOWN)
    assert time.perf_counter() - start < 1.5
    assert len(table.selected) == 2_500
    table.hide()


def _select_every_other(table: ObjectsTable) -> None:
    chosen, model = QItemSelection(), table.model
    for row in range(0, model.rowCount(), 2):
        chosen.select(model.index(row, ID), model.index(row, PROMPTS))
    table.view.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
