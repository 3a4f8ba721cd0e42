"""The rows of the objects table: sorted, made when they are shown, updated where they changed."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt
from qtpy.QtGui import QColor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samari.engine.objects import SegmentedObject
    from samari.engine.planes import PlaneIndex
    from samari.plugin.controller import Controller

ID, PLANE, PIXELS, SCORE, PROMPTS = range(5)
#: Changes of more labels than this are told as a new table: Qt does that at once.
_MANY = 50

Role = Qt.ItemDataRole
_ROOT = QModelIndex()


class ObjectsModel(QAbstractTableModel):
    """Objects of one controller, those without prompts included once they are counted.

    Held are only a sorted list of keys and a dictionary; what a row says is looked up when Qt asks
    for it, so ten thousand objects cost what the visible ones do.
    """

    HEADERS: ClassVar = ("Object", "Plane", "Pixels", "Score", "Prompts")
    TIPS: ClassVar = (
        "Id in the labels layer, with its color",
        "Where its prompts are, or its pixels if it has none",
        "Number of pixels",
        "The model's own estimate of the mask's quality, of the worst plane",
        "Points, boxes and outlines that made it; none if it is from another tool or a brush",
    )

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._controller: Controller | None = None
        self._column, self._descending = ID, False
        # In ascending order, whatever the order on screen.
        self._keys: list[tuple[Any, int]] = []
        self._key_of: dict[int, tuple[Any, int]] = {}

    def use(self, controller: Controller | None) -> None:
        """Show the objects of another controller."""
        self._controller = controller
        self.update(None)

    def label_at(self, row: int) -> int:
        """Return the label of a row."""
        return self._keys[self._turned(row)][1]

    def row_of(self, label: int) -> int | None:
        """Return the row of a label, None if it is not in the table."""
        key = self._key_of.get(label)
        return None if key is None else self._turned(bisect_left(self._keys, key))

    def update(self, labels: Iterable[int] | None) -> None:
        """Show what these objects are now; None for all."""
        known = None if labels is None else set(labels)
        if known is None or len(known) > _MANY:
            self._reset()
            return
        for label in known:
            self._update_one(label)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        # Until it is announced, rows are where they were: the selection is read then.
        self.beginResetModel()
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self._fill()
        self.endResetModel()

    def recolor(self) -> None:
        """Show other colors."""
        if self._keys:
            last = self.index(len(self._keys) - 1, ID)
            self.dataChanged.emit(self.index(0, ID), last, [Role.DecorationRole])

    # What Qt asks for

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of objects."""
        return 0 if parent.isValid() else len(self._keys)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.HEADERS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole
    ) -> Any:
        """Return the name or the tooltip of a column."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Role.DisplayRole:
                return self.HEADERS[section]
            if role == Role.ToolTipRole:
                return self.TIPS[section]
        return None

    def data(self, index: QModelIndex, role: int = Role.DisplayRole) -> Any:
        """Return what a cell shows."""
        if self._controller is None or not index.isValid():
            return None
        column, label = index.column(), self.label_at(index.row())
        if role == Role.DisplayRole:
            return self._text(label, column)
        if role == Role.DecorationRole and column == ID:
            color = self._controller.labels_layer.get_color(label)
            return None if color is None else QColor.fromRgbF(*(float(part) for part in color))
        if role == Role.TextAlignmentRole and column != PLANE:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    # Rows

    def _reset(self) -> None:
        self.beginResetModel()
        self._fill()
        self.endResetModel()

    def _fill(self) -> None:
        """Look up all objects, in their order."""
        labels: set[int] = set()
        if self._controller is not None:
            session = self._controller.session
            labels = {*session.objects, *session.store.census}
        self._key_of = {label: (self._sorted_by(label), label) for label in labels}
        self._keys = sorted(self._key_of.values())

    def _update_one(self, label: int) -> None:
        assert self._controller is not None
        session = self._controller.session
        exists = label in session.objects or bool(session.store.census.pixels(label))
        old = self._key_of.get(label)
        new = (self._sorted_by(label), label) if exists else None
        if old is not None and old == new:
            row = self._turned(bisect_left(self._keys, old))
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.HEADERS) - 1))
            return
        if old is not None:
            place = bisect_left(self._keys, old)
            row = self._turned(place)
            self.beginRemoveRows(_ROOT, row, row)
            del self._keys[place]
            del self._key_of[label]
            self.endRemoveRows()
        if new is not None:
            place = bisect_left(self._keys, new)
            row = len(self._keys) - place if self._descending else place
            self.beginInsertRows(_ROOT, row, row)
            self._keys.insert(place, new)
            self._key_of[label] = new
            self.endInsertRows()

    def _turned(self, row: int) -> int:
        """Return the place in `_keys` of a row on screen, or the row of a place."""
        return len(self._keys) - 1 - row if self._descending else row

    def _sorted_by(self, label: int) -> Any:
        """Return what the column is sorted by; what is not known comes last."""
        if self._column == ID:
            return 0
        if self._column == PIXELS:
            pixels = self._pixels(label)
            return math.inf if pixels is None else pixels
        record = self._record(label)
        if self._column == SCORE:
            score = None if record is None else record.score
            return math.inf if score is None else score
        if self._column == PROMPTS:
            return _prompts(record)
        return tuple(plane.index for plane in _planes(record)[:1]) or (self._first_index(label),)

    def _text(self, label: int, column: int) -> str:
        record = self._record(label)
        if column == ID:
            return str(label)
        if column == PLANE:
            return self._plane(label, record)
        if column == PIXELS:
            pixels = self._pixels(label)
            return "\u2026" if pixels is None else f"{pixels:,}"
        if column == SCORE:
            score = None if record is None else record.score
            return "\u2013" if score is None else f"{score:.2f}"
        return str(_prompts(record)) if _prompts(record) else "\u2013"

    def _plane(self, label: int, record: SegmentedObject | None) -> str:
        assert self._controller is not None
        planes = self._controller.session.planes
        names = [planes.name_of(plane) for plane in _planes(record)]
        if names:
            return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "")
        box = self._controller.session.store.census.box(label)
        across = [
            (letter.lower(), extent)
            for letter, extent in zip(planes.label_axes, box or (), strict=False)
            if letter not in "YX"
        ]
        return ", ".join(
            f"{letter}={s.start}" + (f"\u2013{s.stop - 1}" if s.stop - s.start > 1 else "")
            for letter, s in across
        )

    def _first_index(self, label: int) -> tuple[int, ...]:
        assert self._controller is not None
        session = self._controller.session
        box = session.store.census.box(label) or ()
        letters = session.planes.label_axes
        return tuple(s.start for a, s in zip(letters, box, strict=False) if a not in "YX")

    def _record(self, label: int) -> SegmentedObject | None:
        return None if self._controller is None else self._controller.session.objects.get(label)

    def _pixels(self, label: int) -> int | None:
        assert self._controller is not None
        return self._controller.session.store.census.pixels(label)


def _planes(record: SegmentedObject | None) -> list[PlaneIndex]:
    return [] if record is None else [part.plane for part in record.parts]


def _prompts(record: SegmentedObject | None) -> int:
    """Return how many points, boxes and outlines made an object."""
    parts = () if record is None else record.parts
    return sum(len(part.prompts.points) + int(part.prompts.has_region) for part in parts)
