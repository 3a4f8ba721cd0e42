"""Embeddings on disk: a stack that was encoded once is not encoded again, in any later session.

docs/design/embeddings.md tells what is in a file and why.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import time
import warnings
import zlib
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from samari import __version__
from samari.engine.atomic import replacing
from samari.engine.embedding import Embedding
from samari.errors import InputError, SamariError
from samari.zoo.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

#: Room for 900 planes of the bundled model, or 450 of the published ones.
DEFAULT_BYTES = 2 * 10**9
#: What another version makes of the same pixels may be something else.
_MADE_BY = f"samari {__version__}"
_OWN = re.compile(r"[0-9a-f]{64}\.safetensors")
_PART = re.compile(r"\.[0-9a-f]{12}\.samari-part")
#: Seconds after which a part that nobody finished belongs to a program that died.
_ABANDONED = 3600.0
#: Embeddings that wait for a slow disk at most; further ones are not kept.
_MOST_WAITING = 32
#: After so many writes it is looked how much other programs have written meanwhile.
_LOOK_EVERY = 64


class EmbeddingFiles:
    """Keeps embeddings in a folder, one file each, of limited size together.

    What was used longest ago goes first. A file that is damaged, of another version of Samari, or
    not what its name says counts as not there, and is replaced; files with other names are left
    alone. Several processes may use one folder at once.

    Every method may be called from any thread. What the disk refuses costs time later, and nothing
    else: it is told once, and no method raises for it.

    Parameters
    ----------
    folder : path-like, optional
        By default `embeddings_dir`. Made with the first file.
    max_bytes : int or None
        Limit of the files together; None for no limit.
    half : bool
        Whether features are written in half precision: half the size, and masks that may differ in
        pixels at their edge. Files of both kinds are read.
    later : callable, optional
        Called with a function that writes a file, instead of writing at once: it hands it to
        another thread.
    told : callable, optional
        Called with one sentence, in the thread that writes, when files cannot be written; once,
        until they can again. By default a `RuntimeWarning`.

    Raises
    ------
    InputError
        If `max_bytes` is negative.

    Examples
    --------
    >>> import samari
    >>> from samari.engine.embedding import EmbeddingCache
    >>> cache = EmbeddingCache(files=EmbeddingFiles("encoded"))
    >>> segmenter = samari.Segmenter(cache=cache)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        max_bytes: int | None = DEFAULT_BYTES,
        *,
        half: bool = False,
        later: Callable[[Callable[[], None]], object] | None = None,
        told: Callable[[str], object] | None = None,
    ) -> None:
        if max_bytes is not None and max_bytes < 0:
            raise InputError(f"a cache cannot hold {max_bytes} bytes; use 0 to keep nothing")
        self.folder = embeddings_dir() if folder is None else Path(folder)
        self.max_bytes = max_bytes
        self.half = half
        self._later = later
        self._told = told or _warn
        self._lock = Lock()
        # How much is in the folder: as it was seen last, and what was written since.
        self._size = math.inf
        self._unseen = 0
        self._waiting = 0
        self._failing = False

    def get(self, key: str) -> Embedding | None:
        """Return the embedding with this key, on the CPU, and mark it as just used; or None."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        embedding = _read(content, key)
        if embedding is not None:
            with contextlib.suppress(OSError):  # a folder that can only be read serves as well
                os.utime(path)
        return embedding

    def put(self, embedding: Embedding) -> None:
        """Write an embedding under its own key, and remove what is beyond the limit."""
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                return
            self._waiting += 1
        # Here, because this is the thread of the device; only copying is left for the other one.
        write = partial(self._write, embedding, embedding.features.detach().cpu())
        if self._later is None:
            write()
        else:
            self._later(write)

    @property
    def nbytes(self) -> int:
        """Size of all embeddings in the folder, in bytes."""
        return sum(size for _, size, _ in self._files())

    def __len__(self) -> int:
        """Return the number of embeddings in the folder."""
        return sum(1 for _ in self._files())

    def __contains__(self, key: str) -> bool:
        """Whether there is a file with this key; does not count as a use."""
        return self._path(key).is_file()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _write(self, embedding: Embedding, features: torch.Tensor) -> None:
        with self._lock:
            self._waiting -= 1
        limit = math.inf if self.max_bytes is None else self.max_bytes
        content = _content(embedding, features, half=self.half)
        if len(content) > limit:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self._path(embedding.key)) as file:
                file.write(content)
        except (OSError, SamariError) as error:
            if not self._failing:
                self._failing = True
                self._told(f"encoded images cannot be kept on the disk: {error}")
            return
        self._failing = False
        with self._lock:
            self._size += len(content)
            self._unseen += 1
            if self._size > limit or self._unseen >= _LOOK_EVERY:
                self._size, self._unseen = self._trim(limit), 0

    def _trim(self, limit: float) -> int:
        """Remove what was used longest ago until the limit is kept; return the size of the rest."""
        files = sorted(self._files(), key=lambda file: file[2])
        total = sum(size for _, size, _ in files)
        for path, size, _ in files:
            if total <= limit:
                break
            with contextlib.suppress(OSError):  # Windows removes no file that is being read
                path.unlink(missing_ok=True)
                total -= size
        return total

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        """Yield path, size and time of the last use of all embeddings; remove abandoned parts."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # gone meanwhile
                    if _OWN.fullmatch(entry.name):
                        found = entry.stat()
                        yield Path(entry.path), found.st_size, found.st_mtime
                    elif _PART.fullmatch(entry.name):
                        if time.time() - entry.stat().st_mtime > _ABANDONED:
                            os.unlink(entry.path)


