"""The choice of the labels layer in the dock: which, whether to overwrite, and copies of others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from samari.engine.label_arrays import is_in_memory, refuse_unwritable
from samari.errors import InputError, LabelsError
from samari.plugin import notices
from samari.plugin.dock_widgets import button, combo
from samari.plugin.jobs import Job
from samari.plugin.large_labels import labels_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from napari.components import ViewerModel

    from samari.plugin.controller import Controller
    from samari.plugin.worker import JobThread

#: Entry that stands for a layer of its own.
NEW_LAYER = "New labels layer"
#: Pixels that are copied at a time, between two looks at whether to stop.
_SLAB = 1 << 24


class LabelsChoice(QWidget):
    """A combo box of labels layers, the option to overwrite, and the offer of a copy.

    Parameters
    ----------
    viewer : napari viewer
    files : JobThread

    Attributes
    ----------
    chosen : Signal(object)
        A labels layer was chosen, or None for a new one.
    progress : Signal(str, int, int)
        What is being copied, slabs done and in all; the text is empty when it has ended.
    """

    chosen = Signal(object)
    progress = Signal(str, "qint64", "qint64")

    def __init__(self, viewer: ViewerModel, files: JobThread) -> None:
        super().__init__()
        self._viewer, self._files = viewer, files
        self._layers: list[Labels | None] = [None]
        self._own: list[Any] = []
        self._refused: Labels | None = None
        self._job: Job | None = None
        self._controller: Controller | None = None
        self._last: WeakKeyDictionary[Any, ref[Labels]] = WeakKeyDictionary()
        self.combo = combo()
        self.overwrite = QCheckBox("Overwrite other objects")
        self.overwrite.setToolTip(
            "Accepted masks also take pixels of other objects. Otherwise those keep all of theirs"
        )
        self.copy = button("")
        self.copy.setToolTip(
            "Copy these labels into memory, as a layer of its own, and go on there"
        )
        self.copy.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self.combo, self.copy, self.overwrite):
            layout.addWidget(widget)
        self.combo.activated.connect(self._on_activated)
        self.overwrite.toggled.connect(self._on_overwrite)
        self.copy.clicked.connect(self._on_copy)

    @property
    def copying(self) -> bool:
        """Whether a copy is being made."""
        return self._job is not None

    def use(self, controller: Controller | None) -> None:
        """Go on with another controller."""
        if self._controller is not None:
            self._last[self._controller.image] = ref(self._controller.labels_layer)
        self._controller = controller
        if controller is not None:
            controller.session.overwrite = self.overwrite.isChecked()
            self._refused = None
        self.refresh()

    def last_of(self, image: Any) -> Labels | None:
        """Return the layer to which objects of an image were added last, if it is still there."""
        layer = self._last[image]() if image in self._last else None
        return layer if layer in self._viewer.layers else None

    def fill(self, own: Iterable[Any]) -> None:
        """List the labels layers of the viewer, without our `own` helpers."""
        held = self._own = [layer for layer in own if layer is not None]
        layers = [layer for layer in self._viewer.layers if isinstance(layer, Labels)]
        self._layers = [None, *(layer for layer in layers if layer not in held)]
        self.combo.clear()
        self.combo.addItem(NEW_LAYER)
        self.combo.addItems([layer.name for layer in self._layers[1:] if layer is not None])
        current = None if self._controller is None else self._controller.labels_layer
        if current in self._layers:
            self.combo.setCurrentIndex(self._layers.index(current))
        if self._refused is not None and self._refused not in self._layers:
            self._refused = None
        self.refresh()

    def accepts(self, layer: Labels | None, controller: Controller) -> bool:
        """Tell whether a controller of the same image can go on with a layer, None for a new one.

        If not, the user is told why, and offered a copy where that would do.
        """
        if layer is None:
            return True
        data = _array(layer)
        try:
            controller.source.session_array(data)
            refuse_unwritable(data)
        except InputError as error:
            notices.tell_error(error)
        except LabelsError:
            self._offer(layer)
        else:
            if not layer.multiscale:
                return True
            self._offer(layer)
        self.fill(self._own)
        return False

    def _offer(self, layer: Labels) -> None:
        self._refused = layer
        notices.warn(
            f"{layer.name!r} cannot be written to: it is computed on demand, read-only or "
            "multiscale. The button below its name makes a copy and goes on there."
        )

    def refresh(self) -> None:
        """Show whether there is a copy to offer."""
        layer = self._refused or self._full()
        self.copy.setVisible(layer is not None)
        self.copy.setEnabled(not self.copying)
        if layer is not None:
            self.copy.setText(f"Use a copy of {_short(layer.name)}")

    def cancel(self) -> None:
        """Stop copying."""
        if self._job is not None:
            self._files.cancel(self._job)

    def _full(self) -> Labels | None:
        """Return the layer in use if its next id does not fit, and it cannot grow where it is.

        Not once objects were accepted: their prompts and the history would not go with the copy.
        """
        if self._controller is None or len(self._controller.session.objects):
            return None
        store = self._controller.session.store
        fits = store.next_label() <= np.iinfo(store.array.dtype).max
        return None if fits or is_in_memory(store.array) else self._controller.labels_layer

    def _on_activated(self, index: int) -> None:
        self._refused = None
        self.chosen.emit(self._layers[index])

    def _on_overwrite(self, checked: bool) -> None:
        if self._controller is not None:
            self._controller.session.overwrite = checked

    def _on_copy(self) -> None:
        layer = self._refused or self._full()
        if layer is None or self.copying:
            return
        data = _array(layer)
        wide = np.dtype(data.dtype).itemsize < 4 and not is_in_memory(data)
        dtype = np.dtype(np.int32) if wide else np.dtype(data.dtype)
        self._job = Job(
            partial(_copy_steps, data, dtype),
            done=partial(self._on_copied, layer),
            failed=self._on_failed,
            progress=self._on_progress,
        )
        self._files.submit(self._job)
        self.refresh()
        self.progress.emit("Copying labels", 0, 0)

    def _on_progress(self, job: Job, done: int, total: int) -> None:
        self.progress.emit("Copying labels", done, total)

    def _on_copied(self, layer: Labels, job: Job, data: Any) -> None:
        self._end()
        copy = Labels(
            data,
            name=f"{layer.name} copy",
            opacity=layer.opacity,
            scale=layer.scale,
            translate=layer.translate,
            rotate=layer.rotate,
            shear=layer.shear,
            affine=layer.affine,
            units=layer.units,
            axis_labels=layer.axis_labels,
        )
        self._viewer.add_layer(copy)
        self._refused = None
        self.chosen.emit(copy)

    def _on_failed(self, job: Job, error: BaseException) -> None:
        self._end()
        notices.tell_error(error)

    def _end(self) -> None:
        self._job = None
        self.progress.emit("", 0, 0)
        self.refresh()


def _array(layer: Labels) -> Any:
    return layer.data[0] if layer.multiscale else labels_of(layer)


def _copy_steps(data: Any, dtype: np.dtype[Any], job: Job) -> Generator[tuple[int, int], None, Any]:
    """Copy an array of any kind into memory, slab by slab."""
    copy = np.empty(data.shape, dtype)
    plane = max(1, int(np.prod(data.shape[1:], dtype=np.int64)))
    starts = range(0, data.shape[0], max(1, _SLAB // plane))
    for done, start in enumerate(starts):
        yield done, len(starts)
        part = slice(start, start + starts.step)
        copy[part] = np.asarray(data[part])
    return copy


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}\u2026"
