"""Beside the image in the dock: what its axes are, and which channel is annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from samari.plugin.dock_widgets import narrow

if TYPE_CHECKING:
    from samari.plugin.controller import Controller

#: What the axes of a layer may mean, by their number; napari does not say.
_MEANINGS = {
    2: ("YX",),
    3: ("ZYX", "CYX", "TYX"),
    4: ("TZYX", "CZYX", "TCYX", "ZCYX"),
    5: ("TCZYX", "CTZYX", "TZCYX"),
}


class AxesChoice(QWidget):
    """Shows what the axes of the image are taken for, and which channel is annotated.

    What was chosen for a layer is known as long as the layer lives; the layer itself is not
    touched.

    Attributes
    ----------
    axes, channel : QComboBox
        The latter only if there are channels.
    axes_chosen : Signal
        Emitted with the letters.
    channel_chosen : Signal
        Emitted with the number of the channel.
    """

    axes_chosen = Signal(str)
    channel_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._chosen: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        self.axes, self.channel = QComboBox(), QComboBox()
        self.axes.setToolTip("What the axes of the image are: T time, C channel, Z depth, Y, X")
        self.channel.setToolTip("The channel that is annotated")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for box in (self.axes, self.channel):
            box.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            narrow(box, 24)
            layout.addWidget(box)
        self.axes.textActivated.connect(self._on_axes)
        self.channel.activated.connect(self.channel_chosen)
        self.refresh(None)

    def axes_of(self, layer: Any) -> str:
        """Return what was chosen for a layer, "" if nothing was."""
        return self._chosen.get(layer, "")

    def choose(self, layer: Any, axes: str) -> None:
        """Remember what the axes of a layer are; "" forgets it."""
        self._chosen[layer] = axes

    def refresh(self, controller: Controller | None) -> None:
        """Show the axes and the channel of a controller."""
        shown = controller is not None and controller.image.ndim > 2
        self.setVisible(shown)
        if controller is None or not shown:
            return
        source = controller.source
        names = list(_MEANINGS[controller.image.ndim])
        if source.axes not in names:
            names.insert(0, source.axes)
        _fill(self.axes, names, names.index(source.axes))
        channel = controller.session.planes.channel
        self.channel.setVisible(channel is not None)
        if channel is not None:
            _fill(self.channel, [f"C {k}" for k in range(source.n_channels)], channel)

    def _on_axes(self, letters: str) -> None:
        self.axes_chosen.emit(letters)


def _fill(box: QComboBox, names: list[str], current: int) -> None:
    if [box.itemText(k) for k in range(box.count())] != names:
        box.clear()
        box.addItems(names)
    box.setCurrentIndex(current)