def embeddings_dir() -> Path:
    """Return the folder in which embeddings lie by default; it need not exist yet.

    The environment variable ``SAMARI_CACHE`` decides, and without it the user's folder for what can
    be made again (see `samari.zoo.paths.cache_dir`).
    """
    chosen = os.environ.get("SAMARI_CACHE")
    return Path(chosen).expanduser() if chosen else cache_dir() / "embeddings"


def _content(embedding: Embedding, features: torch.Tensor, *, half: bool) -> bytes:
    """Return the file of an embedding."""
    from safetensors.torch import save

    if half:
        smaller = features.half()
        # Beyond the largest number of this precision there is nothing to keep.
        features = smaller if bool(smaller.isfinite().all()) else features
    features = features.contiguous()
    said = {
        "key": embedding.key,
        "made_by": _MADE_BY,
        "plane_shape": "{},{}".format(*embedding.plane_shape),
        "input_shape": "{},{}".format(*embedding.input_shape),
        "crc32": str(zlib.crc32(features.numpy().data)),
    }
    content: bytes = save({"features": features}, said)
    return content


def _read(content: bytes, key: str) -> Embedding | None:
    """Return the embedding in a file, None if it is not what was written under this key."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    begin = 8 + int.from_bytes(content[:8], "little")
    try:
        said = json.loads(content[8:begin])["__metadata__"]
        if (said["key"], said["made_by"]) != (key, _MADE_BY):
            return None
        if int(said["crc32"]) != zlib.crc32(memoryview(content)[begin:]):
            return None
        plane_shape, input_shape = _shape(said["plane_shape"]), _shape(said["input_shape"])
        features = load(content)["features"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return None
    known = features.dtype in (torch.float32, torch.float16) and features.ndim == 4
    # The sum is finite only if all are, and is found in a tenth of the time.
    if not known or not bool(features.sum(dtype=torch.float64).isfinite()):
        return None
    # As the encoder leaves them: the decoder's last digits depend on the order in memory.
    features = features.float().contiguous(memory_format=torch.channels_last)
    return Embedding(features, plane_shape, input_shape, key)


def _shape(text: Any) -> tuple[int, int]:
    rows, cols = text.split(",")
    return int(rows), int(cols)


def _warn(problem: str) -> None:
    warnings.warn(problem, RuntimeWarning, stacklevel=2)
