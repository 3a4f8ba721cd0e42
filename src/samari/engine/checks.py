"""Checks of single values that a user hands over."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from samari.errors import InputError


def whole_number(value: Any, what: str) -> int:
    """Return a value that must be a whole number.

    Raises
    ------
    InputError
        If it is none; the message begins with `what`.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise InputError(f"{what} must be a whole number, not {value!r}") from None


def whole_numbers(values: Any, what: str) -> list[int]:
    """Return a value that must be a whole number or a sequence of them, each one once.

    Raises
    ------
    InputError
        If it is none; the message begins with `what`.
    """
    single = not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0
    several = [values] if single or isinstance(values, str) else values
    return list(dict.fromkeys(whole_number(value, what) for value in several))


def own_number(value: Any) -> Any:
    """Return a number of numpy as Python's own; anything else as it is."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    for kind, make in ((np.bool_, bool), (np.integer, int), (np.floating, float)):
        if isinstance(value, kind):
            return make(value)
    return value


def file_name(value: Any, what: str) -> str:
    """Return a value that must be a path.

    Raises
    ------
    InputError
        If it is none; the message begins with `what`.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise InputError(f"{what} must be the path of a file, not {value!r}")
    return os.fspath(value)


def listed(values: Any, what: str) -> list[Any]:
    """Return a value that must be a sequence, as a list.

    Raises
    ------
    InputError
        If it is none; the message begins with `what`.
    """
    if not isinstance(values, Iterable):
        raise InputError(f"{what} must be a sequence, not {values!r}")
    return list(values)
