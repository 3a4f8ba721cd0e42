"""Finds models on this machine, fetches those of the table, and takes in the user's own files."""

from __future__ import annotations

import difflib
import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from samari.errors import InputError, ModelError, WeightsError
from samari.zoo.digests import can_check, file_digest
from samari.zoo.download import Job, download, write
from samari.zoo.models import MODELS, ModelFile, ModelInfo
from samari.zoo.paths import bundled_folder, checked_name, hub_cache, longest_path, models_dir

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 22
_SUFFIXES = frozenset({".safetensors", ".pth", ".pt", ".bin", ".h5"})


def find(name_or_path: str | Path, *, folder: str | Path | None = None) -> Path | None:
    """Return where a model lies on this machine, without any connection.

    Parameters
    ----------
    name_or_path : str or Path
        A name in `MODELS`, the name of an added model, a weight file, or a folder with one. A name
        goes before a file of the same name: write ``./name`` for the file.
    folder : str or Path, optional
        In place of `models_dir()`.

    Returns
    -------
    Path or None
        A weight file, or a folder that holds one; None for a model that can be downloaded and is
        not here.

    Raises
    ------
    ModelError
        If nothing has this name; the message lists what there is.
    """
    name = str(name_or_path)
    info = MODELS.get(name) if isinstance(name_or_path, str) else None
    if info is not None:
        return _find_listed(info, models_dir(folder))
    if isinstance(name_or_path, str) and name in added(folder):
        return models_dir(folder) / name
    try:
        path = Path(name_or_path).expanduser()
    except TypeError as error:
        raise ModelError(
            f"{name_or_path!r} is no model; give a name such as samari-tiny, or a path"
        ) from error
    if path.exists():
        return path
    names = [*MODELS, *added(folder)]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise ModelError(
        f"there is no model, file or folder {name!r}.{hint} Models: {', '.join(names)}; "
        "or the path of a weight file"
    )


def available(name: str, *, folder: str | Path | None = None) -> bool:
    """Tell whether a model can be used now, without a download; unknown names cannot."""
    try:
        return find(name, folder=folder) is not None
    except ModelError:
        return False


def resolve(
    name_or_path: str | Path,
    *,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    endpoint: str | None = None,
) -> Path:
    """Return where a model lies, after downloading it if it has to be. See `find` for the names.

    No connection is made when the model is here.

    Parameters
    ----------
    name_or_path : str or Path
        See `find`.
    folder : str or Path, optional
        In place of `models_dir()`. Models of the model hub go to the hub's shared cache.
    progress : callable, optional
        Called with the bytes that are done and their total (0 if unknown).
    cancel : callable, optional
        Returns True when the download should stop.
    endpoint : str, optional
        Address of the model hub.

    Raises
    ------
    ModelError
        If nothing has this name.
    DownloadError
        With address, hash and target folder.
    Cancelled
        If `cancel` returned True.
    """
    found = find(name_or_path, folder=folder)
    if found is not None:
        return found
    info = MODELS[str(name_or_path)]
    if info.source == "hub":
        from samari.sam.weights_hub import hub_folder

        return hub_folder(info.hub_id, endpoint=endpoint, progress=progress, cancel=cancel)
    if info.source == "bundled":
        raise ModelError(
            f"this installation of Samari lacks its model {info.name} (looked in "
            f"{bundled_folder(info.name)}); install it again"
        )
    return _fetch(info, info.files[0], models_dir(folder), progress, cancel)


def added(folder: str | Path | None = None) -> list[str]:
    """Return the names of the models that `add` took in under names of the user's own."""
    home = models_dir(folder)
    try:
        return sorted(
            entry.name
            for entry in home.iterdir()
            if entry.name not in MODELS and not entry.name.startswith(".") and _has_weights(entry)
        )
    except OSError:
        return []


