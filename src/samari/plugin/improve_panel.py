"""The part of the dock in which the model learns from the user's labels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from samari.errors import Cancelled
from samari.plugin import notices
from samari.plugin.dock_widgets import ProgressBar, button, row, text_label
from samari.plugin.jobs import Job, Priority

if TYPE_CHECKING:
    from collections.abc import Generator

    from samari.engine.planes import PlaneIndex
    from samari.engine.session import Session
    from samari.plugin.controller import Controller
    from samari.plugin.worker import JobThread
    from samari.train.finetune import Progress
    from samari.train.improve import Improved

#: A click waits for one step at most, so few objects are prompted in each.
_PROMPTS, _STEPS, _MINUTES = 2, 600, 10.0
#: Planes that are learnt from at most.
_PLANES = 40


class ImprovePanel(QWidget):
    """Fine-tunes a copy of the model on what is labelled, while the user goes on.

    It runs on the inference thread when nothing else is to be done there, a step at a time. The
    model in use changes only when the user takes the new one.

    Parameters
    ----------
    thread, files : JobThread
        The inference thread, and the one for files.

    Attributes
    ----------
    taken : Signal(str)
        The user takes the improved model, which now has this name.
    """

    taken = Signal(str)

    def __init__(self, thread: JobThread, files: JobThread) -> None:
        super().__init__()
        self._thread, self._files = thread, files
        self._controller: Controller | None = None
        self._job: Job | None = None
        self._saving: Job | None = None
        self._improved: Improved | None = None
        self._image = ""
        self._newest: list[Progress] = []
        self.start = button("Improve the model with my labels")
        self.start.setToolTip(
            "A copy of the model learns from what is labelled on the planes you worked on, while "
            "you go on. A part of the objects is held out to see whether it is better"
        )
        self.bar, self.cancel = ProgressBar(), button("Cancel")
        self.cancel.setToolTip("Stop; the model stays as it is")
        self.note = text_label("")
        self.take, self.drop = button("Use it"), button("Drop")
        self.take.setToolTip("Keep the improved model under a name of its own, and go on with it")
        self.drop.setToolTip("Forget it; the model stays as it is")
        self._progress, self._choice = row(self.bar, self.cancel), row(self.take, self.drop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.start, self._progress, self.note, self._choice):
            layout.addWidget(widget)
        self.start.clicked.connect(self._on_start)
        self.cancel.clicked.connect(self._on_cancel)
        self.take.clicked.connect(self._on_take)
        self.drop.clicked.connect(self._on_drop)
        self._refresh()

    @property
    def running(self) -> bool:
        """Whether a model is learning."""
        return self._job is not None

    def use(self, controller: Controller | None) -> None:
        """Offer to learn from another controller's labels; what runs goes on."""
        self._controller = controller
        self._refresh()

    def _on_start(self) -> None:
        controller = self._controller
        if controller is None or self.running or self._improved is not None:
            return
        self._newest.clear()
        self._image = controller.image.name
        self.note.setText("")
        session = controller.session
        planes = planes_of(session, controller.plane)
        self._job = Job(
            partial(_steps, session, planes, session.segmenter.requested, self._newest),
            Priority.LEARNING,
            done=self._on_done,
            failed=self._on_failed,
            progress=self._on_progress,
        )
        self._thread.submit(self._job)
        self.bar.show_share(0, 0)
        self._refresh()

    def _on_cancel(self) -> None:
        if self._job is not None:
            self._thread.cancel(self._job)

    def _on_progress(self, job: Job, done: int, total: int) -> None:
        self.bar.show_share(done, total)
        newest = self._newest[-1] if self._newest else None
        if newest is not None and newest.best is not None:
            best = newest.best
            self.note.setText(f"Held out: one click {best.click:.2f}, box {best.box:.2f}")

    def _on_done(self, job: Job, improved: Improved) -> None:
        self._job = None
        before, after = improved.result.before, improved.result.after
        if improved.result.gained:
            self._improved = improved
            self.note.setText(
                f"On {after.clicked} objects held out: one click {before.click:.2f} \u2192 "
                f"{after.click:.2f}, box {before.box:.2f} \u2192 {after.box:.2f}"
            )
        else:
            self.note.setText(
                f"Nothing gained on {before.clicked} objects held out: the model stays as it is. "
                "More labels may help"
            )
        self._refresh()

    def _on_failed(self, job: Job, error: BaseException) -> None:
        self._job = None
        self.note.setText("Stopped; the model is as it was")
        if not isinstance(error, Cancelled):
            self.note.setText("")
            notices.tell_error(error)
        self._refresh()

    def _on_take(self) -> None:
        if self._improved is not None and self._saving is None:
            self._saving = Job(
                partial(_keep_steps, self._improved, self._image),
                done=self._on_kept,
                failed=self._on_not_kept,
            )
            self._files.submit(self._saving)
            self._refresh()

    def _on_kept(self, job: Job, name: str) -> None:
        self._saving = self._improved = None
        self.note.setText(f"The model is {name} now; the one before is in the list as ever")
        self._refresh()
        self.taken.emit(name)

    def _on_not_kept(self, job: Job, error: BaseException) -> None:
        """Tell why it could not be saved; it can be tried again."""
        self._saving = None
        notices.tell_error(error)
        self._refresh()

    def _on_drop(self) -> None:
        self._improved = None
        self.note.setText("")
        self._refresh()

    def _refresh(self) -> None:
        saving = self._saving is not None
        idle = self._controller is not None and not self.running
        # What was gained is taken or dropped first.
        self.start.setEnabled(idle and self._improved is None)
        self._progress.setVisible(self.running)
        self._choice.setVisible(self._improved is not None)
        self.take.setEnabled(not saving)
        self.drop.setEnabled(not saving)
        self.note.setVisible(bool(self.note.text()) or self.running)


def planes_of(session: Session, visible: PlaneIndex | None) -> list[PlaneIndex]:
    """Return the planes that somebody worked on: those of accepted objects, and the visible one.

    Parameters
    ----------
    session : Session
    visible : PlaneIndex or None

    Returns
    -------
    list of PlaneIndex
        Of one view: the visible one, or that of most planes. At most forty, evenly chosen.
    """
    found = {part.plane: None for record in session.objects.values() for part in record.parts}
    views = [plane.view for plane in found]
    view = max(views, key=views.count) if visible is None and views else session.view
    if visible is not None:
        found[visible], view = None, visible.view
    planes = sorted((one for one in found if one.view == view), key=lambda plane: plane.index)
    if len(planes) <= _PLANES:
        return planes
    return [planes[round(i * (len(planes) - 1) / (_PLANES - 1))] for i in range(_PLANES)]


def _steps(
    session: Session, planes: list[PlaneIndex], model: str, newest: list[Progress], job: Job
) -> Generator[tuple[int, int], None, Improved]:
    """Learn, on the inference thread: the trainer is imported there, too."""
    yield 0, 0
    from samari.train.finetune import FinetuneConfig
    from samari.train.improve import improve_steps

    def told(progress: Progress) -> None:
        newest[:] = [progress]

    config = FinetuneConfig(prompts=_PROMPTS, steps=_STEPS, minutes=_MINUTES)
    return (yield from improve_steps(session, planes, model, config, told))


def _keep_steps(improved: Improved, image: str, job: Job) -> Generator[tuple[int, int], None, str]:
    yield 0, 1
    from samari.train.improve import keep

    return keep(improved, image)
