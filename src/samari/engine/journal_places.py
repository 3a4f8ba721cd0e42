"""Where the journals of labels that were not saved yet lie, and whose image each belongs to."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from samari.engine.journal import JournalLog, read_journal
from samari.engine.journal_file import ENDING, is_held
from samari.engine.journal_opening import image_json
from samari.engine.resume import labels_of
from samari.errors import SamariError
from samari.zoo.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samari.engine.planes import ImagePlanes


def journals_dir() -> Path:
    """Return the folder of the journals of what was not saved; it need not exist yet.

    The environment variable ``SAMARI_JOURNALS`` decides, and without it the user's data folder.
    """
    chosen = os.environ.get("SAMARI_JOURNALS")
    return Path(chosen).expanduser() if chosen else data_dir() / "journals"


def identity(planes: ImagePlanes, name: str | None) -> str:
    """Return 16 digits that tell an image from others.

    Its shape and a sample of its values; its name too, where the values are not in memory and are
    not read.
    """
    told = image_json(planes, name)
    known = ["shape", "dtype", "axes", "rgb", "fingerprint"]
    if told["fingerprint"] is None:
        known.append("name")
    content = repr([told[field] for field in known])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def new_journal(planes: ImagePlanes, name: str | None) -> Path:
    """Return a name for the journal of a session on an image, which no other session has."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", name or "image").strip("-")[:40] or "image"
    unique = uuid.uuid4().hex[:8]
    return journals_dir() / f"{readable}-{identity(planes, name)}-{unique}{ENDING}"


def find_lost(
    planes: ImagePlanes, name: str | None, known: Iterable[str] = ()
) -> tuple[Path, JournalLog] | None:
    """Return the newest journal of an image that nobody holds and that leads to an object.

    Journals that cannot be read are left alone, and so are the `known` ones.
    """
    left_out = {os.path.realpath(path) for path in known}
    own = journals_dir().glob(f"*-{identity(planes, name)}-*{ENDING}")
    for file in sorted(own, key=_changed, reverse=True):
        try:
            if os.path.realpath(file) in left_out or is_held(file):
                continue
            log = read_journal(file)
            if labels_of(log, planes).any():
                return file, log
        except (SamariError, OSError):
            continue
    return None


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
