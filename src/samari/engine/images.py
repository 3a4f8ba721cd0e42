"""Image files to arrays, for scripts and the command line (in napari, napari reads them)."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.axes import DEFAULT_AXES, check_axes, shape_without_colours
from samari.errors import InputError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_TIFF = (".tif", ".tiff", ".lsm", ".btf", ".svs")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
#: Pixels of a picture at most: it is decoded as a whole.
_MOST_PIXELS = 2**30
_LIMIT_LOCK = threading.Lock()


@dataclass(frozen=True)
class ImageFile:
    """The contents of an image file.

    Attributes
    ----------
    image : array-like
        In memory, or left on disk where the file is large; colours on the last axis.
    axes : str
        Letters of TCZYX, without the axis of colours.
    rgb : bool
        Whether there is one, of 3 or 4 samples.
    scale, units : tuple, or None
        Voxel size and names of units, one for each of `axes` without C, as `Session` takes them;
        None where the file says nothing.
    name : str
        The file's name without folder and endings.
    note : str
        What the user should know about what was read, or "".
    """

    image: Any
    axes: str
    rgb: bool
    scale: tuple[float, ...] | None
    units: tuple[str, ...] | None
    name: str
    note: str = ""

    def with_axes(self, axes: str | None, *, rgb: bool) -> ImageFile:
        """Return the image with other names for its axes, which keep their voxel sizes.

        Parameters
        ----------
        axes : str or None
            Letters of TCZYX, one for each axis without that of colours; None for the usual ones.
        rgb : bool
            Whether the last axis is colour.

        Raises
        ------
        InputError
            If they do not fit the image.
        """
        axes = check_axes(axes, shape_without_colours(tuple(self.image.shape), rgb))
        labelled = [letter for letter in self.axes if letter != "C"]
        kept = [
            labelled.index(old) if old != "C" else None
            for old, new in zip(self.axes, axes, strict=False)  # the last may be colour from now on
            if new != "C"
        ]
        sizes, names = self.scale, self.units
        return replace(
            self,
            axes=axes,
            rgb=rgb,
            scale=sizes and tuple(1.0 if i is None else sizes[i] for i in kept),
            units=names and tuple("pixel" if i is None else names[i] for i in kept),
        )


def read_image(path: str | os.PathLike[str]) -> ImageFile:
    """Read an image file.

    TIFF (OME, ImageJ, plain; see `read_tiff`), PNG, JPEG, BMP, GIF, WebP, and numpy's .npy
    (memory-mapped; axes YX, ZYX, TZYX or TCZYX). Of a file with several images the first is read,
    and `note` says so.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of another format.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    ending = file.suffix.lower()
    if ending in _TIFF:
        return _read_tiff(file)
    if ending in _PICTURES:
        return _read_picture(file)
    if ending == ".npy":
        return _read_npy(file)
    raise InputError(
        f"{file.name} is of a format that is not read here; those that are end in "
        f"{', '.join((*_TIFF, *_PICTURES, '.npy'))}. Save it as OME-TIFF, e.g. in Fiji, or "
        "open it in napari"
    )


def _read_tiff(file: Path) -> ImageFile:
    from samari.engine.tiff import read_tiff

    tiff = read_tiff(file)
    keep = [i for i, letter in enumerate(tiff.axes) if letter != "C"]
    note = ""
    if tiff.images_in_file > 1:
        note = f"{file.name} has {tiff.images_in_file} images; the first is used"
    return ImageFile(
        tiff.image,
        tiff.axes,
        tiff.rgb,
        None if tiff.scale is None else tuple(tiff.scale[i] for i in keep),
        None if tiff.units is None else tuple(tiff.units[i] for i in keep),
        _stem(file),
        note,
    )


def _read_picture(file: Path) -> ImageFile:
    """Read a picture as it is stored: no rotation by EXIF tags, like napari."""
    from PIL import Image

    try:
        with _any_size(), Image.open(file) as picture:
            width, height = picture.size
            if width * height > _MOST_PIXELS:
                raise InputError(
                    f"{file} has {height} x {width} pixels, too many for a picture that is read as "
                    "a whole; save it as TIFF, which is read in parts"
                )
            frames = getattr(picture, "n_frames", 1)
            colored = picture.mode not in ("1", "L", "LA", "La", "I", "F") and not (
                picture.mode.startswith("I;")
            )
            if colored:
                alpha = picture.mode in ("RGBA", "PA", "RGBa") or "transparency" in picture.info
                image = np.array(picture.convert("RGBA" if alpha else "RGB"))
            else:
                image = np.array(picture.convert("L") if picture.mode in ("LA", "La") else picture)
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{file} cannot be read as a picture: {error}") from error
    note = f"{file.name} has {frames} frames; the first is used" if frames > 1 else ""
    return ImageFile(image, "YX", colored, None, None, _stem(file), note)


@contextlib.contextmanager
def _any_size() -> Iterator[None]:
    """Have Pillow open pictures of any size: its limit is that of a server for strangers."""
    from PIL import Image

    with _LIMIT_LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _read_npy(file: Path) -> ImageFile:
    try:
        image = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{file} cannot be read as a numpy array: {error}") from error
    if image.ndim not in DEFAULT_AXES:
        raise InputError(f"the array in {file} has shape {image.shape}; 2 to 5 axes are supported")
    return ImageFile(image, DEFAULT_AXES[image.ndim], False, None, None, _stem(file))


def _stem(file: Path) -> str:
    """Return the name of a file without its ending, .ome.tif and the like included."""
    stem = file.stem
    return stem[:-4] if stem.lower().endswith(".ome") and len(stem) > 4 else stem
