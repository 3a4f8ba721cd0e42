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

#: A page that can only be decoded as a whole is kept for its next tile, up to so many bytes.
_KEPT = 2**29


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
    other. Of a compressed page those strips or tiles are decoded that hold what is asked for.
    """

    def __init__(self, tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
        self.shape: tuple[int, ...] = tuple(series.shape)
        self.dtype: np.dtype[Any] = np.dtype(series.dtype)
        self.ndim = len(self.shape)
        self._series = series
        self._page_shape = tuple(series.keyframe.shape)
        self._stack_shape = self.shape[: self.ndim - len(self._page_shape)]
        self._lock = threading.Lock()
        self._kept: tuple[int, NDArray[Any]] | None = None
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
        at = key.index(...) if ... in key else len(key)
        left_out = (slice(None),) * (self.ndim - sum(one is not ... for one in key))
        key = key[:at] + left_out + key[at + 1 :]
        depth = len(self._stack_shape)
        numbers = np.arange(math.prod(self._stack_shape)).reshape(self._stack_shape)[key[:depth]]
        pages = [self._read(int(number), key[depth:]) for number in np.ravel(numbers)]
        return np.stack(pages).reshape(np.shape(numbers) + pages[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        return np.asarray(self[...], dtype=dtype)

    def _read(self, number: int, key: tuple[Any, ...]) -> NDArray[Any]:
        """Read a part of a page."""
        with self._lock:
            page = self._series.pages[number]
            if page is None:  # a plane that the microscope never wrote
                return np.zeros(self._page_shape, self.dtype)[key]
            file = page.parent.filehandle
            if not file.closed:
                return self._part(page, number, key)
            file.open()  # another file of a series that is spread over several
            try:
                return self._part(page, number, key)
            finally:
                file.close()

    def _part(self, page: Any, number: int, key: tuple[Any, ...]) -> NDArray[Any]:
        if self._kept is not None and self._kept[0] == number:
            return self._kept[1][key]
        if page.keyframe.is_memmappable:
            mapped: NDArray[Any] = page.asarray(out="memmap")
            return mapped[key]
        spans = [_span(one, length) for one, length in zip(key, self._page_shape, strict=True)]
        part = _decoded_part(page, [(low, high) for low, high, _ in spans])
        if part is not None:
            return part[tuple(within for *_, within in spans)]
        whole: NDArray[Any] = page.asarray()
        asked = math.prod(high - low for low, high, _ in spans)
        if asked < whole.size and whole.nbytes <= _KEPT:
            self._kept = number, whole
        return whole[key]


def _span(key: Any, length: int) -> tuple[int, int, Any]:
    """Return the first index that a key selects, that behind the last, and the key from there."""
    if not isinstance(key, slice):
        at = range(length)[key]
        return at, at + 1, 0
    chosen = range(length)[key]
    if not chosen:
        return 0, 0, slice(0)
    low, high = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1]) + 1
    stop = chosen.stop - low
    return low, high, slice(chosen.start - low, stop if stop >= 0 else None, chosen.step)


def _decoded_part(page: Any, spans: list[tuple[int, int]]) -> NDArray[Any] | None:
    """Decode a part of a page, (first, behind the last) along each of its axes.

    Returns
    -------
    ndarray or None
        None where it takes every strip or tile of the page, or the file does not have all of them.
    """
    first = page.keyframe
    if first.is_contiguous:
        return None
    # All pages have five axes in tifffile: separate samples, depth, rows, columns, samples.
    places = {"S": 4 if first.axes.endswith("S") else 0, "Z": 1, "Y": 2, "X": 3}
    bounds = [(0, length) for length in first.shaped]
    for letter, span in zip(first.axes, spans, strict=True):
        bounds[places[letter]] = span
    if first.is_tiled:
        sides = (1, first.tiledepth, first.tilelength, first.tilewidth)
    else:
        sides = (1, 1, first.rowsperstrip, first.imagewidth)
    grid = [-(-length // side) for length, side in zip(first.shaped, sides, strict=False)]
    touched = [
        slice(low // side, -(-high // side))
        for (low, high), side in zip(bounds, sides, strict=False)
    ]
    numbers = np.arange(math.prod(grid)).reshape(grid)[tuple(touched)].ravel().tolist()
    if len(numbers) == math.prod(grid) or math.prod(grid) > len(page.dataoffsets):
        return None
    out = np.empty([high - low for low, high in bounds], first.dtype)
    read = page.parent.filehandle.read_segments(
        [page.dataoffsets[i] for i in numbers], [page.databytecounts[i] for i in numbers]
    )
    for data, i in read:
        values, begin, shape = first.decode(
            data, numbers[i], jpegtables=page.jpegtables, jpegheader=first.jpegheader
        )
        sizes = (1, *(shape if values is None else values.shape))
        cut = [
            (max(low, at), min(high, at + size), low, at)
            for (low, high), at, size in zip(bounds, begin, sizes, strict=True)
        ]
        target = tuple(slice(low - zero, high - zero) for low, high, zero, _ in cut)
        source = tuple(slice(low - at, high - at) for low, high, _, at in cut)
        out[target] = first.nodata if values is None else values[None][source]
    return out.reshape([high - low for low, high in spans])
