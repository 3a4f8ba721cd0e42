"""The widgets of the dock and where they are. What they do is in dock.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import create_widget
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from samari.plugin.axes_choice import AxesChoice
from samari.plugin.dock_widgets import ProgressBar, beside, button, exclusive, row, text_label
from samari.plugin.keys import key_of, tooltip

if TYPE_CHECKING:
    from samari.plugin.everything_panel import EverythingPanel
    from samari.plugin.improve_panel import ImprovePanel
    from samari.plugin.labels_choice import LabelsChoice
    from samari.plugin.model_choice import ModelChoice
    from samari.plugin.objects_table import ObjectsTable
    from samari.plugin.propagate_panel import PropagatePanel


class DockLayout:
    """Builds the dock's widgets, top to bottom in the order in which they are used.

    Parameters
    ----------
    dock : QWidget
        Gets the layout.
    model : ModelChoice
    target : LabelsChoice
    everything : EverythingPanel
    propagate : PropagatePanel
    improve : ImprovePanel
    objects : ObjectsTable
    """

    def __init__(
        self,
        dock: QWidget,
        model: ModelChoice,
        target: LabelsChoice,
        everything: EverythingPanel,
        propagate: PropagatePanel,
        improve: ImprovePanel,
        objects: ObjectsTable,
    ) -> None:
        self.image = create_widget(annotation="napari.layers.Image", label="Image")
        self.target, self.labels = target, target.combo
        self.model = model
        self.everything = everything
        self.propagate = propagate
        self.improve = improve
        self.objects = objects
        self.axes = AxesChoice()
        self.device = text_label("")
        self.click, self.box, self.brush = button("Click"), button("Box"), button("Brush", "brush")
        change = f"Change tool: {key_of('toggle_tool').label}"
        self.click.setToolTip(f"Click on objects.  {change}")
        self.box.setToolTip(f"Drag boxes around objects.  {change}")
        self.plus, self.minus = button("+ Add"), button("\u2212 Take away")
        for polarity in (self.plus, self.minus):
            polarity.setToolTip(tooltip("toggle_polarity"))
        self.tools = exclusive(dock, self.click, self.box, self.brush)
        self.polarity = exclusive(dock, self.plus, self.minus)
        self.previous, self.next = button("<", "previous_candidate"), button(">", "next_candidate")
        self.candidate = text_label("")
        self.candidate.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.candidate.setWordWrap(False)
        self.accept = button(f"Accept  ({key_of('accept').label})", "accept")
        self.discard = button(f"Discard  ({key_of('discard').label})", "discard")
        self.hover = QCheckBox("Preview under the mouse")
        self.hover.setToolTip("Outline what a click would select, before you click")
        self.hover.setChecked(True)
        self.undo, self.redo = button("Undo", "undo"), button("Redo", "redo")
        self.bar = ProgressBar()
        self.cancel = button("Cancel")
        self.cancel.setFixedWidth(72)
        self.cancel.setToolTip("Stop what is being computed or downloaded")
        self.status = text_label("")
        # Two lines at all times: the dock must not jump with every message.
        self.status.setMinimumHeight(2 * self.status.fontMetrics().lineSpacing())
        self.status.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.renew = button("")
        self.renew.setToolTip(
            "Channel and contrast are those of the time when the image was chosen"
        )
        self.renew.hide()
        self.save = button("Save labels\u2026")
        self.save.setToolTip("Save the objects as an OME-TIFF with voxel size and units")
        self.python = button("Copy as Python")
        self.python.setToolTip("Put a script on the clipboard that does the same without a window")
        self.restore, self.forget = button(""), button("No")
        self.restore.setToolTip("Bring back objects that were accepted and never saved")
        self.forget.setToolTip("Do not bring them back, and do not ask again")
        self.forget.setFixedWidth(48)
        self.lost = row(self.restore, self.forget)
        self.lost.hide()
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
            native.setMinimumContentsLength(8)
            native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        form.addRow("Image", beside(native, self.axes))
        form.addRow("Labels", self.target)
        form.addRow("Model", self.model)
        form.addRow("Device", self.device)
        form.addRow("Tool", row(self.click, self.box, self.brush))
        form.addRow("Next click", row(self.plus, self.minus))
        form.addRow("Mask", row(self.previous, self.candidate, self.next))
        form.addRow("", self.hover)
        layout = QVBoxLayout(dock)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(row(self.accept, self.discard))
        layout.addWidget(row(self.undo, self.redo, self.keys))
        layout.addWidget(self.everything)
        layout.addWidget(self.propagate)
        layout.addWidget(self.objects, 1)
        layout.addWidget(self.improve)
        layout.addWidget(row(self.bar, self.cancel))
        layout.addWidget(self.status)
        layout.addWidget(self.renew)
        layout.addWidget(self.lost)
        layout.addWidget(row(self.save, self.python))
        self.previous.setFixedWidth(32)
        self.next.setFixedWidth(32)
