"""What tests of the journal do again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samari.engine.journal_places import journals_dir

if TYPE_CHECKING:
    from pathlib import Path


def click(c: Any, *point: float) -> list[int]:
    """Click on an object and accept it."""
    c.points.add(list(point))
    assert c.wait()
    return list(c.accept())


def journals() -> list[Path]:
    """Return the journals of what was not saved."""
    return sorted(journals_dir().glob("*")) if journals_dir().exists() else []
