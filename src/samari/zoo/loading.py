"""Loads a model by name, with the hash that tells it from every other."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samari.zoo.models import MODELS, ModelInfo
from samari.zoo.store import discard, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from samari.sam import SamConfig, SamModel

#: Fields of a configuration that change no result.
_NO_MATTER = frozenset({"initializer_range", "mlp_ratio", "attention_dropout"})


@dataclass(frozen=True)
class LoadedModel:
    """A network in memory.

    Parameters
    ----------
    model : SamModel
        In evaluation mode, on the CPU.
    name : str
        The name in the table, that of an added model, or that of the file.
    hash : str
        See `weights_hash`.
    info : ModelInfo, optional
        Its entry in the table; None for the user's own models.
    """

    model: SamModel
    name: str
    hash: str
    info: ModelInfo | None


def load(
    name_or_path: str | Path,
    *,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    dtype: torch.dtype | None = None,
    endpoint: str | None = None,
) -> LoadedModel:
    """Load a model, after downloading it if it has to be.

    A download that has been damaged since is thrown away and fetched once more.

    Parameters
    ----------
    name_or_path : str or Path
        See `samari.zoo.find`.
    folder : str or Path, optional
        In place of `models_dir()`.
    progress : callable, optional
        Called with the bytes that are done and their total (0 if unknown).
    cancel : callable, optional
        Returns True when the download should stop.
    dtype : torch.dtype, optional
        Dtype of the network; float32 where not given.
    endpoint : str, optional
        Address of the model hub.

    Raises
    ------
    ModelError
        If nothing has this name, it cannot be downloaded (`DownloadError`), or its file is damaged
        (`WeightsError`, with the tensor's name and what to do).
    Cancelled
        If `cancel` returned True.
    """
    from samari.errors import WeightsError

    info = MODELS.get(name_or_path) if isinstance(name_or_path, str) else None

    def here() -> Path:
        return resolve(
            name_or_path, folder=folder, progress=progress, cancel=cancel, endpoint=endpoint
        )

    path = here()
    try:
        model, content = _read(path, info, dtype)
    except WeightsError:
        if info is None or not discard(info, path, folder=folder):
            raise
        path = here()
        model, content = _read(path, info, dtype)
    name = info.name if info else Path(name_or_path).name if path.is_dir() else path.stem
    return LoadedModel(model, name, content, info)


def _read(path: Path, info: ModelInfo | None, dtype: torch.dtype | None) -> tuple[SamModel, str]:
    """Return the network in a file or folder and its hash."""
    import torch

    from samari.sam import vit_config
    from samari.sam.weights import build_model, load_state_dict, read_config
    from samari.sam.weights_files import find_weights

    file = find_weights(path)
    tensors, _ = load_state_dict(file)
    size = None if info is None or (file.parent / "config.json").is_file() else info.config
    config = read_config(file, tensors) if size is None else vit_config(size)
    model = build_model(tensors, config, file, dtype=torch.float32 if dtype is None else dtype)
    return model, weights_hash(tensors, config)


def weights_hash(tensors: dict[str, torch.Tensor], config: SamConfig) -> str:
    """Return the content hash of a network: the same hash means the same results.

    It is the SHA-256 over the published names, dtypes, shapes and bytes of the tensors and over
    the configuration, so one model has one hash whatever kind of file it came in. It is computed
    from the tensors at every load: nothing cached can be stale.

    Parameters
    ----------
    tensors : dict of str to tensor
        With published names, in the file's own dtype.
    config : SamConfig
        The configuration.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    from samari.sam.weights_files import tensor_bytes

    def digest(name: str) -> bytes:
        tensor = tensors[name]
        label = f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        return label + hashlib.sha256(tensor_bytes(tensor)).digest()

    # hashlib lets go of the interpreter, so that the tensors are hashed side by side.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        parts = list(pool.map(digest, sorted(tensors)))
    settings = json.dumps(_settings(config), sort_keys=True).encode()
    return hashlib.sha256(b"".join([settings, *parts])).hexdigest()


def _settings(config: SamConfig) -> dict[str, Any]:
    """Return what results depend on, where not the default: so a new field changes no hash."""
    parts = {
        "vision": config.vision_config,
        "prompt": config.prompt_encoder_config,
        "decoder": config.mask_decoder_config,
    }
    settings: dict[str, Any] = {"samari": config.extra.get("samari", {})}
    for key, part in parts.items():
        default = type(part)()
        settings[key] = {
            field.name: getattr(part, field.name)
            for field in fields(part)
            if field.name not in _NO_MATTER
            and getattr(part, field.name) != getattr(default, field.name)
        }
    return settings
