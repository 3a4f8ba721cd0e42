"""Work in steps: a generator that yields after each and returns its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from samari.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

Value = TypeVar("Value")


def result_of(steps: Generator[Any, None, Value]) -> Value:
    """Run all steps at once, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value


def watched(
    steps: Generator[tuple[int, int], None, Value],
    progress: Callable[[int, int], object] | None,
    cancel: Callable[[], bool] | None,
) -> Generator[tuple[int, int], None, Value]:
    """Go through steps that yield (done, total); tell of each, and ask after it whether to stop.

    Raises
    ------
    Cancelled
        If `cancel` said so.
    """
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value
        if progress is not None:
            progress(done, total)
        if cancel is not None and cancel():
            raise Cancelled(f"encoding was cancelled after {done} of {total} blocks")
        yield done, total
