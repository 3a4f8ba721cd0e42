"""Finds a file of a saved or published model by folder or by hub id."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from samari.errors import DownloadError


def is_hub_id(name: str | os.PathLike[str]) -> bool:
    """Tell whether a name can only be a model on the hub: ``owner/name``, and no such path here."""
    text = os.fspath(name)
    parts = text.split("/")
    return (
        not Path(text).exists() and len(parts) == 2 and all(parts) and parts[0] not in (".", "..")
    )


def find_json(name: str | os.PathLike[str], file: str, **hub: Any) -> dict[str, Any] | None:
    """Read a JSON file of a model.

    Parameters
    ----------
    name : str or Path
        A folder, a file in it, or a hub id.
    file : str
        Name of the JSON file.
    **hub
        Passed to `huggingface_hub.hf_hub_download`, such as `revision` or `cache_dir`.

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
    path = (
        _hub_file(os.fspath(name), file, hub) if is_hub_id(name) else _local_file(Path(name), file)
    )
    if path is None:
        return None
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


def _hub_file(repository: str, file: str, hub: dict[str, Any]) -> Path | None:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.hf_hub_download(repository, file, **hub))
    except EntryNotFoundError as error:
        # Offline, this error also stands for a file that is only not in the cache.
        if isinstance(error, LocalEntryNotFoundError):
            raise DownloadError(f"{file} of {repository} is not in the cache: {error}") from error
        return None
    except Exception as error:
        # Which library is under the hub's differs from version to version, and so do its errors.
        raise DownloadError(f"could not fetch {file} of {repository}: {error}") from error
