"""The small widgets that the dock is made of."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from samari.plugin.keys import tooltip


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
