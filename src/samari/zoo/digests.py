"""Hashes of files: ``sha256``, ``md5``, and ``xxh128`` where `xxhash` is installed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHUNK = 1 << 22


def can_check(digest: str | None) -> bool:
    """Tell whether a published hash (``"xxh128:<hex>"``) can be computed here."""
    return digest is not None and _hasher(digest.partition(":")[0]) is not None


def file_digest(path: Path, kind: str, cancelled: Callable[[], object] = lambda: None) -> str:
    """Return the hash of a file, as ``"<kind>:<hex>"``.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"sha256", "md5", "xxh128"}
        Which hash; `can_check` says whether there is one.
    cancelled : callable
        Called between chunks; it raises to stop.
    """
    hasher = _hasher(kind)
    assert hasher is not None
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            cancelled()
            hasher.update(chunk)
    return f"{kind}:{hasher.hexdigest()}"


def _hasher(kind: str) -> Any:
    if kind == "xxh128":
        try:
            import xxhash
        except ImportError:
            return None
        return xxhash.xxh128()
    return hashlib.new(kind, usedforsecurity=False)
