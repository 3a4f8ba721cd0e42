"""A stack of compressed TIFF pages, read as they are asked for."""

from __future__ import annotations

import math
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import os

    import tifffile
    from numpy.typing import NDArray


class LazyPages:
    """The pages of a TIFF series as one array, sliced with integers and slices.

    Attributes
    ----------
    shape : tuple of int
        The stack's axes, then those of a page.
    dtype : numpy.dtype
    ndim : int

    Notes
    -----
    The file stays open while this exists. May be used from several threads; they wait for each
    other.
    """

    def __init__(self, tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
        self.shape: tuple[int, ...] = tuple(series.shape)
        self.dtype: np.dtype[Any] = np.dtype(series.dtype)
        self.ndim = len(self.shape)
        self._series = series
        self._page_shape = tuple(series.keyframe.shape)
        self._stack_shape = self.shape[: self.ndim - len(self._page_shape)]
        self._lock = threading.Lock()
        self._close = weakref.finalize(self, tiff.close)

    @classmethod
    def of(cls, path: str | os.PathLike[str], number: int) -> LazyPages | None:
        """Return the pages of a series of a file; None if it is not laid out page by page."""
        import tifffile

        tiff = tifffile.TiffFile(path)
        series = tiff.series[number]
        page = tuple(series.keyframe.shape)
        stack = tuple(series.shape[: len(series.shape) - len(page)])
        if tuple(series.shape) != stack + page or math.prod(stack) != len(series.pages):
            tiff.close()
            return None
        return cls(tiff, series)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read the pages that `key` (integers and slices, one an axis or fewer) needs."""
        key = key if isinstance(key, tuple) else (key,)
        key += (slice(None),) * (self.ndim - len(key))
        depth = len(self._stack_shape)
        numbers = np.arange(math.prod(self._stack_shape)).reshape(self._stack_shape)[key[:depth]]
        pages = [self._page(int(number))[key[depth:]] for number in np.ravel(numbers)]
        return np.stack(pages).reshape(np.shape(numbers) + pages[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        return np.asarray(self[...,], dtype=dtype)

    def _page(self, number: int) -> NDArray[Any]:
        with self._lock:
            page = self._series.pages[number]
            if page is None:  # a plane that the microscope never wrote
                return np.zeros(self._page_shape, self.dtype)
            file = page.parent.filehandle
            if not file.closed:
                return page.asarray()
            file.open()  # another file of a series that is spread over several
            try:
                return page.asarray()
            finally:
                file.close()
