"""Image embeddings: what the encoder makes of one plane, once, and the memory that keeps them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.lru import ByteLru
from samari.errors import InputError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from samari.engine.embedding_files import EmbeddingFiles


@dataclass(frozen=True, eq=False)
class Embedding:
    """One encoded plane.

    Attributes
    ----------
    features : (1, C, h, w) float tensor
        The image embedding; h and w count tokens.
    plane_shape : (int, int)
        Rows and columns H, W of the plane.
    input_shape : (int, int)
        Rows and columns of the plane as the encoder saw it: after the resize, before the padding.
    key : str
        From `content_key`: equal keys mean equal embeddings.
    """

    features: torch.Tensor
    plane_shape: tuple[int, int]
    input_shape: tuple[int, int]
    key: str

    @property
    def nbytes(self) -> int:
        """Memory of the features, in bytes."""
        return self.features.numel() * self.features.element_size()


class EmbeddingCache:
    """Keeps the embeddings used last, by content.

    Every method may be called from any thread. Several `Segmenter` may share one cache, because
    the key of an embedding names its model.

    Parameters
    ----------
    max_bytes : int
        Limit of the embeddings together. One of the bundled model takes 2 MiB, one of the
        published SAM models 4 MiB.
    files : EmbeddingFiles, optional
        Where they are kept beyond the end of the program. Nothing is written to the disk without.
    """

    def __init__(self, max_bytes: int = 2**30, files: EmbeddingFiles | None = None) -> None:
        self._held: ByteLru[Embedding] = ByteLru(max_bytes)
        self.files = files

    def get(self, key: str) -> Embedding | None:
        """Return the embedding with this key, or None; from the disk it takes milliseconds."""
        found = self._held.get(key)
        if found is None and self.files is not None:
            found = self.files.get(key)
            if found is not None:
                self._held.put(key, found, found.nbytes)
        return found

    def put(self, embedding: Embedding) -> None:
        """Hold an embedding under its own key."""
        self._held.put(embedding.key, embedding, embedding.nbytes)
        if self.files is not None:
            self.files.put(embedding)

    @property
    def max_bytes(self) -> int:
        """Limit of the embeddings together."""
        return self._held.max_bytes

    def limit(self, max_bytes: int) -> None:
        """Set another limit, and drop what was used longest ago until it is kept."""
        self._held.limit(max_bytes)

    def clear(self) -> None:
        """Drop every embedding from memory."""
        self._held.clear()

    @property
    def nbytes(self) -> int:
        """Memory of all embeddings held, in bytes."""
        return self._held.nbytes

    def __len__(self) -> int:
        """Return the number of embeddings held."""
        return len(self._held)

    def __contains__(self, key: str) -> bool:
        """Whether an embedding with this key is held in memory."""
        return key in self._held


def content_key(
    rgb: NDArray[np.uint8], model_hash: str, plane_shape: tuple[int, int] | None = None
) -> str:
    """Return the name of the embedding of these pixels by this model.

    It depends on what is in the array and not on where it came from: a picture changed in place
    has another key, an equal picture in another layer the same (trap 7). Contrast limits and
    channel count because they are in the pixels.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
        What is encoded.
    model_hash : str
        Content hash of the weights.
    plane_shape : (int, int), optional
        Rows and columns that `rgb` stands for, if they are not its own.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        If `rgb` is not uint8 of shape (H, W, 3).
    """
    check_rgb(rgb)
    digest = hashlib.sha256()  # has instructions of its own on current processors
    stands_for = rgb.shape[:2] if plane_shape is None else tuple(plane_shape)
    digest.update(f"{model_hash}|{rgb.shape}|{stands_for}|".encode())
    digest.update(np.ascontiguousarray(rgb).data)
    return digest.hexdigest()


def check_rgb(rgb: Any) -> None:
    """Raise an InputError unless `rgb` is a uint8 array of shape (H, W, 3) with at least one pixel.

    Raises
    ------
    InputError
        Names the shape and the dtype.
    """
    if (
        not isinstance(rgb, np.ndarray)
        or rgb.dtype != np.uint8
        or rgb.ndim != 3
        or rgb.shape[2] != 3
        or 0 in rgb.shape
    ):
        shape = getattr(rgb, "shape", None)
        raise InputError(
            f"an RGB plane must be a uint8 array of shape (H, W, 3), got "
            f"{getattr(rgb, 'dtype', type(rgb).__name__)} of shape {shape}; "
            "samari.engine.planes.to_rgb_uint8 makes one"
        )
