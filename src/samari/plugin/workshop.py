"""What outlives one image: the two threads, the loaded models and their embeddings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from samari.engine.embedding import EmbeddingCache
from samari.plugin.jobs import Job, Priority
from samari.plugin.models import DeferredSegmenter, load_steps
from samari.plugin.worker import inference_thread, io_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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

    def configure(self, device: str, precision: str, cache_bytes: int) -> bool:
        """Choose where models compute, and how much memory encoded planes may take.

        Returns
        -------
        bool
            Whether models have to be asked for again, because they shall compute elsewhere.
        """
        self._cache.limit(cache_bytes)
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
        """End both threads without waiting for them, and let go of models and embeddings."""
        self.inference.close()
        self.files.close()
        self._segmenters.clear()
        self._cache.clear()
