"""Where models lie on this machine, and what they may be called."""

from __future__ import annotations

import importlib.resources
import os
import re
import sys
from pathlib import Path

from samari.errors import InputError

#: Names that Windows keeps for devices, whatever their extension.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))}
)


def models_dir(folder: str | Path | None = None) -> Path:
    r"""Return the folder in which downloaded and added models lie; it need not exist yet.

    Parameters
    ----------
    folder : str or Path, optional
        Taken as it is. Where not given, the environment variable ``SAMARI_MODELS`` decides, and
        without that the user's data folder: ``%LOCALAPPDATA%\samari\models`` on Windows,
        ``~/Library/Application Support/samari/models`` on macOS, ``$XDG_DATA_HOME/samari/models``
        or ``~/.local/share/samari/models`` elsewhere.
    """
    chosen = folder or os.environ.get("SAMARI_MODELS")
    return Path(chosen).expanduser() if chosen else data_dir() / "models"


def data_dir() -> Path:
    """Return the folder of what Samari keeps for this user; see `models_dir`."""
    if sys.platform == "win32":
        data = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "samari"


def cache_dir() -> Path:
    r"""Return the folder of what Samari can make again at any time.

    ``%LOCALAPPDATA%\samari\cache`` on Windows, ``~/Library/Caches/samari`` on macOS,
    ``$XDG_CACHE_HOME/samari`` or ``~/.cache/samari`` elsewhere.
    """
    if sys.platform == "win32":
        return data_dir() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "samari"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samari"


def hub_cache() -> Path:
    """Return the folder in which huggingface_hub keeps what it downloaded, without importing it.

    Its own rules are ``HF_HUB_CACHE``, else ``hub`` in ``HF_HOME``, else in ``~/.cache``. Where it
    is loaded already, it is asked.
    """
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        return Path(constants.HF_HUB_CACHE)
    own = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if not own:
        shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        own = os.path.join(os.environ.get("HF_HOME") or f"{shared}/huggingface", "hub")
    return Path(os.path.expandvars(os.path.expanduser(own)))


def bundled_folder(name: str) -> Path:
    """Return the folder of a model that is part of the installed package."""
    return Path(str(importlib.resources.files("samari.zoo") / "bundled" / name))


def checked_name(name: str) -> str:
    """Return a model's name if it can be the name of a folder on every system.

    Raises
    ------
    InputError
        If it has other characters than letters, digits, ``.``, ``+``, ``-`` and ``_``, is longer
        than 80, or is kept by Windows.
    """
    fits = re.fullmatch(r"[^\W_][\w.+-]{0,79}", name) and not name.endswith(".")
    if not fits or name.partition(".")[0].lower() in _DEVICES:
        raise InputError(
            f"{name!r} cannot be a model's name: use letters, digits, '.', '+', '-' and '_', "
            "80 at most, the first a letter or a digit"
        )
    return name


def longest_path(path: Path) -> Path:
    r"""Return the path in the form that Windows takes beyond 260 characters (``\\?\``)."""
    if os.name != "nt" or len(str(path)) < 240:
        return path
    text = str(path.absolute())
    if text.startswith("\\\\?\\"):
        return path
    return Path(f"\\\\?\\UNC{text[1:]}" if text.startswith("\\\\") else f"\\\\?\\{text}")
