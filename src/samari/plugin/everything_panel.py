"""The part of the dock that segments everything: a button, its progress, and the thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from samari.engine.candidates import Thresholds
from samari.plugin.dock_widgets import ProgressBar, button, row
from samari.plugin.everything_run import EverythingRun

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from samari.plugin.controller import Controller
    from samari.plugin.worker import JobThread

_LARGEST = 2**31 - 1


class EverythingPanel(QWidget):
    """Starts automatic segmentation, and filters what was found before it is added.

    Parameters
    ----------
    viewer : napari viewer
    thread : JobThread
        The inference thread.

    Attributes
    ----------
    run : EverythingRun or None
        Of the controller in use.
    """

    def __init__(self, viewer: ViewerModel, thread: JobThread) -> None:
        super().__init__()
        self._viewer, self._thread = viewer, thread
        self.run: EverythingRun | None = None
        default = Thresholds()
        self.find = button("Find everything")
        self.find.setToolTip("Segment everything on this plane; nothing is added before you say so")
        self.all_planes = QCheckBox("All planes")
        self.all_planes.setToolTip("Every plane of the stack, each by itself")
        self.bar = ProgressBar()
        self.cancel = button("Cancel")
        self.cancel.setToolTip(
            "Stop. Objects that were being added are taken back; if you did something else since, "
            "they stay, and undo reaches them after that"
        )
        self.score = _share(default.min_score, "The model's own estimate of a mask's quality")
        self.stability = _share(default.min_stability, "How sharply a mask is defined")
        self.overlap = _share(default.overlap, "Share of a mask that may lie on better ones")
        self.smallest = _pixels(default.min_size, 1)
        self.largest = _pixels(0, 0)
        self.largest.setSpecialValueText("auto")
        self.largest.setToolTip("Pixels of the largest object; auto is a quarter of the plane")
        self.count = QLabel()
        self.count.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.add, self.drop = button("Add to labels"), button("Drop")
        self.add.setToolTip("Add these objects to the labels; one undo takes all of them back")
        self.drop.setToolTip("Forget what was found")
        self._arrange()
        self._connect()
        self._refresh()

    @property
    def layer(self) -> Labels | None:
        """The layer that shows what is chosen, None while there is none."""
        return None if self.run is None else self.run.layer

    def use(self, controller: Controller | None) -> None:
        """Go on with another controller, or with none; what was found for the old one goes."""
        old, self.run = self.run, None
        if old is not None:
            old.changed.disconnect(self._refresh)
            old.close()
        if controller is not None:
            self.run = EverythingRun(self._viewer, controller, self._thread)
            self.run.changed.connect(self._refresh)
        self._refresh()

    def thresholds(self) -> Thresholds:
        """Return what the sliders say."""
        smallest, largest = self.smallest.value(), self.largest.value()
        return Thresholds(
            min_score=self.score.value(),
            min_stability=self.stability.value(),
            min_size=smallest,
            max_size=max(smallest, largest) if largest else None,
            overlap=self.overlap.value(),
        )

    def _arrange(self) -> None:
        self._progress = row(self.bar, self.cancel)
        self._choice = QWidget()
        form = QFormLayout(self._choice)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Score", self.score)
        form.addRow("Stability", self.stability)
        form.addRow("Overlap", self.overlap)
        form.addRow("Size", row(self.smallest, self.largest))
        form.addRow(self.count)
        form.addRow(row(self.add, self.drop))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.find, self.all_planes))
        layout.addWidget(self._progress)
        layout.addWidget(self._choice)

    def _connect(self) -> None:
        self.find.clicked.connect(self._on_find)
        self.cancel.clicked.connect(self._on_drop)
        self.drop.clicked.connect(self._on_drop)
        self.add.clicked.connect(self._on_add)
        for slider in (self.score, self.stability, self.overlap):
            slider.valueChanged.connect(self._on_threshold)
        for box in (self.smallest, self.largest):
            box.valueChanged.connect(self._on_threshold)

    def _on_find(self) -> None:
        if self.run is not None:
            self.run.filter(self.thresholds())
            self.run.start(self.run.is_stack and self.all_planes.isChecked())

    def _on_threshold(self, value: float) -> None:
        if self.run is not None:
            self.run.filter(self.thresholds())

    def _on_add(self) -> None:
        if self.run is not None:
            self.run.accept()

    def _on_drop(self) -> None:
        if self.run is not None:
            self.run.drop()

    def _refresh(self) -> None:
        run = self.run
        state = "idle" if run is None else run.state
        busy = state in ("looking", "adding")
        self.find.setEnabled(run is not None and not busy)
        self.all_planes.setVisible(run is not None and run.is_stack)
        self.all_planes.setEnabled(not busy)
        self._progress.setVisible(busy)
        self._choice.setVisible(state == "choosing")
        done, total = (0, 0) if run is None else run.progress or (0, 0)
        self.bar.show_share(done, total)
        count = None if run is None else run.count
        if count is None:
            self.count.setText("This plane was not looked at")
        else:
            self.count.setText(f"{count} object{'' if count == 1 else 's'} on this plane")


def _share(value: float, tip: str) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, 1)
    slider.setDecimals(2)
    slider.setSingleStep(0.01)
    slider.setValue(value)
    slider.setToolTip(tip)
    return slider


def _pixels(value: int, least: int) -> QSpinBox:
    box = QSpinBox()
    box.setRange(least, _LARGEST)
    box.setValue(value)
    box.setSuffix(" px")
    box.setToolTip("Pixels of the smallest object")
    return box
