"""Checks of single values that a user hands over."""

from __future__ import annotations

import operator
from typing import Any

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
