"""The objects table of the dock and the buttons below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QItemSelection, QItemSelectionModel, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableView, QVBoxLayout, QWidget

from samari.plugin.dock_widgets import button, row
from samari.plugin.keys import key_of
from samari.plugin.objects_model import ID, PLANE, PROMPTS, ObjectsModel

if TYPE_CHECKING:
    from qtpy.QtCore import QModelIndex

    from samari.plugin.controller import Controller

#: Rows that are visible however small the window is.
_ROWS = 3
_ROW_HEIGHT = 20


class ObjectsTable(QWidget):
    """All objects of one controller: look at one by a click, reopen, join or delete it.

    The table takes no keys from the canvas: they mean the object under the mouse or the one looked
    at last, the buttons mean the selected rows. These stay selected whatever becomes of the others.

    Attributes
    ----------
    model : ObjectsModel
    view : QTableView
    """

    def __init__(self) -> None:
        super().__init__()
        self._controller: Controller | None = None
        # What is selected again once the rows have moved.
        self._kept: list[int] | None = None
        self.model = ObjectsModel(self)
        self.title = QLabel()
        self.view = _view(self.model)
        self.next, self.reopen = button("Next", "next_object"), button("Reopen", "reopen")
        self.join, self.delete = button("Join", "join"), button("Delete", "delete")
        for widget, text in (
            (self.reopen, "Reopen the selected object; Enter replaces it"),
            (self.join, "Join the selected objects: several rows with Ctrl or Shift"),
            (self.delete, "Delete the selected objects"),
        ):
            key = {"Reopen": "reopen", "Join": "join", "Delete": "delete"}[widget.text()]
            widget.setToolTip(f"{text}  ({key_of(key).label}: the one under the mouse)")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.view, 1)
        layout.addWidget(row(self.next, self.reopen, self.join, self.delete))
        self.model.modelAboutToBeReset.connect(self._keep_selection)
        self.model.modelReset.connect(self._select_kept)
        self.view.clicked.connect(self._on_clicked)
        self.view.selectionModel().selectionChanged.connect(self._on_selected)
        self.next.clicked.connect(self._on_next)
        self.reopen.clicked.connect(self._on_reopen)
        self.join.clicked.connect(self._on_join)
        self.delete.clicked.connect(self._on_delete)
        self._refresh()

    @property
    def selected(self) -> list[int]:
        """Labels of the selected rows, the one that was clicked last at the end."""
        labels = [self.model.label_at(place) for place in self._rows()]
        current = self.view.selectionModel().currentIndex()
        last = self.model.label_at(current.row()) if current.isValid() else 0
        return sorted(labels, key=lambda label: label == last)

    def _rows(self) -> list[int]:
        """Return the selected rows: Qt's own list of them takes a second for some thousands."""
        spans = self.view.selectionModel().selection()
        return sorted({place for span in spans for place in range(span.top(), span.bottom() + 1)})

    def use(self, controller: Controller | None) -> None:
        """Show another controller's objects, or none."""
        old, self._controller = self._controller, controller
        if old is not None:
            old.objects_changed.disconnect(self._on_objects)
            old.looked_at.disconnect(self._select)
            old.labels_layer.events.colormap.disconnect(self._on_colormap)
        if controller is not None:
            controller.objects_changed.connect(self._on_objects)
            controller.looked_at.connect(self._select)
            controller.labels_layer.events.colormap.connect(self._on_colormap)
        self.view.selectionModel().clear()
        self.model.use(controller)
        self._refresh()

    def _on_objects(self, labels: Any) -> None:
        self._keep_selection()
        self.model.update(labels)
        self._select_kept()

    def _keep_selection(self) -> None:
        """Take note of the selection: rows are about to move."""
        if self._kept is None:
            self._kept = self.selected

    def _select_kept(self) -> None:
        """Select what is left of the selection, all at once: Qt tells of every one that changes."""
        if self._kept is None:
            return
        if self.selected != self._kept:
            flags, selection = QItemSelectionModel.SelectionFlag, self.view.selectionModel()
            places = [self.model.row_of(label) for label in self._kept]
            rows = [place for place in places if place is not None]
            if rows and not selection.currentIndex().isValid():
                selection.setCurrentIndex(self.model.index(rows[-1], ID), flags.NoUpdate)
            chosen = QItemSelection()
            for place in rows:
                chosen.select(self.model.index(place, ID), self.model.index(place, PROMPTS))
            selection.select(chosen, flags.ClearAndSelect)
        self._kept = None
        self._on_selected()

    def _on_selected(self, *_: Any) -> None:
        if self._kept is not None:
            return
        if self._controller is not None:
            self._controller.select(self.selected)
        self._refresh()

    def _on_colormap(self, event: Any = None) -> None:
        self.model.recolor()

    def _on_clicked(self, index: QModelIndex) -> None:
        if self._controller is not None and len(self.selected) == 1:
            self._controller.look_at(self.model.label_at(index.row()))

    def _on_next(self) -> None:
        if self._controller is not None:
            self._controller.next_object()

    def _on_reopen(self) -> None:
        if self._controller is not None and self.selected:
            label = self.selected[-1]
            if self._controller.look_at(label):
                self._controller.reopen(label)

    def _on_join(self) -> None:
        """Join the selected objects to the one of the lowest id."""
        if self._controller is None or not self.selected:
            return
        first, *others = sorted(self.selected)
        self._controller.join(others, into=first)

    def _on_delete(self) -> None:
        if self._controller is not None and self.selected:
            self._controller.delete(self.selected)

    def _select(self, label: int) -> None:
        """Select the row of the object that is looked at."""
        found = self.model.row_of(label)
        if found is not None:
            self.view.selectRow(found)
            self.view.scrollTo(self.model.index(found, ID))

    def _refresh(self, *_: Any) -> None:
        count, chosen = self.model.rowCount(), len(self._rows())
        self.title.setText(f"Objects: {count:,}" + (f", {chosen} selected" if chosen > 1 else ""))
        self.next.setEnabled(count > 0)
        for widget in (self.reopen, self.delete):
            widget.setEnabled(chosen > 0)
        self.join.setEnabled(chosen > 1)
        single = self._controller is None or self._controller.session.planes.label_axes == "YX"
        self.view.setColumnHidden(PLANE, single)


def _view(model: ObjectsModel) -> QTableView:
    view = QTableView()
    view.setModel(model)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setShowGrid(False)
    view.setWordWrap(False)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    # Fixed sizes: Qt would measure every row otherwise.
    rows, columns = view.verticalHeader(), view.horizontalHeader()
    rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    rows.setDefaultSectionSize(_ROW_HEIGHT)
    rows.hide()
    columns.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    columns.setMinimumSectionSize(20)
    columns.setHighlightSections(False)
    columns.setSortIndicator(ID, Qt.SortOrder.AscendingOrder)
    view.setSortingEnabled(True)
    view.setMinimumHeight((_ROWS + 2) * _ROW_HEIGHT)
    return view
