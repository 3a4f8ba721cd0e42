"""What outlives one image: the two threads, the loaded models and their embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samari.engine.embedding import EmbeddingCache
from samari.plugin.models import DeferredSegmenter
from samari.plugin.worker import inference_thread, io_thread

if TYPE_CHECKING:
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

    def segmenter(self, model: str | Path) -> DeferredSegmenter:
        """Return the segmenter of a model; only the one asked for last stays in memory."""
        key = str(model)
        if key not in self._segmenters:
            self._segmenters.clear()
            self._segmenters[key] = DeferredSegmenter(model, cache=self._cache)
        return self._segmenters[key]

    def close(self) -> None:
        """End both threads without waiting for them, and let go of models and embeddings."""
        self.inference.close()
        self.files.close()
        self._segmenters.clear()
        self._cache.clear()
