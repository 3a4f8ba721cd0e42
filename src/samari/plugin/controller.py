"""Joins one image layer, one Session and the layers that show it. The dock uses only this."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from samari.errors import SamariError
from samari.plugin import notices
from samari.plugin.controller_state import one_step
from samari.plugin.due_accepts import DueAccepts
from samari.plugin.hover import Hover
from samari.plugin.placement import measure
from samari.plugin.propagate_actions import PropagateActions
from samari.plugin.removal import take_away
from samari.plugin.saving import BackgroundSave
from samari.plugin.viewer_watch import ViewerWatch
from samari.plugin.viewers import unwrapped
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from samari.engine.events import SessionEvent
    from samari.plugin.jobs import Job


class Controller(PropagateActions):
    """Interactive segmentation of one image layer.

    Parameters
    ----------
    viewer : napari viewer
    layer : napari.layers.Image, optional
        By default the active layer, else the topmost image.
    model : str or path
        A zoo name that is on this machine, a folder or a weights file.
    labels : napari.layers.Labels, optional
        Layer to add objects to; by default a new one.
    workshop : Workshop, optional
        Threads and models to share; by default its own, closed with the controller.
    axes : str, optional
        One letter of TCZYX for each axis of the layer; by default what its axis labels say, else
        YX, ZYX, TZYX or TCZYX.

    Attributes
    ----------
    session : Session
    image : napari.layers.Image
    changed : Signal
        Emitted when anything that the dock shows may have changed.
    closed : Signal
        Emitted once, when the controller has let everything go.
    outdated : Signal
        Emitted when the layer shows another array: a new controller is needed.

    Raises
    ------
    InputError
        If there is no image, or it cannot be annotated.
    LabelsError
        If the labels layer cannot be written.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image | None = None,
        model: str | Path = "samari-tiny",
        *,
        labels: Labels | None = None,
        workshop: Workshop | None = None,
        axes: str = "",
    ) -> None:
        super().__init__(viewer, layer, model, labels, workshop, axes)
        self._accepting = False
        self._due = DueAccepts(self.session, self._prompts, self._accept_now)
        self.session.connect(self._on_session)
        self._hover = Hover(
            self, self._viewer, self._source, self.session, self._inference, self._preview
        )
        self._watch = ViewerWatch(
            self._viewer, self.image,
            self._on_view, self._encode_visible, self._on_removed, self._tell,
            self._on_moved, self._on_replaced,
        )  # fmt: skip
        self._bind_keys()
        self._on_view()
        self._encode_visible()

    @property
    def hover(self) -> bool:
        """Whether the contour of what a click would take follows the mouse."""
        return self._hover.enabled

    @hover.setter
    def hover(self, hover: bool) -> None:
        self._hover.enabled = hover
        self._tell()

    @property
    def hovered(self) -> int:
        """Label of the accepted object that is highlighted under the cursor; 0 for none."""
        return self._hover.label

    # What a user does; each of these has a key or a button

    def set_tool(self, kind: str) -> None:
        """Make the "points" or the "shapes" layer ready to draw on."""
        self._put_brush_away()
        layer = self._prompts.put_back(kind)
        self._bindings.bind(layer, kind)
        self._viewer.layers.selection.active = layer
        layer.mode = "add" if kind == "points" else "add_rectangle"
        self._tell()

    def toggle_tool(self) -> None:
        """Go from the click tool to the box tool, or back."""
        self.set_tool("shapes" if self.tool == "points" else "points")

    def toggle_polarity(self) -> None:
        """Let the next click take away from the object, or add to it again."""
        self._prompts.set_negative(not self.negative)
        self._tell()

    def next_candidate(self) -> None:
        """Take the next candidate mask."""
        self._cycle(1)

    def previous_candidate(self) -> None:
        """Take the previous candidate mask."""
        self._cycle(-1)

    def accept(self) -> list[int]:
        """Make the pending masks objects.

        If the model has not answered yet, it is done when it has; prompts added meanwhile belong
        to the next object.

        Returns
        -------
        list of int
            The new labels; empty if there was nothing to accept, or not yet.
        """
        if not self.session.pending:
            self._say("Nothing to accept yet: click on an object first")
            return []
        if self.session.requests() or self._prompts.sealed:
            self._prompts.seal()
            self._inference.ask()
            return []
        return self._accept_now()

    def discard(self) -> None:
        """Drop the pending prompts; while the brush is out, only what was painted."""
        if self.brushing:
            self._try(self._brush.cancel)
            self._end_brush()
            return
        self._drop_held()
        if self.session.pending:
            self._try(self.session.discard)

    def undo(self) -> None:
        """Take back the last step."""
        self._drop_held()
        self._labels.put_back()
        if not self._try(self.session.undo):
            self._say("Nothing to undo")

    def redo(self) -> None:
        """Do the last step again that was taken back."""
        if self.session.history.can_redo:
            self._drop_held()
        self._labels.put_back()
        if not self._try(self.session.redo):
            self._say("Nothing to redo")

    def show_keys(self) -> None:
        """Show the cheat sheet."""
        from samari.plugin.cheat_sheet import show_cheat_sheet

        self._sheet = show_cheat_sheet()

    def cancel(self) -> None:
        """Stop what the model is doing; prompts and objects stay."""
        self._drop_held()
        if self.propagation.busy:
            # It says itself what it has done.
            self.propagation.cancel()
        else:
            self._say("Cancelled. Your next click starts again")
        self._inference.cancel()

    def set_model(self, model: str | Path) -> None:
        """Go on with another model that is on this machine; accepted objects stay as they are."""
        self.propagation.cancel()
        self._segmenter = self._workshop.segmenter(model)
        self._inference.set_segmenter(self._segmenter)
        self.session.segmenter = self._segmenter  # type: ignore[assignment]
        self._inference.ask()
        self._encode_visible()

    def take_over(self, other: Controller) -> None:
        """Continue with the pending prompts of a controller of the same image, now closed."""
        pending = other.session.pending
        if other.labels_layer is not self.labels_layer:
            pending = tuple(replace(obj, replaces=None, scope=()) for obj in pending)
        self._try(lambda: self.session.set_pending(pending))

    def save_in_background(self, path: str | Path) -> None:
        """Save the labels on the I/O thread; the status tells when it is done."""
        save = BackgroundSave(self.session, path, self._workshop.files, self._journal.put_beside)
        save.start(self._on_saved, self._on_save_failed)
        self._say("")

    def wait(self, timeout: float = 30.0) -> bool:
        """Process events until the model has answered everything; False after `timeout` seconds.

        For scripts and tests; with a window on screen nobody has to wait.
        """
        self._watch.settle()
        return self._workshop.inference.wait(
            timeout, lambda: self._due.settled and not self.propagation.busy
        )

    def close(self) -> None:
        """Remove the prompt layers and the preview, stop everything. The labels layer stays."""
        if not self._open:
            return
        self._open = False
        self.propagation.close()
        self._due.stop()
        self.session.disconnect(self._on_session)
        self._hover.close()
        self._watch.close()
        self._inference.close()
        self._count.close()
        self._brush.stop()
        self._bindings.unbind_all()
        self._prompts.close()
        self._labels.close()
        self._journal.close()
        take_away(self._viewer, self.points, self.shapes, self.preview)
        if self._owns_workshop:
            self._workshop.close()
        self.closed.emit()

    # What happens

    def _bind_keys(self) -> None:
        taken = self._bindings.bind(self._viewer, "viewer")
        self._bindings.bind(self.labels_layer, "labels")
        self._bindings.bind(self.shapes, "shapes")
        self.set_tool("points")
        if taken:
            names = ", ".join(key.label for key in taken)
            notices.tell(
                f"Another plugin uses {names}. Select a layer of Samari to use its own keys."
            )

    def _on_session(self, event: SessionEvent) -> None:
        """Show what changed in the Session."""
        self._labels.on_event(event)
        self._count.on_event(event)
        if event.kind == "objects":
            self.objects_changed.emit(event.labels)
        if self._brush.on_event(event):
            self._end_brush()
        if event.kind == "pending":
            if not (self._prompts.reading or self._accepting):
                self._prompts.write()
            self._note = ""
            self._inference.ask()
        self._due.on_event(event)
        if event.kind in ("pending", "answer"):
            self._preview.show(self._plane)
        self._tell()

    def _on_view(self) -> None:
        """Follow the plane on screen."""
        view = self.session.view
        self._plane = self._visible_plane()
        if self.brushing and self._brush.plane != self._plane:
            self._end_brush()
        if self._plane is not None:
            self.session.view = self._plane.view
            self._prompts.set_view(self._plane.view)
        self._preview.show(self._plane)
        if self._source.channel_axis is not None or self.session.view != view:
            self._tell()

    def _on_moved(self) -> None:
        """Go with the image to its new place, and to its new size of voxels."""
        self._try(lambda: measure(self.session, self._source))
        for shown in (self._prompts, self._labels, self._preview, self._brush):
            shown.follow_image()

    def _encode_visible(self) -> None:
        if self._plane is not None:
            self._inference.encode(self._plane, self._looked_at(self._plane))

    def _on_removed(self, layer: Any) -> None:
        """Go on without a layer that the user deleted."""
        if layer == self.image:
            self.close()
        elif layer == self.labels_layer:
            count = len(self.session.objects)
            if count:
                self._say(f"{count} objects are hidden, not lost. Undo or accept shows them")
        elif layer == self._brush.layer:
            self._end_brush()
        elif self._prompts.replace_removed(layer):
            self._bindings.unbind(layer)
            self._bindings.bind(self.points, "points")
            self._bindings.bind(self.shapes, "shapes")
            self._due.check()
            self._say("Prompts were removed with their layer. Choose a tool to go on")

    def _cycle(self, step: int) -> None:
        candidates = self.candidates
        if candidates is None:
            self._say("No candidate masks yet: click on an object first")
            return
        count = len(candidates)
        if count == 1:
            self._say("There is only one candidate for these prompts")
            return
        self._try(lambda: self.session.choose((candidates.chosen + step) % count))

    @one_step
    def _accept_now(self) -> list[int]:
        self._accepting = True
        self._labels.put_back()
        try:
            labels = self.session.accept()
        except SamariError as error:
            self._drop_held()
            self._on_error(error)
            return []
        finally:
            self._accepting = False
        if self._prompts.sealed:
            self._prompts.release()
        else:
            self._prompts.write()
        self._last = labels[-1] if labels else self._last
        self._say(notices.accepted(labels))
        self._after_accept(labels)
        return labels

    def _drop_held(self) -> None:
        """Forget an accept, and what was to follow it, that waits for its answer."""
        self._prompts.drop_held()
        self._then_propagate = False

    def _on_save_failed(self, job: Job, error: BaseException) -> None:
        self._on_error(error)


def annotate(
    viewer: ViewerModel,
    layer: Image | None = None,
    model: str | Path = "samari-tiny",
    axes: str = "",
) -> Controller:
    """Start interactive segmentation of an image layer, as the dock does.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : napari.layers.Image, optional
        By default the active layer, else the topmost image.
    model : str or path
        A zoo name that is on this machine, a folder or a weights file.
    axes : str, optional
        One letter of TCZYX for each axis of the layer, e.g. "CZYX"; by default what its axis
        labels say, else YX, ZYX, TZYX or TCZYX.

    Returns
    -------
    Controller
        Call its `close` when done; deleting the image layer or closing the viewer does it too.

    Raises
    ------
    InputError
        If there is no image, or it cannot be annotated.
    """
    workshop = Workshop()
    controller = Controller(viewer, layer, model, workshop=workshop, axes=axes)
    controller.closed.connect(workshop.close)
    # A window closed with the image in it removes no layer: the threads end with the viewer.
    weakref.finalize(unwrapped(viewer), workshop.close)
    return controller
