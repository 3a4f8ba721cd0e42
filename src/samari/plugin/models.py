"""Models in the plugin: loaded on the inference thread, never while the window waits."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from samari.plugin.pace import collector_at_rest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from samari.engine.embedding import EmbeddingCache
    from samari.engine.predict import Segmenter
    from samari.plugin.jobs import Job


class DeferredSegmenter:
    """Stands for a `Segmenter` that is built when it is first used, in the thread that uses it.

    A Session can be opened with it at once. Everything a `Segmenter` has is passed through.

    Parameters
    ----------
    model : str or path
        A zoo name, a folder or a weights file that is on this machine.
    device, dtype, cache
        See `Segmenter`.
    """

    def __init__(
        self,
        model: str | Path = "samari-tiny",
        device: str = "auto",
        dtype: str = "auto",
        cache: EmbeddingCache | None = None,
    ) -> None:
        self.requested = str(model)
        self._arguments = (model, device, dtype, cache)
        self._lock = Lock()
        self._segmenter: Segmenter | None = None

    @property
    def loaded(self) -> bool:
        """True once the weights are in memory. Never waits."""
        return self._segmenter is not None

    @property
    def where(self) -> str:
        """Device and precision in a few words; empty before the model is loaded."""
        if self._segmenter is None:
            return ""
        device = self._segmenter.device.upper()
        precision = self._segmenter.dtype
        return device if precision == "float32" else f"{device}, {precision}"

    def load(self) -> Segmenter:
        """Return the segmenter; the first call loads it, which takes seconds.

        Raises
        ------
        ModelError
            If the model cannot be found or loaded. The next call tries again.
        """
        with self._lock:
            if self._segmenter is None:
                model, device, dtype, cache = self._arguments
                with collector_at_rest():
                    from samari.engine.predict import Segmenter

                    self._segmenter = Segmenter(model, device, dtype, cache=cache)
            return self._segmenter

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on to the segmenter."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.load(), name)


def load_steps(segmenter: DeferredSegmenter, job: Job) -> Generator[tuple[int, int], None, None]:
    """Load a model as a job of one step."""
    yield 0, 1
    segmenter.load()
