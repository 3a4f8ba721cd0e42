"""New label arrays: in memory, or chunked on disk where they would not fit into it."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

#: Labels of more bytes than this are kept on disk.
LARGEST_IN_MEMORY = 2**31
#: Voxels along both axes of a chunk; along other axes it is one.
_CHUNK = 512


def new_labels(shape: Sequence[int], dtype: DTypeLike | None = None) -> Any:
    """Return background for an image: uint16 in memory; above 2 GiB uint32 in a chunked store.

    The store is a zarr array in a temporary folder, which is deleted when nobody uses the array any
    more. It takes the space of what is written. Its ids cannot outgrow it, as those of an array in
    memory can, so they have 32 bits from the beginning.

    Parameters
    ----------
    shape : sequence of int
        Of the label axes; the last two are the plane's.
    dtype : data type, optional
        In place of these two.

    Raises
    ------
    InputError
        If it is too large for the memory, and zarr is not installed.
    """
    held, stored = (np.dtype(dtype or name) for name in ("uint16", "uint32"))
    nbytes = held.itemsize * math.prod(shape)
    if nbytes <= LARGEST_IN_MEMORY:
        return np.zeros(shape, held)
    try:
        import zarr
    except ImportError:
        try:
            return np.zeros(shape, held)
        except MemoryError:
            raise InputError(
                f"labels of shape {tuple(shape)} take {nbytes / 1e9:.0f} GB, more than there is; "
                "to keep them on disk install zarr: pip install 'samari[zarr]'"
            ) from None
    folder = _folder()
    chunks = (*(1,) * (len(shape) - 2), *(min(n, _CHUNK) for n in shape[-2:]))
    array = zarr.create_array(
        store=folder, shape=tuple(shape), chunks=chunks, dtype=stored, fill_value=0
    )
    weakref.finalize(array, shutil.rmtree, folder, ignore_errors=True)
    return array


def copy_of(labels: Any) -> Any:
    """Return a copy of labels: in memory, or of a zarr array in a folder, in another folder.

    There only what was written is copied, without reading it: the array, and nothing else of its
    store. A chunk that is deleted meanwhile is background, as it is in the array from then on.
    """
    root = getattr(getattr(labels, "store", None), "root", None)
    if root is None:
        return np.array(labels[...])
    import zarr

    folder = _folder()
    try:
        shutil.copytree(
            os.path.join(root, labels.path),
            folder,
            dirs_exist_ok=True,
            # A chunk that is being written has a name of its own until it is complete.
            ignore=shutil.ignore_patterns("*.partial"),
            copy_function=_copy_file,
        )
        array = zarr.open_array(folder, mode="r")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(array, shutil.rmtree, folder, ignore_errors=True)
    return array


def _copy_file(source: str, target: str) -> None:
    """Copy a file, unless it is gone: zarr deletes a chunk that becomes all background."""
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(target)):
            raise


def _folder() -> str:
    return tempfile.mkdtemp(prefix="samari-labels-")
