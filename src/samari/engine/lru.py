"""A dictionary of limited size in bytes that forgets what was used longest ago."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable

Value = TypeVar("Value")


class ByteLru(Generic[Value]):
    """Values by key, at most `max_bytes` of them together.

    Every method may be called from any thread.

    Parameters
    ----------
    max_bytes : int
        Limit of the sum of the sizes given to `put`; 0 keeps nothing.

    Raises
    ------
    InputError
        If `max_bytes` is negative.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise InputError(f"a cache cannot hold {max_bytes} bytes; use 0 to keep nothing")
        self.max_bytes = int(max_bytes)
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._held = 0
        self._lock = Lock()

    def get(self, key: Hashable) -> Value | None:
        """Return the value of `key` and mark it as just used; None if it is not held."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: Hashable, value: Value, nbytes: int) -> None:
        """Hold `value`, and drop what was used longest ago until the limit is kept.

        A value that is larger than the whole cache is not held.
        """
        with self._lock:
            old = self._entries.pop(key, None)
            if old is not None:
                self._held -= old[1]
            if nbytes > self.max_bytes:
                return
            self._entries[key] = (value, nbytes)
            self._held += nbytes
            self._keep_limit()

    def limit(self, max_bytes: int) -> None:
        """Set another limit, and drop what is beyond it."""
        with self._lock:
            self.max_bytes = max(0, int(max_bytes))
            self._keep_limit()

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self._held = 0

    def _keep_limit(self) -> None:
        while self._held > self.max_bytes:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._held -= dropped

    @property
    def nbytes(self) -> int:
        """Sum of the sizes of what is held."""
        return self._held

    def __len__(self) -> int:
        """Return the number of values held."""
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        """Whether a value is held; does not count as a use."""
        return key in self._entries
