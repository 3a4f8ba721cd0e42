"""What outlives one image: the two threads, the loaded models and their embeddings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from samari.engine.embedding import EmbeddingCache
from samari.engine.embedding_files import EmbeddingFiles
from samari.plugin import notices
from samari.plugin.jobs import Job, Priority
from samari.plugin.models import DeferredSegmenter, load_steps
from samari.plugin.saving import carry_through
from samari.plugin.worker import inference_thread, io_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from samari.plugin.jobs import JobLoop


class Workshop:
    """The threads and models of one dock, or of one `annotate`.

    Switching the image keeps the model loaded and the planes encoded.

    Attributes
    ----------
    inference, files : JobThread
        For torch; for downloads and saves.
    """

    def __init__(self) -> None:
        self.inference = inference_thread()
        self.files = io_thread()
        self._cache = EmbeddingCache()
        self._segmenters: dict[str, DeferredSegmenter] = {}
        self._place = ("auto", "auto")

    def configure(self, device: str, precision: str, cache_bytes: int, disk_bytes: int = 0) -> bool:
        """Choose where models compute, and how much encoded planes may take.

        Parameters
        ----------
        device, precision : str
            See `Segmenter`.
        cache_bytes : int
            In memory.
        disk_bytes : int
            On the disk; with 0 nothing is written there, or read.

        Returns
        -------
        bool
            Whether models have to be asked for again, because they shall compute elsewhere.
        """
        self._cache.limit(cache_bytes)
        if not disk_bytes:
            self._cache.files = None
        elif self._cache.files is None:
            self._cache.files = _files(self.files.loop, disk_bytes)
        else:
            self._cache.files.max_bytes = disk_bytes
        if (device, precision) == self._place:
            return False
        self._place = device, precision
        self._segmenters.clear()
        return True

    def segmenter(self, model: str | Path) -> DeferredSegmenter:
        """Return the segmenter of a model; only the one asked for last stays in memory."""
        key = str(model)
        if key not in self._segmenters:
            self._segmenters.clear()
            self._segmenters[key] = DeferredSegmenter(model, *self._place, cache=self._cache)
        return self._segmenters[key]

    def warm_up(self, model: str | Path, ready: Callable[[], None]) -> None:
        """Begin to load torch and a model; tell when it is done, or has failed.

        Both need Python's lock most of the time, as does the building of layers: side by side all
        take twice as long, and the encoder, which needs no lock, starts late. A model that cannot
        be loaded is told of when it is asked.
        """
        self.inference.submit(
            Job(
                partial(load_steps, self.segmenter(model)),
                Priority.VISIBLE,
                done=lambda job, result: ready(),
                failed=lambda job, error: ready(),
            )
        )

    def close(self) -> None:
        """End both threads without waiting for them, and let go of models and embeddings.

        Saves are carried through before theirs ends.
        """
        self.inference.close()
        carry_through(self.files)
        self.files.close()
        self._segmenters.clear()
        self._cache.clear()


def _files(loop: JobLoop, max_bytes: int) -> EmbeddingFiles:
    """Return embeddings on disk that the I/O thread writes.

    They are put by the inference thread, so they hold nothing of Qt.
    """
    problems: list[str] = []

    def tell(job: Job, result: Any) -> None:
        while problems:
            notices.warn(notices.sentence(problems.pop()))

    def write_soon(write: Callable[[], None]) -> None:
        def steps(job: Job) -> Generator[tuple[int, int], None, None]:
            write()
            yield 1, 1

        # What is not written, because the thread was closed, is encoded again.
        loop.submit(Job(steps, done=tell))

    return EmbeddingFiles(max_bytes=max_bytes, later=write_soon, told=problems.append)
