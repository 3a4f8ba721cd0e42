"""Finds a file of a saved or published model by folder or by hub id."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

#: What `from_pretrained` takes beside the name, and what `samari.sam.weights_hub` calls it.
_HUB_OPTIONS = {
    "cache": "cache",
    "cache_dir": "cache",
    "endpoint": "endpoint",
    "local_files_only": "local_files_only",
    "revision": "revision",
    "token": "token",
}


def is_hub_id(name: str | os.PathLike[str]) -> bool:
    """Tell whether a name can only be a model on the hub: ``owner/name``, and no such path here."""
    text = os.fspath(name)
    parts = text.split("/")
    return (
        not Path(text).exists() and len(parts) == 2 and all(parts) and parts[0] not in (".", "..")
    )


def hub_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `from_pretrained` under the names of `samari.sam.weights_hub`.

    Raises
    ------
    TypeError
        If one is unknown.
    """
    unknown = sorted(options.keys() - _HUB_OPTIONS.keys())
    if unknown:
        raise TypeError(
            f"from_pretrained has no argument {unknown[0]!r}; for the hub it takes "
            f"{', '.join(sorted(_HUB_OPTIONS))}"
        )
    return {_HUB_OPTIONS[key]: value for key, value in options.items() if value is not None}


def find_json(name: str | os.PathLike[str], file: str, **hub: Any) -> dict[str, Any] | None:
    """Read a JSON file of a model.

    Parameters
    ----------
    name : str or Path
        A folder, a file in it, or a hub id.
    file : str
        Name of the JSON file.
    **hub
        `revision`, `endpoint`, `cache_dir`, `token` or `local_files_only`, for a hub id.

    Returns
    -------
    dict or None
        The content; None if the model has no such file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the file is not a JSON object.
    DownloadError
        If the hub cannot be asked.
    """
    options = hub_options(hub)
    if is_hub_id(name):
        from samari.sam.weights_hub import hub_file

        path = hub_file(os.fspath(name), file, **options)
    else:
        path = _local_file(Path(name), file)
    return None if path is None else read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    ValueError
        If the file holds anything else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values


def _local_file(path: Path, file: str) -> Path | None:
    if not path.exists():
        raise FileNotFoundError(f"no model at {path}: neither a folder, a file nor a hub id")
    found = (path if path.is_dir() else path.parent) / file
    return found if found.is_file() else None
