"""The parts of a controller, and what they say."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from qtpy.QtCore import Signal

from samari.plugin import notices
from samari.plugin.inference import Inference
from samari.plugin.journal_actions import JournalActions
from samari.plugin.labels_window import labels_shown
from samari.plugin.preview import Preview
from samari.plugin.prompts_sync import PromptsSync
from samari.plugin.source import ImageSource
from samari.plugin.viewers import choose_image, unwrapped
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Points, Shapes
    from numpy.typing import NDArray

    from samari.engine.planes import PlaneIndex
    from samari.engine.prediction import Prediction


P = ParamSpec("P")
R = TypeVar("R")


def one_step(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method of a `ControllerState` tell once, at its end, that something changed.

    Else what shows it is drawn again for every event of the session, five times for an undo.
    """

    @wraps(method)
    def step(*args: P.args, **kwargs: P.kwargs) -> R:
        controller: Any = args[0]
        controller._steps += 1
        try:
            return method(*args, **kwargs)
        finally:
            controller._steps -= 1
            if controller._untold and not controller._steps:
                controller._untold = False
                controller.changed.emit()

    return step


class ControllerState(JournalActions):
    """One image layer, one Session, the layers that show it, and the questions to the model.

    The parameters are those of `Controller`.
    """

    changed = Signal()
    closed = Signal()
    outdated = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Image | None,
        model: str | Path,
        labels: Labels | None,
        workshop: Workshop | None,
        axes: str = "",
    ) -> None:
        super().__init__()
        self._viewer = viewer = unwrapped(viewer)
        self._source = source = ImageSource(unwrapped(layer or choose_image(viewer)), axes)
        labels = unwrapped(labels)
        self._made_labels = labels is None
        self._owns_workshop = workshop is None
        self._workshop = Workshop() if workshop is None else workshop
        self._segmenter = self._workshop.segmenter(model)
        self._open = True
        self._note = ""
        self._steps, self._untold = 0, False
        self._plane: PlaneIndex | None = None
        self._limits_at_opening = source.layer.contrast_limits
        options = {
            "image": source.data,
            "axes": source.axes,
            "rgb": bool(source.layer.rgb),
            "channel": source.channel(viewer),
            "contrast_limits": source.contrast_limits(),
            "segmenter": self._segmenter,
            "name": source.layer.name,
            "coarser": source.coarser,
            **source.voxels(),
        }
        self._open_session(labels, options)
        self._inference = Inference(
            self.session, self._segmenter, self._workshop.inference, self._tell, self._on_error
        )
        plane = self._visible_plane()
        near = self._looked_at(plane)
        self._inference.warm_up(plane, near)
        self._labels = labels_shown(viewer, source, self.session, self._on_replaced, labels)
        self._journal.remember_on(self._labels.layer)
        self._preview = Preview(viewer, source, self.session)
        self._preview.reserve(plane, near)
        self._preview.insert()
        self._prompts = PromptsSync(
            viewer, source, self.session, self._on_refused, self._inference.expect
        )

    @property
    def image(self) -> Image:
        """The image layer."""
        return self._source.layer

    @property
    def source(self) -> ImageSource:
        """The image layer's axes, its planes, and its place in the world."""
        return self._source

    @property
    def labels_unused(self) -> bool:
        """Whether the labels layer is one of ours in which nothing was ever done."""
        history, census = self.session.history, self.session.store.census
        return self._made_labels and not (history.can_undo or history.can_redo or list(census))

    @property
    def points(self) -> Points:
        """The layer of point prompts."""
        return self._prompts.points

    @property
    def shapes(self) -> Shapes:
        """The layer of boxes and outlines."""
        return self._prompts.shapes

    @property
    def labels_layer(self) -> Labels:
        """The layer of the result; of a very large plane, the part in the middle of the screen."""
        return self._labels.layer

    @property
    def label_helpers(self) -> tuple[Labels, ...]:
        """Layers that show labels beside `labels_layer` and cannot be chosen instead of it."""
        return self._labels.helpers

    def to_labels(self, world: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the data coordinates of all labels at a place in the world."""
        return self._labels.to_data(world)

    @property
    def plane(self) -> PlaneIndex | None:
        """The plane on screen; None where none is, in 3D for instance."""
        return self._plane

    @property
    def preview(self) -> Labels:
        """The layer of the pending masks."""
        return self._preview.layer

    @property
    def is_open(self) -> bool:
        """False after `close`."""
        return self._open

    @property
    def tool(self) -> str:
        """The active tool: "points", "shapes", or "" when another layer is active."""
        active = self._viewer.layers.selection.active
        if active is None:
            return ""
        return "points" if active == self.points else "shapes" if active == self.shapes else ""

    @property
    def negative(self) -> bool:
        """Whether the next click takes away from the object."""
        return self._prompts.negative

    @property
    def candidates(self) -> Prediction | None:
        """Candidate masks of the newest prompts, None while there are none."""
        pending = self.session.pending
        return self.session.prediction(pending[-1].newest) if pending else None

    @property
    def status(self) -> str:
        """What is going on, in a few words."""
        return self._inference.text or self._note

    @property
    def progress(self) -> tuple[int, int] | None:
        """Encoder blocks done and in all, None when nothing is computed."""
        return self._inference.progress

    @property
    def busy(self) -> bool:
        """Whether the model is at work for this image."""
        return self._inference.busy

    @property
    def renewal(self) -> str:
        """What a new session would do differently, in a few words; empty if nothing.

        Channel and contrast are those of the opening. What is on screen may have changed since.
        """
        channel = self._source.channel(self._viewer)
        if channel != self.session.planes.channel:
            return f"Use channel {channel}"
        if not self.image.rgb and self.image.contrast_limits != self._limits_at_opening:
            return "Use the new contrast"
        return ""

    @property
    def where(self) -> str:
        """Device the model computes on; empty before it is loaded."""
        return self._segmenter.where

    def _visible_plane(self) -> PlaneIndex | None:
        """Return the plane on screen, None if the image shows none."""
        return self._source.shown_plane(self._viewer, self.session.planes)

    def _looked_at(self, plane: PlaneIndex | None) -> tuple[float, float]:
        """Return the (row, column) of the plane on screen that the user looks at."""
        if plane is None:
            return 0.0, 0.0
        return self._source.looked_at(self._viewer, self.session.planes, plane)

    def _on_replaced(self) -> None:
        """Tell that image or labels got another array: a new Session is needed."""
        self._inference.cancel()
        self._say("The data were replaced")
        self.outdated.emit()

    def _on_refused(self, reason: str) -> None:
        notices.warn(notices.sentence(reason))

    def _on_error(self, error: BaseException) -> None:
        self._note = ""
        notices.tell_error(error)
        self._tell()

    def _say(self, note: str) -> None:
        self._note = note
        self._tell()

    def _tell(self, event: Any = None) -> None:
        """Tell that something changed: now, or at the end of the step that is being done."""
        if self._steps:
            self._untold = True
        else:
            self.changed.emit()
