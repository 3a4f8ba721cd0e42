"""The line of the dock that takes objects through the stack: a button, an axis and a range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QSpinBox, QWidget

from samari.plugin.dock_widgets import button, narrow
from samari.plugin.keys import key_of

if TYPE_CHECKING:
    from samari.plugin.controller import Controller


class PropagatePanel(QWidget):
    """Starts a propagation, and says which planes it may go to.

    It shows itself where there is a stack behind the plane on screen. Progress and Cancel are the
    dock's own.

    Attributes
    ----------
    start : QPushButton
    axis : QComboBox
        Only where there is a choice: a time series of stacks.
    first, last : QSpinBox
        The planes to go to, both included.
    """

    def __init__(self) -> None:
        super().__init__()
        self._controller: Controller | None = None
        self._stack: tuple[str, int] = ("", 0)
        self._axes = ""
        self.start = button(f"Propagate  ({key_of('propagate').label})", "propagate")
        self.axis = QComboBox()
        self.axis.setToolTip("The axis to go along")
        self.axis.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.first, self.last = QSpinBox(), QSpinBox()
        self.first.setToolTip("The first plane that objects are followed to")
        self.last.setToolTip("The last plane that objects are followed to")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for box in (self.first, self.last):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            narrow(box, 40)
        narrow(self.axis, 16)
        layout.addWidget(self.start, 2)
        layout.addWidget(self.axis)
        layout.addWidget(self.first, 1)
        layout.addWidget(QLabel("\u2013"))
        layout.addWidget(self.last, 1)
        self.start.clicked.connect(self._on_start)
        self.axis.textActivated.connect(self._on_axis)
        for box in (self.first, self.last):
            box.valueChanged.connect(self._on_range)
        self._refresh()

    def use(self, controller: Controller | None) -> None:
        """Go on with another controller, or with none."""
        old, self._controller = self._controller, controller
        if old is not None:
            old.changed.disconnect(self._refresh)
        if controller is not None:
            controller.changed.connect(self._refresh)
        self._stack = ("", 0)
        self._refresh()

    def _on_start(self) -> None:
        if self._controller is not None:
            self._controller.propagate()

    def _on_axis(self, letter: str) -> None:
        if self._controller is not None:
            self._controller.along = letter
            self._refresh()

    def _on_range(self, value: int) -> None:
        """Keep the range in order, and pass it on; all planes are no range."""
        if self._controller is None:
            return
        first, last = self.first.value(), self.last.value()
        if first > last:
            moved = self.first if self.sender() is self.last else self.last
            moved.setValue(value)
            return
        whole = (first, last) == (0, self._stack[1] - 1)
        self._controller.planes = None if whole else (first, last + 1)

    def _refresh(self) -> None:
        """Show the axis and the planes of the view on screen."""
        controller = self._controller
        axes = "" if controller is None else controller.axes_to_go
        self.setVisible(bool(axes))
        if controller is None or not axes:
            return
        self.start.setEnabled(not controller.propagation.busy)
        if axes != self._axes:
            self._axes = axes
            self.axis.clear()
            self.axis.addItems(list(axes))
        if not controller.along or controller.along not in axes:
            controller.along = axes[0]
        self.axis.setCurrentText(controller.along)
        self.axis.setVisible(len(axes) > 1)
        planes = controller.session.planes
        length = planes.label_shape[planes.label_axes.index(controller.along)]
        if (controller.along, length) != self._stack:
            self._stack = controller.along, length
            controller.planes = None
            for box, value in ((self.first, 0), (self.last, length - 1)):
                box.blockSignals(True)
                box.setRange(0, length - 1)
                box.setValue(value)
                box.setPrefix(f"{controller.along.lower()} ")
                box.blockSignals(False)
