"""The dock widget: shows what the Controller says, and calls it when a button is pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer

from samari.errors import SamariError
from samari.plugin import notices
from samari.plugin.controller import Controller
from samari.plugin.dock_actions import DockActions
from samari.plugin.dock_layout import DockLayout
from samari.plugin.everything_panel import EverythingPanel
from samari.plugin.improve_panel import ImprovePanel
from samari.plugin.labels_choice import LabelsChoice
from samari.plugin.large_labels import OVERVIEW
from samari.plugin.model_choice import ModelChoice
from samari.plugin.objects_table import ObjectsTable
from samari.plugin.pace import collector_at_rest
from samari.plugin.propagate_panel import PropagatePanel
from samari.plugin.settings import Settings, SettingsWatch, remember
from samari.plugin.viewers import choose_image, unwrapped
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: Milliseconds after which a session begins even if torch is not imported yet: on a slow disk the
#: layers can be built while it is read.
_PATIENCE_MS = 5000
_IDLE = "Click on an object. Right-click on what does not belong to it."


class SamariDock(DockActions):
    """Samari's dock widget.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        napari fills it in, by this name.
    model : str
        Model chosen at first.

    Attributes
    ----------
    controller : Controller or None
        For the image chosen in the dock; None while there is none.
    """

    def __init__(self, napari_viewer: Viewer, model: str = "samari-tiny") -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self.controller: Controller | None = None
        self._workshop = Workshop()
        self._ready = False
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.timeout.connect(self._on_ready)
        self._patience.start(_PATIENCE_MS)
        self._workshop.warm_up(model, self._on_ready)
        self._closed = False
        self._renew_soon = False
        # Not tried again by itself: an error is told once.
        self._refused: Any = None
        self._download = ("", 0, 0)
        self.everything = EverythingPanel(self._viewer, self._workshop.inference)
        self.propagate = PropagatePanel()
        self.improve = ImprovePanel(self._workshop.inference, self._workshop.files)
        self.objects = ObjectsTable()
        self._settings = SettingsWatch()
        self._configure(self._settings.value)
        self.ui = DockLayout(
            self,
            ModelChoice(self._workshop.files, model),
            LabelsChoice(self._viewer, self._workshop.files),
            self.everything,
            self.propagate,
            self.improve,
            self.objects,
        )
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._follow_image)
        self._first = True
        self._connect()
        self.destroyed.connect(self._workshop.close)
        self._refresh()
        self._soon.start()

    def reset_choices(self, event: Any = None) -> None:
        """List the layers again; napari calls this when layers come and go."""
        if self._closed:
            return
        self.ui.image.reset_choices()
        self._list_targets()
        self._soon.start()

    def event(self, event: QEvent) -> bool:
        """Let everything go when napari takes the widget out of its window."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.shut_down()
        return bool(super().event(event))

    def shut_down(self) -> None:
        """End the session and both threads; the labels layer stays in the viewer."""
        if self._closed:
            return
        self._closed = True
        self._soon.stop()
        self._patience.stop()
        self._settings.close()
        self._use(None)
        self._workshop.close()

    # From the user

    def _connect(self) -> None:
        ui = self.ui
        ui.hover.setChecked(self._settings.value.hover)
        self._settings.changed.connect(self._on_settings)
        ui.image.changed.connect(self._on_image)
        ui.axes.axes_chosen.connect(self._on_axes)
        ui.axes.channel_chosen.connect(self._on_channel)
        ui.target.chosen.connect(self._on_target)
        ui.target.progress.connect(self._on_download)
        ui.hover.toggled.connect(self._on_hover)
        ui.brush.clicked.connect(self._on_brush)
        ui.model.ready.connect(self._on_model)
        ui.model.progress.connect(self._on_download)
        ui.improve.taken.connect(ui.model.choose)
        ui.cancel.clicked.connect(self._on_cancel)
        ui.renew.clicked.connect(self._on_renew)
        ui.save.clicked.connect(self._on_save)
        ui.click.clicked.connect(self._on_click_tool)
        ui.box.clicked.connect(self._on_box_tool)
        ui.plus.clicked.connect(self._on_plus)
        ui.minus.clicked.connect(self._on_minus)
        ui.previous.clicked.connect(self._on_previous)
        ui.next.clicked.connect(self._on_next)
        ui.accept.clicked.connect(self._on_accept)
        ui.discard.clicked.connect(self._on_discard)
        ui.undo.clicked.connect(self._on_undo)
        ui.redo.clicked.connect(self._on_redo)
        ui.keys.clicked.connect(self._on_keys)
        ui.python.clicked.connect(self._on_python)
        ui.restore.clicked.connect(self._on_restore)
        ui.forget.clicked.connect(self._on_forget)

    def _on_image(self, layer: Any = None) -> None:
        self._soon.start()

    def _on_axes(self, axes: str) -> None:
        """Begin anew with other axes: objects of the old ones stay in their layer."""
        old = self.controller
        if old is None or axes == old.source.axes:
            return
        image, before, unused = old.image, old.source.axes, old.labels_unused
        self.ui.axes.choose(image, axes)
        if not self._open(image, None):
            self.ui.axes.choose(image, before)
            self._open(image, old.labels_layer)
        elif unused and old.labels_layer in self._viewer.layers:
            for layer in (old.labels_layer, *old.label_helpers):
                if layer in self._viewer.layers:
                    self._viewer.layers.remove(layer)
            if self.controller is not None:
                self.controller.labels_layer.name = old.labels_layer.name

    def _on_channel(self, channel: int) -> None:
        if self.controller is not None:
            self.controller.source.show_channel(self._viewer, channel)
            self._on_renew()

    def _on_target(self, target: Any) -> None:
        old = self.controller
        if old is None:
            self._open(unwrapped(self.ui.image.value), target)
        elif self.ui.target.accepts(target, old) and target != old.labels_layer:
            if not self._open(old.image, target):
                self._open(old.image, old.labels_layer)
            if self.controller is not None:
                self.controller.take_over(old)

    def _on_hover(self, checked: bool) -> None:
        remember("annotation", "hover", checked)
        if self.controller is not None:
            self.controller.hover = checked

    def _configure(self, settings: Settings) -> bool:
        return self._workshop.configure(
            settings.device, settings.precision, settings.cache_bytes, settings.disk_bytes
        )

    def _on_settings(self, before: Settings, after: Settings) -> None:
        """Go on with what was chosen in Preferences."""
        self.ui.hover.setChecked(after.hover)
        again = self._configure(after)
        if self.controller is not None:
            self.controller.set_palette(after.palette)
            if again:
                self.controller.set_model(self.ui.model.model)

    def _on_model(self, name: str) -> None:
        if self.controller is not None:
            self.controller.set_model(name)

    def _on_download(self, text: str, done: int, total: int) -> None:
        self._download = (text, done, total)
        self._refresh()

    def _on_cancel(self) -> None:
        if self.ui.target.copying:
            self.ui.target.cancel()
        elif self.ui.model.downloading:
            self.ui.model.cancel()
        elif self.controller is not None:
            self.controller.cancel()

    def _on_renew(self) -> None:
        """Go on with the channel and the contrast on screen, on the same labels if they fit."""
        old = self.controller
        if old is not None and not self._open(old.image, old.labels_layer):
            # One of them has another shape now, so that the prompts do not fit either.
            if self._open(old.image, None):
                notices.tell("Samari goes on in a new labels layer. The former one stays.")
        elif old is not None and self.controller is not None:
            self.controller.take_over(old)

    def _on_outdated(self) -> None:
        self._renew_soon = True
        self._soon.start()

    # The session

    def _follow_image(self) -> None:
        """Annotate the chosen image, if it is another one than before."""
        if self._closed or not self._ready:
            return
        if self._first:
            self._choose_first()
        if self._renew_soon:
            self._renew_soon = False
            self._on_renew()
        chosen = unwrapped(self.ui.image.value)
        if chosen is None or chosen not in self._viewer.layers:
            self._use(None)
        elif self.controller is not None and self.controller.image == chosen:
            return
        elif chosen != self._refused:
            self._open(chosen, self.ui.target.last_of(chosen))

    def _on_ready(self) -> None:
        self._patience.stop()
        self._ready = True
        self._soon.start()

    def _choose_first(self) -> None:
        """Take the image that is active in the viewer."""
        try:
            wanted = choose_image(self._viewer)
        except SamariError:
            return
        self._first = False
        if wanted in self.ui.image.choices:
            self.ui.image.value = wanted

    def _open(self, image: Any, labels: Any) -> bool:
        """Start a session; the one before is closed, its labels layer stays.

        Returns
        -------
        bool
            False if image or labels cannot be used; the reason was told.
        """
        self._use(None)
        self._refused = None
        try:
            with collector_at_rest():
                controller = Controller(
                    self._viewer,
                    image,
                    self.ui.model.model,
                    labels=labels,
                    workshop=self._workshop,
                    axes=self.ui.axes.axes_of(image),
                )
        except SamariError as error:
            self._refused = image
            notices.tell_error(error)
            self._refresh()
            return False
        self._use(controller)
        return True

    def _use(self, controller: Controller | None) -> None:
        old, self.controller = self.controller, controller
        if old is not None:
            old.changed.disconnect(self._refresh)
            old.closed.disconnect(self._on_controller_closed)
            old.outdated.disconnect(self._on_outdated)
            # It takes back what it is writing while the journal still takes lines.
            self.everything.use(None)
            old.close()
        if controller is not None:
            controller.changed.connect(self._refresh)
            controller.closed.connect(self._on_controller_closed)
            controller.outdated.connect(self._on_outdated)
            controller.hover = self.ui.hover.isChecked()
            controller.set_palette(self._settings.value.palette)
        self.everything.use(controller)
        self.propagate.use(controller)
        self.improve.use(controller)
        self.objects.use(controller)
        self.ui.target.use(controller)
        if not self._closed:
            self._list_targets()
            self._refresh()

    def _on_controller_closed(self) -> None:
        """Go on without an image: its layer was deleted."""
        self._use(None)
        self._soon.start()

    def _list_targets(self) -> None:
        """List the labels layers that objects can be added to."""
        overviews = [layer for layer in self._viewer.layers if OVERVIEW in layer.metadata]
        own = [self.everything.layer, *overviews]
        if self.controller is not None:
            own += [self.controller.preview, self.controller.brush_layer]
        self.ui.target.fill(own)

    # What is shown

    def _refresh(self) -> None:
        """Show the state of the controller."""
        ui, controller = self.ui, self.controller
        for widget in (ui.target, ui.click, ui.box, ui.plus, ui.minus, ui.save, ui.keys):
            widget.setEnabled(controller is not None)
        history = None if controller is None else controller.session.history
        ui.undo.setEnabled(history is not None and history.can_undo)
        ui.redo.setEnabled(history is not None and history.can_redo)
        pending = controller is not None and bool(controller.session.pending)
        ui.accept.setEnabled(pending)
        ui.discard.setEnabled(pending)
        ui.brush.setEnabled(pending)
        ui.target.refresh()
        ui.axes.refresh(controller)
        self._refresh_candidates()
        self._refresh_progress()
        renewal = "" if controller is None else controller.renewal
        ui.renew.setText(renewal)
        ui.renew.setVisible(bool(renewal))
        lost = "" if controller is None else controller.restorable
        ui.restore.setText(lost)
        ui.lost.setVisible(bool(lost))
        ui.python.setEnabled(history is not None and history.can_undo)
        if controller is None:
            ui.device.setText("")
            return
        ui.device.setText(controller.where or "not loaded yet")
        tool = {"points": ui.click, "shapes": ui.box}.get(controller.tool)
        tool = ui.brush if controller.brushing else tool
        for group, checked in (
            (ui.tools, tool),
            (ui.polarity, ui.minus if controller.negative else ui.plus),
        ):
            group.setExclusive(False)
            for button in group.buttons():
                button.setChecked(button is checked)
            group.setExclusive(True)

    def _refresh_candidates(self) -> None:
        candidates = None if self.controller is None else self.controller.candidates
        several = candidates is not None and len(candidates) > 1
        self.ui.previous.setEnabled(several)
        self.ui.next.setEnabled(several)
        if candidates is None:
            self.ui.candidate.setText("\u2013")
        else:
            self.ui.candidate.setText(
                f"{candidates.chosen + 1} of {len(candidates)}, score {candidates.score:.2f}"
            )

    def _refresh_progress(self) -> None:
        ui, controller = self.ui, self.controller
        text, done, total = self._download
        busy = bool(text)
        if not text and controller is not None:
            text, busy = controller.status, controller.busy
            done, total = controller.progress or (0, 0)
        ui.cancel.setEnabled(busy)
        ui.bar.show_share(done, total, busy)
        if not text:
            begin = "Open an image to begin." if self._ready else "Starting"
            text = begin if controller is None else _IDLE
        ui.status.setText(text)
