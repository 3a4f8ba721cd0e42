"""Work in steps: a generator that yields after each and returns its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

Value = TypeVar("Value")


def result_of(steps: Generator[Any, None, Value]) -> Value:
    """Run all steps at once, and return what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value
