"""The widgets of the dock and where they are. What they do is in dock.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import create_widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from samari.plugin.keys import key_of, tooltip

if TYPE_CHECKING:
    from samari.plugin.everything_panel import EverythingPanel
    from samari.plugin.model_choice import ModelChoice

#: Entry of the labels combo that stands for a layer of its own.
NEW_LAYER = "New labels layer"


class DockLayout:
    """Builds the dock's widgets, top to bottom in the order in which they are used.

    Parameters
    ----------
    dock : QWidget
        Gets the layout.
    model : ModelChoice
    everything : EverythingPanel
    """

    def __init__(self, dock: QWidget, model: ModelChoice, everything: EverythingPanel) -> None:
        self.image = create_widget(annotation="napari.layers.Image", label="Image")
        self.labels = _combo()
        self.model = model
        self.everything = everything
        self.device = _text("")
        self.click, self.box = button("Click"), button("Box")
        change = f"Change tool: {key_of('toggle_tool').label}"
        self.click.setToolTip(f"Click on objects.  {change}")
        self.box.setToolTip(f"Drag boxes around objects.  {change}")
        self.plus, self.minus = button("+ Add"), button("\u2212 Take away")
        for polarity in (self.plus, self.minus):
            polarity.setToolTip(tooltip("toggle_polarity"))
        self.tools = _exclusive(dock, self.click, self.box)
        self.polarity = _exclusive(dock, self.plus, self.minus)
        self.previous, self.next = button("<", "previous_candidate"), button(">", "next_candidate")
        self.candidate = _text("")
        self.candidate.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.candidate.setWordWrap(False)
        self.accept = button(f"Accept  ({key_of('accept').label})", "accept")
        self.discard = button(f"Discard  ({key_of('discard').label})", "discard")
        self.undo, self.redo = button("Undo", "undo"), button("Redo", "redo")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(16)
        self.cancel = button("Cancel")
        self.cancel.setFixedWidth(72)
        self.cancel.setToolTip("Stop what is being computed or downloaded")
        self.status = _text("")
        # Two lines at all times: the dock must not jump with every message.
        self.status.setMinimumHeight(2 * self.status.fontMetrics().lineSpacing() + 4)
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.renew = button("")
        self.renew.setToolTip(
            "Channel and contrast are those of the time when the image was chosen"
        )
        self.renew.hide()
        self.save = button("Save labels\u2026")
        self.save.setToolTip("Save the objects as an OME-TIFF with voxel size and units")
        self.keys = button(f"Keys  ({key_of('show_keys').label})", "show_keys")
        self._arrange(dock)

    def _arrange(self, dock: QWidget) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        native = self.image.native
        if isinstance(native, QComboBox):
            native.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            native.setMinimumContentsLength(12)
            native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        form.addRow("Image", native)
        form.addRow("Labels", self.labels)
        form.addRow("Model", self.model)
        form.addRow("Device", self.device)
        form.addRow("Tool", row(self.click, self.box))
        form.addRow("Next click", row(self.plus, self.minus))
        form.addRow("Mask", row(self.previous, self.candidate, self.next))
        layout = QVBoxLayout(dock)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addLayout(form)
        layout.addWidget(row(self.accept, self.discard))
        layout.addWidget(row(self.undo, self.redo))
        layout.addWidget(self.everything)
        layout.addWidget(row(self.bar, self.cancel))
        layout.addWidget(self.status)
        layout.addWidget(self.renew)
        layout.addWidget(row(self.save, self.keys))
        layout.addStretch(1)
        self.previous.setFixedWidth(32)
        self.next.setFixedWidth(32)


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


def _combo() -> QComboBox:
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(12)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def _text(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    # Long texts wrap; they do not widen the dock.
    label.setMinimumWidth(1)
    return label


def _exclusive(dock: QWidget, *buttons: QPushButton) -> QButtonGroup:
    group = QButtonGroup(dock)
    group.setExclusive(True)
    for member in buttons:
        member.setCheckable(True)
        group.addButton(member)
    return group
