"""The small widgets that the dock is made of."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from samari.plugin.keys import tooltip


class ProgressBar(QProgressBar):
    """A thin progress bar without text that is painted with the window.

    Qt's paints itself within every call, and with it the canvas if that waits to be painted: tens
    of milliseconds in the middle of an answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setTextVisible(False)
        self.setFixedHeight(16)

    def show_share(self, done: int, total: int, busy: bool = True) -> None:
        """Show `done` of `total`; a bar without an end if `total` is 0; empty if not `busy`."""
        # Both may be bytes of a large file, which Qt's int does not hold.
        most = 1 if not busy else 1000 if total else 0
        value = round(1000 * done / total) if busy and total else 0
        if (most, value) == (self.maximum(), max(self.value(), 0)):
            return
        self.setUpdatesEnabled(False)
        self.setRange(0, most)
        self.setValue(value)
        self.setUpdatesEnabled(True)


def button(text: str, action: str = "") -> QPushButton:
    """Return a button that takes no key presses away from the canvas."""
    widget = QPushButton(text)
    widget.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    if action:
        widget.setToolTip(tooltip(action))
    return widget


def row(*widgets: QWidget) -> QWidget:
    """Return the widgets side by side."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return holder


def beside(wide: QWidget, narrow: QWidget) -> QWidget:
    """Return two widgets side by side, the second one as narrow as it can be."""
    holder = row(wide, narrow)
    layout = holder.layout()
    assert isinstance(layout, QHBoxLayout)
    layout.setStretch(1, 0)
    return holder


def combo() -> QComboBox:
    """Return a combo box that stays narrow whatever it lists."""
    widget = QComboBox()
    widget.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    widget.setMinimumContentsLength(12)
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return widget


def narrow(widget: QWidget, pixels: int) -> None:
    """Let a combo or spin box be narrower than napari's style has it, for the dock of a laptop."""
    widget.setStyleSheet(f"min-width: {pixels}px")


def text_label(text: str) -> QLabel:
    """Return a text that wraps."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    # Long texts wrap; they do not widen the dock.
    label.setMinimumWidth(1)
    return label


def exclusive(dock: QWidget, *buttons: QPushButton) -> QButtonGroup:
    """Make buttons of which one is pressed."""
    group = QButtonGroup(dock)
    group.setExclusive(True)
    for member in buttons:
        member.setCheckable(True)
        group.addButton(member)
    return group
