"""Opens weight files of every kind as named tensors. Nothing in a file is ever executed."""

from __future__ import annotations

import json
import math
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from samari.errors import WeightsError
from samari.sam.weights_h5 import read_h5
from samari.sam.weights_keys import unwrap

#: Key of our checksums in the metadata of a safetensors file: JSON, tensor name to CRC-32.
CHECKSUMS = "samari.crc32"
#: Key of the configuration there: JSON, as in ``config.json``.
CONFIG = "samari.config"

#: What is looked for in a folder, in this order.
WEIGHT_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
)
_SUFFIXES = frozenset({".safetensors", ".pth", ".pt", ".bin", ".h5"})
_BYTES = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}


def find_weights(path: Path) -> Path:
    """Return the weight file (or the index of its shards) that a path means.

    Parameters
    ----------
    path : Path
        A file, or a folder with one of `WEIGHT_NAMES` or with one weight file of any name.

    Raises
    ------
    WeightsError
        If there is nothing at the path, no weight file in the folder, or more than one.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise WeightsError(f"there is no weight file or folder {path}")
    for name in WEIGHT_NAMES:
        if (path / name).is_file():
            return path / name
    found = sorted(p for p in path.iterdir() if p.suffix in _SUFFIXES and p.is_file())
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(file.name for file in found)
        raise WeightsError(f"{path} holds several weight files ({names}); name one of them")
    raise WeightsError(f"{path} holds no weight file, such as {WEIGHT_NAMES[0]}")


def model_files(path: Path) -> list[Path]:
    """Return every file that makes up a model: weights, all shards, and the config beside them."""
    file = find_weights(path)
    files = [file]
    if file.name.endswith(".index.json"):
        files += [file.parent / name for name in shard_tensors(file)]
    config = file.parent / "config.json"
    return [*files, config] if config.is_file() else files


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a weight file, of which the kind is told by its first bytes.

    Tensors of ``safetensors`` files are views of the mapped file: they cost memory when they are
    touched, and stay valid when the file is replaced by a rename.

    Raises
    ------
    WeightsError
        Naming the file, and the tensor where one is at fault.
    """
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    if start[:4] == b"\x89HDF":
        return read_h5(path)
    # First, because the length that a safetensors file begins with can look like anything.
    if start[6:9] == b"\0\0{" or path.suffix == ".safetensors":
        return _read_safetensors(path)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _read_pickle(path, zipped=start[:2] == b"PK")
    raise WeightsError(
        f"{path} is no weight file: it begins with {start[:16]!r}; "
        "safetensors, .pth, .pt, .bin and .h5 files can be read"
    )


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    metadata = _check_header(path)
    try:
        tensors = _mapped(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: {error}; fetch it again") from error
    if CHECKSUMS in metadata:
        _check_sums(path, tensors, metadata[CHECKSUMS])
    return tensors


def _mapped(path: Path) -> dict[str, torch.Tensor]:
    """Map a safetensors file into memory, each block of layers by itself.

    What is mapped stays in memory as long as one tensor of it is held: so a network that is packed
    layer by layer gives its file back layer by layer.
    """
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
    tensors: dict[str, torch.Tensor] = {}
    for _, block in groupby(sorted(names, key=_block), _block):
        with safe_open(path, framework="pt") as file:
            tensors.update({name: file.get_tensor(name) for name in block})
    return tensors


def _block(name: str) -> str:
    """Return the name of a tensor up to the first number in it: that of a layer of the encoder."""
    found = re.match(r".*?\.\d+\.", name)
    return found[0] if found else ""


def kept_config(path: Path) -> dict[str, Any] | None:
    """Return the configuration that a safetensors file of ours brings along, None if it has none.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    if path.suffix != ".safetensors":
        return None
    kept = _check_header(path).get(CONFIG)
    if kept is None:
        return None
    found = json.loads(kept)
    if not isinstance(found, dict):
        raise ValueError(f"{CONFIG} is {kept[:40]!r}")
    return found


def _check_header(path: Path) -> dict[str, str]:
    """Return the file's metadata, or name the first tensor whose entry is damaged or cut off."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > size - 8:
                raise ValueError(f"its header should have {length} bytes")
            header = json.loads(file.read(length).decode("utf-8"))
        if not isinstance(header, dict):
            raise ValueError("its header is no table")
    except (ValueError, struct.error) as error:
        raise WeightsError(
            f"{path} ({size} bytes) is cut off or damaged: {error}; fetch it again"
        ) from error
    metadata = header.pop("__metadata__", {})
    for name, entry in header.items():
        problem = _entry_problem(entry, size - 8 - length)
        if problem:
            raise WeightsError(f"{path} is damaged at tensor {name}: {problem}; fetch it again")
    return metadata if isinstance(metadata, dict) else {}


def _entry_problem(entry: Any, data_bytes: int) -> str | None:
    try:
        start, end = entry["data_offsets"]
        itemsize, count = _BYTES.get(entry["dtype"]), math.prod(entry["shape"])
        if itemsize is None:
            return f"unknown type {entry['dtype']!r}"
        if end - start != itemsize * count:
            return f"{end - start} bytes for {entry['dtype']} values of shape {entry['shape']}"
        if not 0 <= start <= end:
            return f"it lies at bytes {start} to {end}"
    except (KeyError, TypeError, ValueError):
        return f"its entry reads {entry!r}"
    if end > data_bytes:
        return f"the file ends {end - data_bytes} bytes before the tensor does"
    return None


def checksum(tensor: torch.Tensor) -> int:
    """Return the CRC-32 of a tensor's bytes."""
    return zlib.crc32(tensor_bytes(tensor))


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor on the CPU, row-major, without a copy where it is contiguous."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _check_sums(path: Path, tensors: dict[str, torch.Tensor], text: str) -> None:
    try:
        sums = dict(json.loads(text))
    except ValueError as error:
        raise WeightsError(f"{path}: its checksums are damaged: {error}; fetch it again") from error
    for name, tensor in tensors.items():
        if sums.get(name) != checksum(tensor):
            raise WeightsError(
                f"{path} is damaged at tensor {name}: its checksum is wrong; fetch it again"
            )


def _read_shards(index: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for name, wanted in shard_tensors(index).items():
        shard = read_tensors(index.parent / name)
        missing = [key for key in wanted if key not in shard]
        if missing:
            raise WeightsError(f"{index.parent / name} lacks tensor {missing[0]} of {index.name}")
        tensors.update({key: shard[key] for key in wanted})
    return tensors


def shard_tensors(index: Path) -> dict[str, list[str]]:
    """Return the file names in an index of shards, each with the tensors that lie in it.

    Raises
    ------
    WeightsError
        If this is no index, or it names a file outside its own folder.
    """
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards: dict[str, list[str]] = {}
        for tensor, name in entries.items():
            shards.setdefault(name, []).append(tensor)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{index} is no index of weight files: {error!r}") from error
    for name in shards:
        # A name with a folder in it could point anywhere on the disk.
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise WeightsError(f"{index} names the file {name!r}, which is not beside it")
    return shards


def _read_pickle(path: Path, *, zipped: bool) -> dict[str, torch.Tensor]:
    try:
        if zipped:
            _check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} was not opened: it is damaged, or holds more than tensors{_called(error)}; a "
            "pickle of that kind can run any program. Ask for a safetensors file"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise WeightsError(
            f"{path} is cut off or damaged: {_first_line(error)}; fetch it again"
        ) from error
    return unwrap(content, path)


def _check_zip(path: Path) -> None:
    """Compare the checksum of each record: torch itself does not."""
    try:
        with zipfile.ZipFile(path) as archive:
            record = archive.testzip()
            tensor = None if record is None else _tensor_of(archive, record)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise WeightsError(f"{path} is cut off or damaged: {error}; fetch it again") from error
    if record is not None:
        where = f" at tensor {tensor}" if tensor else ""
        raise WeightsError(
            f"{path} is damaged{where}: the checksum of its record {record} is wrong; "
            "fetch it again"
        )


def _tensor_of(archive: zipfile.ZipFile, record: str) -> str | None:
    """Return the name of the tensor whose values are a record of torch's zip, if it can be told.

    Nothing is unpickled: of the pickle's instructions only the strings are read. A tensor's name
    is the last one before the number of its record, but for what every tensor has.
    """
    folder, _, number = record.rpartition("/data/")
    name = None
    try:
        for _, value, _ in pickletools.genops(archive.read(f"{folder}/data.pkl")):
            if isinstance(value, str) and value == number:
                return name
            if isinstance(value, str) and value not in ("storage", "cpu") and " " not in value:
                name = value
    except (KeyError, ValueError, zipfile.BadZipFile):
        pass  # the list of names is damaged itself
    return None


def _called(error: pickle.UnpicklingError) -> str:
    """Return what the pickle would have called, where torch says it."""
    name = re.search(r"GLOBAL (\S+)", str(error))
    return f" ({name[1]})" if name else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
