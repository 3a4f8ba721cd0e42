"""TIFF files of any origin: what their axes are, and how large a voxel is."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.axes import check_axes
from samari.engine.lazy_tiff import LazyPages
from samari.engine.tiff_scale import voxel_size
from samari.errors import InputError, SamariError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tifffile

#: Uncompressed bytes above which an image stays on disk.
LAZY_ABOVE = 2**28
#: What tifffile calls colours (TIFF 6.0, PhotometricInterpretation): RGB, YCbCr, CIELab, ICCLab.
_COLORS = (2, 6, 8, 9)


@dataclass(frozen=True)
class TiffImage:
    """One image of a TIFF file.

    Attributes
    ----------
    image : array-like
        In memory, memory-mapped, or read page by page; colours on the last axis.
    axes : str
        Letters of TCZYX, without the axis of colours.
    rgb : bool
        Whether there is one, of 3 or 4 samples.
    scale, units : tuple, or None
        One an axis of `axes`; None where the file says nothing. Axes it is silent about
        have 1 and "pixel".
    images_in_file : int
        How many there are to choose from.
    """

    image: Any
    axes: str
    rgb: bool
    scale: tuple[float, ...] | None
    units: tuple[str, ...] | None
    images_in_file: int


@contextlib.contextmanager
def opened_tiff(path: str | os.PathLike[str]) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; whatever goes wrong in the block is an InputError that names the file."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            yield tiff
    except (SamariError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise InputError(f"there is no file {os.fspath(path)}") from error
    except Exception as error:  # a damaged file can fail in any way
        if "imagecodecs" in str(error):
            raise InputError(
                f"{os.fspath(path)} is compressed in a way that needs a further package: "
                f"pip install imagecodecs ({error})"
            ) from error
        raise InputError(f"{os.fspath(path)} cannot be read as TIFF: {error}") from error


def read_tiff(path: str | os.PathLike[str], series: int = 0) -> TiffImage:
    """Read an image from a TIFF file.

    Parameters
    ----------
    path : path-like
    series : int
        Which image of the file. The first is the one that OME-TIFF and whole-slide files mean; a
        pyramid is read at its full resolution.

    Notes
    -----
    Axes are those of OME-XML or ImageJ. An axis without meaning in the file (plain multi-page TIFF)
    is taken as Z, two of them as T and Z. The samples of a pixel are colours only if the file says
    so (photometric interpretation) and they are 3 or 4; else they are channels. Axes of one element
    are dropped.

    Above 256 MiB, uncompressed data are memory-mapped and compressed pages read as they are asked
    for.

    Raises
    ------
    InputError
        If the file is missing or damaged, lacks an axis Y or X, or has too many axes.
    """
    with opened_tiff(path) as tiff:
        count = len(tiff.series)
        if not 0 <= series < count:
            raise InputError(f"{os.fspath(path)} has {count} images, there is no number {series}")
        chosen = tiff.series[series]
        color = chosen.keyframe.photometric in _COLORS
        axes = chosen.axes
        rgb = color and "S" in axes and chosen.shape[axes.index("S")] in (3, 4)
        letters = _known_letters(axes, rgb)
        image = _pixels(path, chosen, series)
        if rgb:
            at = letters.index("S")
            image = image if at == len(letters) - 1 else np.moveaxis(np.asarray(image), at, -1)
            letters = letters.replace("S", "")
        shape = image.shape[:-1] if rgb else image.shape
        letters = check_axes(letters, tuple(shape), f"image in {os.fspath(path)}")
        sizes = voxel_size(tiff, series)
    scale = tuple(sizes.get(letter, (1.0, "pixel"))[0] for letter in letters) if sizes else None
    units = tuple(sizes.get(letter, (1.0, "pixel"))[1] for letter in letters) if sizes else None
    return TiffImage(image, letters, rgb, scale, units, count)


def _known_letters(axes: str, rgb: bool) -> str:
    """Return `axes` with letters of TCZYX (and S for colours) in place of all others."""
    letters = list(axes)
    if "S" in letters and not rgb and "C" not in letters:
        letters[letters.index("S")] = "C"
    known = "TCZYXS" if rgb else "TCZYX"
    unknown = [i for i, letter in enumerate(letters) if letter not in known]
    free = [letter for letter in "ZTC" if letter not in letters][: len(unknown)]
    for i, letter in zip(unknown, sorted(free, key="TCZ".index), strict=False):
        letters[i] = letter
    return "".join(letters)


def _pixels(path: str | os.PathLike[str], series: tifffile.TiffPageSeries, number: int) -> Any:
    """Return the pixels of a series, left on disk if they are many and can be read in parts."""
    import tifffile

    if series.size * series.dtype.itemsize > LAZY_ABOVE:
        if series.dataoffset is not None:
            with contextlib.suppress(ValueError):  # packed bits, or not where the tags say
                return tifffile.memmap(path, series=number, mode="r")
        pages = LazyPages.of(path, number)
        if pages is not None:
            return pages
    return series.asarray()
