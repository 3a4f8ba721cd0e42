"""Fetches a model from the model hub into the cache that all programs on the machine share."""

from __future__ import annotations

import hashlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.errors import Cancelled, DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Files of a published model, each with what may stand in for it, the best first.
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
)
_CONFIG = "config.json"
_SHA256 = re.compile("[0-9a-f]{64}")


def hub_folder(
    repository: str,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    cache: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Return the folder of a hub model in the shared cache; download what is not there.

    When the files are in the cache no connection is made. Otherwise `huggingface_hub` fetches them
    by its own rules, offline mode (``HF_HUB_OFFLINE=1``), mirrors and tokens included. Before its
    version 1.5 it tells no progress: then there is one call at the end, and no way to cancel in
    between.

    Parameters
    ----------
    repository : str
        Such as ``"facebook/sam-vit-base"``.
    revision : str, optional
        A branch, a tag or a commit.
    endpoint : str, optional
        Address of the hub.
    cache : str or Path, optional
        Folder of the cache, in place of huggingface_hub's own.
    token : str or bool, optional
        For models that are not public.
    local_files_only : bool
        Never connect.
    progress : callable, optional
        Called with the bytes of the weight file that are done and their total (0 if unknown).
    cancel : callable, optional
        Returns True when the download should stop.

    Raises
    ------
    DownloadError
        Naming the model, the address and the folder, if the files cannot be had.
    Cancelled
        If `cancel` returned True.
    """
    import huggingface_hub
    from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

    where: dict[str, Any] = {"revision": revision, "cache_dir": cache}
    cached = cached_folder(repository, **where)
    if cached is not None:
        return cached
    fetch: dict[str, Any] = {
        **where, "endpoint": endpoint, "token": token, "local_files_only": local_files_only
    }  # fmt: skip
    fine = "tqdm_class" in inspect.signature(huggingface_hub.hf_hub_download).parameters
    if fine:
        fetch["tqdm_class"] = _progress_bar(progress, cancel)
    elif cancel is not None and cancel():
        raise Cancelled("the download was cancelled")
    try:
        config = Path(huggingface_hub.hf_hub_download(repository, _CONFIG, **fetch))
        for name in _WEIGHTS:
            try:
                file = Path(huggingface_hub.hf_hub_download(repository, name, **fetch))
            except EntryNotFoundError as error:
                # Offline, this error also stands for a file that is only not in the cache.
                if isinstance(error, LocalEntryNotFoundError) or name == _WEIGHTS[-1]:
                    raise
                continue
            break
        for shard in _shard_names(file):
            _verify(Path(huggingface_hub.hf_hub_download(repository, shard, **fetch)))
        _verify(file)
        if not fine and progress is not None:
            progress(file.stat().st_size, file.stat().st_size)
    except Cancelled:
        raise
    except Exception as error:
        # Which library is under the hub's differs from version to version, and so do its errors.
        raise DownloadError(_message(repository, endpoint, cache, error)) from error
    return config.parent


def hub_file(
    repository: str,
    name: str,
    *,
    revision: str | None = None,
    endpoint: str | None = None,
    cache: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path | None:
    """Return a small file of a hub model, or None if the model has none.

    No connection is made if the file, or that there is none, is known from the cache. The arguments
    are those of `hub_folder`.

    Raises
    ------
    DownloadError
        If the file is not in the cache and the hub cannot be asked.
    """
    import huggingface_hub
    from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError

    known = huggingface_hub.try_to_load_from_cache(
        repository, name, cache_dir=cache, revision=revision
    )
    if known is not None:
        return Path(known) if isinstance(known, str) else None
    try:
        fetched = huggingface_hub.hf_hub_download(
            repository, name, revision=revision, cache_dir=cache, endpoint=endpoint, token=token,
            local_files_only=local_files_only,
        )  # fmt: skip
    except EntryNotFoundError as error:
        # Offline, this error also stands for a file that is only not in the cache.
        if isinstance(error, LocalEntryNotFoundError):
            raise DownloadError(_message(repository, endpoint, cache, error)) from error
        return None
    except Exception as error:
        # Which library is under the hub's differs from version to version, and so do its errors.
        raise DownloadError(_message(repository, endpoint, cache, error)) from error
    return Path(fetched)


def cached_folder(
    repository: str, *, revision: str | None = None, cache_dir: str | Path | None = None
) -> Path | None:
    """Return the folder of a hub model if all its files are in the cache, without a connection."""
    from huggingface_hub import try_to_load_from_cache

    def find(name: str) -> Path | None:
        found = try_to_load_from_cache(repository, name, cache_dir=cache_dir, revision=revision)
        return Path(found) if isinstance(found, str) and Path(found).is_file() else None

    config = find(_CONFIG)
    if config is None:
        return None
    for file in filter(None, map(find, _WEIGHTS)):
        if all(find(shard) for shard in _shard_names(file)):
            return config.parent
    return None


def _shard_names(file: Path) -> list[str]:
    from samari.sam.weights_files import shard_tensors

    return list(shard_tensors(file)) if file.name.endswith(".index.json") else []


def _verify(file: Path) -> None:
    """Compare a large file with its SHA-256, which is its name in the cache, where links are."""
    blob = file.resolve()
    if not _SHA256.fullmatch(blob.name):
        return
    with blob.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != blob.name:
        file.unlink()
        blob.unlink()
        raise ValueError(f"what came of {file.name} has SHA-256 {found} instead of {blob.name}")


def _message(
    repository: str, endpoint: str | None, cache: str | Path | None, error: Exception
) -> str:
    from huggingface_hub import constants

    address = f"{endpoint or constants.ENDPOINT}/{repository}"
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    offline = " (offline mode is on: HF_HUB_OFFLINE)" if constants.HF_HUB_OFFLINE else ""
    return (
        f"could not download {repository} from {address} into {cache or constants.HF_HUB_CACHE}"
        f"{offline}: {reason}. Fetch config.json and model.safetensors on another machine and add "
        "their folder: samari models add FOLDER"
    )


def _progress_bar(
    progress: Callable[[int, int], None] | None, cancel: Callable[[], bool] | None
) -> type:
    """Return a class with which the hub's library shows progress: it calls back, draws nothing."""
    from huggingface_hub.utils import tqdm

    class CallbackBar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._of = int(kwargs.get("total") or 0)
            self._done = int(kwargs.get("initial") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if cancel is not None and cancel():
                raise Cancelled("the download was cancelled")
            self._done += int(n or 0)
            if progress is not None:
                progress(self._done, self._of)

    return CallbackBar