def add(file: str | Path, name: str | None = None, *, folder: str | Path | None = None) -> Path:
    """Take in a weight file or a model's folder, for machines without a network.

    The file is looked into first: its tensors must be all there and fit together, and if `name` is
    in the table, its hash or its architecture must be that model's.

    Parameters
    ----------
    file : str or Path
        A weight file of any kind, or a folder with ``config.json`` and weights. It is copied.
    name : str, optional
        A name in `MODELS`, or a new one; by default that of the file or folder.
    folder : str or Path, optional
        In place of `models_dir()`.

    Returns
    -------
    Path
        The model's folder.

    Raises
    ------
    InputError
        If the name cannot be used, or is taken.
    WeightsError
        If the file is damaged or is not the model that `name` says.
    ModelError
        If it cannot be copied; nothing is left behind.
    """
    from samari.sam.weights_files import find_weights, model_files

    source = Path(file).expanduser()
    weights = find_weights(source)
    name = checked_name(name or (source.name if source.is_dir() else source.stem))
    info = MODELS.get(name)
    if info is not None and info.source == "bundled":
        raise InputError(f"{name} is the model that ships with Samari; choose another --name")
    target = longest_path(models_dir(folder) / name)
    if _has_weights(target):
        raise InputError(f"a model {name} is there already, in {target}; choose another --name")
    _check(weights, info)
    files = {path: path.name for path in model_files(source)}
    if weights.suffix not in {*_SUFFIXES, ".json"}:
        # Other programs keep weights in files without an extension.
        files[weights] = f"{weights.name}.pt"
    if info is not None and info.source == "address":
        _check_published(weights, info.files[0], info.name)
        files = {weights: info.files[0].name}
    part = target.with_name(f".{name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        for path, new_name in files.items():
            _copy(path, part / new_name)
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(part, target)
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or error
        raise ModelError(
            f"could not copy {source} to {target}: {reason}; choose another folder with the "
            "environment variable SAMARI_MODELS"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def discard(info: ModelInfo, path: Path, *, folder: str | Path | None = None) -> bool:
    """Remove a download that proved damaged, so that it is fetched again.

    Parameters
    ----------
    info : ModelInfo
        Its entry in the table.
    path : Path
        What `resolve` returned for it.
    folder : str or Path, optional
        In place of `models_dir()`.

    Returns
    -------
    bool
        False for a file that no download would bring back: the bundled one, or one the user added.
    """
    from samari.sam.weights_files import find_weights

    if info.source == "address":
        path.unlink(missing_ok=True)
        return True
    if info.source == "hub" and models_dir(folder) not in path.parents:
        file = find_weights(path)
        blob = file.resolve()
        file.unlink()
        blob.unlink(missing_ok=True)
        return True
    return False


def _find_listed(info: ModelInfo, home: Path) -> Path | None:
    own = longest_path(home / info.name)
    if info.source == "address":
        file = own / info.files[0].name
        size = info.files[0].size
        # A size that is wrong means a file that was cut off after its download: fetch it again.
        return file if file.is_file() and size in (None, file.stat().st_size) else None
    if info.source == "bundled":
        own = bundled_folder(info.name)
    if _has_weights(own):
        return own
    if info.source == "hub":
        return _find_in_hub_cache(info)
    return None


def _find_in_hub_cache(info: ModelInfo) -> Path | None:
    """Look where `samari.sam.weights_hub` downloads to, without loading torch for it."""
    if not (hub_cache() / f"models--{info.hub_id.replace('/', '--')}").is_dir():
        return None  # most often so; the import would cost more than all else here
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(info.hub_id, file.name) for file in info.files]
    paths = [Path(path) for path in found if isinstance(path, str)]
    whole = len(paths) == len(info.files) and all(path.is_file() for path in paths)
    return paths[0].parent if whole else None


def _has_weights(folder: Path) -> bool:
    """Tell whether a folder holds a complete weight file; those under way end in ``.part``."""
    if not folder.is_dir():
        return False
    return any(path.suffix in _SUFFIXES for path in folder.iterdir())


def _fetch(
    info: ModelInfo,
    file: ModelFile,
    home: Path,
    progress: Callable[[int, int], None] | None,
    cancel: Callable[[], bool] | None,
) -> Path:
    target = home / info.name / file.name
    longest_path(target).unlink(missing_ok=True)
    return download(
        Job(
            file=file,
            target=target,
            model=info.name,
            check=lambda path: _check(path, info),
            progress=progress,
            cancel=cancel,
        )
    )


def _check(weights: Path, info: ModelInfo | None) -> None:
    """Build the network from the file, without memory for it: strict names and shapes."""
    from samari.sam import vit_config
    from samari.sam.weights import build_model, load_state_dict, read_config

    tensors, _ = load_state_dict(weights)
    if info is not None and info.config is not None:
        config = vit_config(info.config)
    else:
        config = read_config(weights, tensors)
    build_model(tensors, config, weights, dtype=None)


def _check_published(weights: Path, file: ModelFile, name: str) -> None:
    if file.digest is None or not can_check(file.digest):
        return
    found = file_digest(weights, file.digest.partition(":")[0])
    if found != file.digest:
        raise WeightsError(
            f"{weights} is not the published {name}: its hash is {found}, not {file.digest}; "
            "fetch it again, or add it under another --name"
        )


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        while chunk := reading.read(_CHUNK):
            write(writing, chunk)
        writing.flush()
        os.fsync(writing.fileno())
