"""Loads the compiled part of torch before torch is imported, without Python's lock."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
from pathlib import Path


def load_library(package: str = "torch", name: str = "libtorch_cpu") -> bool:
    """Let the system load a shared library of a package that is not imported yet.

    This is a fifth of torch's import, and an import holds Python's lock all the time; here other
    threads go on, such as the window's. It is a favour and no more: where the library is not found
    or cannot be loaded by itself, the import does as it always did, or tells why not.

    Parameters
    ----------
    package : str
    name : str
        File name without its ending, in the folder ``lib`` of the package.

    Returns
    -------
    bool
        Whether it was loaded.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        return False
    with contextlib.suppress(AttributeError, OSError, TypeError):  # on Windows
        # A call lets the lock go. `ctypes.CDLL(path)` would keep it.
        load = ctypes.CDLL(None).dlopen
        load.argtypes, load.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
        for ending in ("so", "dylib"):
            path = Path(found.origin).parent / "lib" / f"{name}.{ending}"
            if path.is_file():
                return load(os.fsencode(path), os.RTLD_NOW) is not None
    return False
