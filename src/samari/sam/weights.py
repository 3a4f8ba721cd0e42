"""Reads and writes the weights of Segment Anything: the one door to weight files.

Every file that can be read gives the same thing, tensors with the published names:
``safetensors`` (one file, or shards with an index), ``pytorch_model.bin``, the original
``sam_vit_*.pth``, micro-sam's ``.pt``, ``tf_model.h5``, or a folder with one of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from samari.errors import WeightsError
from samari.sam.config import CONFIG_NAME, SamConfig
from samari.sam.model import SamModel
from samari.sam.weights_config import infer_config
from samari.sam.weights_files import (
    CHECKSUMS,
    CONFIG,
    checksum,
    find_weights,
    kept_config,
    read_tensors,
)
from samari.sam.weights_hub import hub_folder
from samari.sam.weights_keys import published_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "build_model",
    "hub_folder",
    "load_model",
    "load_state_dict",
    "read_config",
    "save_model",
]

_SHOWN = 3


def load_state_dict(path: str | Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read a weight file of any kind.

    Parameters
    ----------
    path : str or Path
        A file, or a folder that holds one.

    Returns
    -------
    dict of str to tensor
        Published names; on the CPU and in the file's dtype. Tensors of ``safetensors`` files are
        mapped, not read.
    str
        Whose names the file had: ``"published"``, ``"original"`` or ``"tensorflow"``.

    Raises
    ------
    WeightsError
        If the file is damaged, holds values that are not finite, holds something else, or would run
        code when opened; the message names the file and the tensor.
    """
    file = find_weights(Path(path))
    tensors, origin = published_names(read_tensors(file), file)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise WeightsError(f"{file}: tensor {name} is {tensor.dtype}, no floating point type")
        # A sum is not finite if any value is not, and is much cheaper than looking at each.
        if not torch.isfinite(tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32))):
            raise WeightsError(
                f"{file} is damaged at tensor {name}: it holds values that are not finite"
            )
    return tensors, "tensorflow" if file.suffix == ".h5" else origin


def read_config(path: str | Path, tensors: dict[str, torch.Tensor]) -> SamConfig:
    """Return the configuration of weights.

    That is the ``config.json`` beside them, or what their own metadata keep, or what shapes tell.

    Parameters
    ----------
    path : str or Path
        The weight file, or its folder.
    tensors : dict of str to tensor
        What `load_state_dict` returned for it.

    Raises
    ------
    WeightsError
        If the configuration cannot be read, or there is none and the shapes leave questions open.
    """
    file = find_weights(Path(path))
    beside = file.parent / CONFIG_NAME
    where = f"{beside} is" if beside.is_file() else f"what the metadata of {file} keep is"
    try:
        if beside.is_file():
            return SamConfig.from_pretrained(beside)
        kept = kept_config(file)
        return infer_config(tensors, file) if kept is None else SamConfig.from_dict(kept)
    except (OSError, TypeError, ValueError) as error:
        raise WeightsError(f"{where} no configuration of Segment Anything: {error}") from error


def build_model(
    tensors: dict[str, torch.Tensor],
    config: SamConfig,
    path: str | Path,
    *,
    dtype: torch.dtype | None = torch.float32,
) -> SamModel:
    """Make a network out of tensors, strictly: each in its place, none missing and none left over.

    Parameters
    ----------
    tensors : dict of str to tensor
        What `load_state_dict` returned. They become the parameters without a copy where their
        dtype is the wanted one.
    config : SamConfig
        The configuration.
    path : str or Path
        Named in errors.
    dtype : torch.dtype, optional
        Dtype of the network; None keeps the file's.

    Returns
    -------
    SamModel
        In evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        Naming the tensors that are missing, not expected, or of another shape.
    """
    try:
        with torch.device("meta"), _Uninitialised():
            model = SamModel(config)
    except (ValueError, TypeError, ZeroDivisionError, RuntimeError) as error:
        raise WeightsError(f"{path}: no network has this configuration: {error}") from error
    _compare(model.state_dict(), tensors, path)
    if dtype is not None:
        tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    model.load_state_dict(tensors, strict=True, assign=True)
    return model.eval()


def load_model(
    path: str | Path,
    config: SamConfig | None = None,
    *,
    dtype: torch.dtype | None = torch.float32,
) -> SamModel:
    """Load a network from a weight file of any kind, or from a folder.

    Parameters
    ----------
    path : str or Path
        A file, or a folder that holds one.
    config : SamConfig, optional
        In place of the ``config.json`` beside the weights, or of what their shapes tell.
    dtype : torch.dtype, optional
        Dtype of the network; None keeps the file's.

    Returns
    -------
    SamModel
        In evaluation mode, on the CPU.

    Raises
    ------
    WeightsError
        If anything about the file is wrong; the message names the file and the tensor.
    """
    tensors, _ = load_state_dict(path)
    config = read_config(path, tensors) if config is None else config
    return build_model(tensors, config, find_weights(Path(path)), dtype=dtype)


def save_model(model: SamModel, folder: str | Path) -> None:
    """Write ``config.json`` and ``model.safetensors``, which transformers loads as well.

    Both files get their names only when they are complete. The metadata of the weights keep a
    checksum of each tensor, so that a damaged one is found when the file is read, and the
    configuration as well: the file alone is the model.

    Parameters
    ----------
    model : SamModel
        Saved in its own dtype.
    folder : str or Path
        Made if it does not exist.

    Raises
    ------
    WeightsError
        If the folder cannot be written or the disk is full; nothing half-written is left.
    """
    folder = Path(folder)
    # The two names of the position code share memory, which the format does not allow.
    tensors = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    config = {**model.config.to_dict(), "architectures": ["SamModel"]}
    metadata = {
        "format": "pt",
        CHECKSUMS: json.dumps({key: checksum(value) for key, value in tensors.items()}),
        CONFIG: json.dumps(config, sort_keys=True),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(
            folder / "model.safetensors", lambda part: save_file(tensors, part, metadata=metadata)
        )
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        _replace(folder / CONFIG_NAME, lambda part: part.write_text(text, encoding="utf-8"))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"could not save the model in {folder}: {error}") from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name, then give it its own."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with _removed_on_failure(part):
        part.touch()
        mode = stat.S_IMODE(part.stat().st_mode)
        write(part)
        part.chmod(mode)  # safetensors takes the permissions of group and others away
        os.replace(part, path)


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class _Uninitialised(TorchFunctionMode):
    """Networks made under it draw no random numbers, for their parameters come from a file.

    On the meta device, where a network needs no memory, torch would import its compiler for them:
    two seconds before the first mask of even the smallest.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Leave out what would fill a tensor."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func is torch.randn:
            func = torch.empty
        return func(*args, **kwargs)


def _compare(
    wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor], path: str | Path
) -> None:
    """Raise a WeightsError that names the tensors in which the file and the network differ."""
    problems = []
    for what, names in (
        ("lacks", [name for name in wanted if name not in found]),
        ("does not expect", [name for name in found if name not in wanted]),
    ):
        if names:
            problems.append(f"{what} {_listed(names)}")
    problems += [
        f"tensor {name} has shape {tuple(found[name].shape)} in place of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ][:_SHOWN]
    if problems:
        raise WeightsError(
            f"{path} does not fit its configuration of Segment Anything: it {'; '.join(problems)}"
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"tensor{'s' if len(names) > 1 else ''} {shown}{more}"
