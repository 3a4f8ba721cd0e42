"""The list of models in the dock: which there are, what for, and the download of those not here."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QLabel, QVBoxLayout, QWidget

from samari.engine.model_list import MODELS, added, available, resolve
from samari.plugin import notices
from samari.plugin.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Generator

    from samari.plugin.worker import JobThread


class ModelChoice(QWidget):
    """A combo box of models and a line about the chosen one.

    Choosing a model that is not on this machine downloads it on the I/O thread; the one before
    stays in use until it has come.

    Parameters
    ----------
    files : JobThread
    model : str
        Chosen at first.

    Attributes
    ----------
    ready : Signal(str)
        A model was chosen, and is on this machine.
    progress : Signal(str, int, int)
        What is being downloaded, bytes done and in all; the text is empty when it has ended.
    model : str
        The model in use.
    """

    ready = Signal(str)
    progress = Signal(str, "qint64", "qint64")

    def __init__(self, files: JobThread, model: str) -> None:
        super().__init__()
        self.model = model
        self._files = files
        self._download: Job | None = None
        self._wanted = ""
        self.combo = QComboBox()
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.combo.setMinimumContentsLength(12)
        self.note = QLabel()
        self.note.setWordWrap(True)
        # A low window would cut it; all that the list says fits into two lines.
        self.note.setMinimumHeight(2 * self.note.fontMetrics().lineSpacing())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.combo)
        layout.addWidget(self.note)
        self._fill()
        self.combo.activated.connect(self._on_activated)

    @property
    def downloading(self) -> bool:
        """Whether a model is on its way."""
        return self._download is not None

    def cancel(self) -> None:
        """Stop the download; what came so far is kept for the next attempt."""
        if self._download is not None:
            self._files.cancel(self._download)

    def choose(self, name: str) -> None:
        """Go on with a model that is on this machine, as if the user had chosen it."""
        self.cancel()
        self._use(name)

    def _fill(self) -> None:
        self.combo.clear()
        for name in dict.fromkeys((self.model, *MODELS, *added())):
            here = name == self.model or available(name)
            info = MODELS.get(name)
            text = name if here or info is None else f"{name}  (download {_size(info.size_bytes)})"
            self.combo.addItem(text, name)
            if info is not None:
                self.combo.setItemData(
                    self.combo.count() - 1, info.good_for, Qt.ItemDataRole.ToolTipRole
                )
        self._show(self.model)

    def _show(self, name: str) -> None:
        self.combo.setCurrentIndex(self.combo.findData(name))
        info = MODELS.get(name)
        self.note.setText("" if info is None else notices.sentence(info.good_for))
        self.note.setVisible(info is not None)

    def _on_activated(self, index: int) -> None:
        name = str(self.combo.itemData(index))
        self.cancel()
        if name == self.model:
            self._show(name)
        elif available(name):
            self._use(name)
        else:
            self._fetch(name)

    def _use(self, name: str) -> None:
        self.model = name
        self._fill()
        self.ready.emit(name)

    def _fetch(self, name: str) -> None:
        self._show(name)
        self._wanted = name
        self._download = Job(
            partial(_download_steps, name),
            done=self._on_downloaded,
            failed=self._on_failed,
            progress=self._on_progress,
        )
        self._files.submit(self._download)
        self.progress.emit(f"Downloading {name}", 0, 0)

    def _on_progress(self, job: Job, done: int, total: int) -> None:
        if job is self._download:
            self.progress.emit(f"Downloading {self._wanted}", done, total)

    def _on_downloaded(self, job: Job, result: object) -> None:
        if job is self._download:
            self._download = None
            self.progress.emit("", 0, 0)
            self._use(self._wanted)

    def _on_failed(self, job: Job, error: BaseException) -> None:
        if job is self._download:
            self._download = None
            self.progress.emit("", 0, 0)
            self._show(self.model)
        notices.tell_error(error)


def _download_steps(name: str, job: Job) -> Generator[tuple[int, int], None, None]:
    """Download a model as one long step that reports by itself."""
    yield 0, 0
    resolve(name, progress=job.report, cancel=lambda: job.cancel_requested)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
