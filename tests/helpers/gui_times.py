"""An instrument: how long our callbacks hold the thread of the window."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import threading
import time
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QAbstractItemModel

import samari.plugin

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

#: What a script or a test waits in, and no callback.
_WAITING = frozenset({"wait", "join", "settle"})
#: What Qt asks for each cell that it paints: thousands of microseconds' calls, beside which the
#: hundredth part of what the user sets off would not be seen.
_READING = frozenset({"data", "headerData", "rowCount", "columnCount"})


class GuiTimes:
    """Durations of our outermost calls on the thread that made this object.

    Every method and function of `samari.plugin` is wrapped; what is called from another one of
    ours belongs to the outermost call. That is the one which napari or Qt made: an event, a timer,
    a key, a button. It includes what napari does in it on our behalf.

    Attributes
    ----------
    names : list of str
        Qualified names of the outermost calls, in the order in which they ended.
    durations : list of float
        Seconds of each.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.durations: list[float] = []
        self._thread = threading.get_ident()
        self._depth = 0

    @property
    def total(self) -> float:
        """Seconds spent in our calls so far."""
        return sum(self.durations)

    def clear(self) -> None:
        """Forget what was measured."""
        self.names.clear()
        self.durations.clear()

    def percentile(self, share: float) -> float:
        """Return the duration in ms below which `share` percent of the calls lie."""
        return 1e3 * float(np.percentile(self.durations, share))

    def longest(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the longest calls as (name, ms)."""
        pairs = zip(self.names, self.durations, strict=True)
        ordered = sorted(pairs, key=lambda pair: -pair[1])
        return [(name, round(1e3 * seconds, 1)) for name, seconds in ordered[:count]]

    def __str__(self) -> str:
        """Tell p50, p99 and maximum."""
        if not self.durations:
            return "no callback"
        worst, ms = self.longest(1)[0]
        return (
            f"{len(self.durations)} callbacks: median {self.percentile(50):.2f} ms, "
            f"p99 {self.percentile(99):.1f} ms, maximum {ms:.1f} ms ({worst})"
        )

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wrap everything; objects made before keep what they have connected already."""
        for info in pkgutil.iter_modules(samari.plugin.__path__, "samari.plugin."):
            module = importlib.import_module(info.name)
            for owner in vars(module).copy().values():
                if inspect.isclass(owner) and owner.__module__ == module.__name__:
                    self._wrap_class(owner, monkeypatch)

    def _wrap_class(self, owner: type, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in vars(owner).copy().items():
            plain = inspect.isfunction(value) and not inspect.isgeneratorfunction(value)
            if plain and name not in _WAITING and not name.startswith("__"):
                read = name in _READING and issubclass(owner, QAbstractItemModel)
                monkeypatch.setattr(owner, name, self._timed(value, counted=not read))

    def _timed(self, function: Callable[..., Any], *, counted: bool) -> Callable[..., Any]:
        kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
        # Qt hands over as many arguments as a slot takes, and cannot see how many that is in here.
        most = None if inspect.Parameter.VAR_POSITIONAL in kinds else len(kinds)

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            arguments = arguments[:most]
            if self._depth or threading.get_ident() != self._thread:
                return function(*arguments, **options)
            self._depth = 1
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                if counted:
                    self.durations.append(time.perf_counter() - start)
                    self.names.append(function.__qualname__)
                self._depth = 0

        return timed
