"""Segment Anything inside napari: prompt an object, keep its mask.

The names below are the public interface; each is imported when it is first used, so that
``import samari`` costs milliseconds and needs neither torch nor Qt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samari.engine.predict import Segmenter
    from samari.engine.session import Session
    from samari.errors import SamariError
    from samari.plugin.controller import annotate

__version__ = "0.1.0"

__all__ = ["SamariError", "Segmenter", "Session", "__version__", "annotate"]

_HOMES = {
    "SamariError": "samari.errors",
    "Segmenter": "samari.engine.predict",
    "Session": "samari.engine.session",
    "annotate": "samari.plugin.controller",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'samari' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what is public, whether it was imported yet or not."""
    return sorted([*globals(), *_HOMES])
