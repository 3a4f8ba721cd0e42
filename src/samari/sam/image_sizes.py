"""The ways in which the processors take sizes."""

from __future__ import annotations

from typing import Any


def longest_edge(name: str, size: Any) -> dict[str, int]:
    """Return ``{"longest_edge": n}`` of such a dict or of n."""
    if isinstance(size, int):
        return {"longest_edge": size}
    if not isinstance(size, dict) or "longest_edge" not in size:
        raise ValueError(f"{name} must be {{'longest_edge': pixels}} or a number, got {size!r}")
    return size


def both_sides(name: str, size: Any) -> dict[str, int]:
    """Return ``{"height": h, "width": w}`` of such a dict, of (h, w) or of a number."""
    if isinstance(size, int):
        return {"height": size, "width": size}
    if isinstance(size, (tuple, list)) and len(size) == 2:
        return {"height": int(size[0]), "width": int(size[1])}
    if not isinstance(size, dict) or not {"height", "width"} <= size.keys():
        raise ValueError(
            f"{name} must be {{'height': pixels, 'width': pixels}} or a number, got {size!r}"
        )
    return size


def as_pair(sides: dict[str, int]) -> tuple[int, int]:
    """Return (height, width) of ``{"height": h, "width": w}``."""
    return sides["height"], sides["width"]


def as_pairs(sizes: Any) -> list[tuple[int, int]]:
    """Return (height, width) pairs of a list, an array or a tensor."""
    return [(int(height), int(width)) for height, width in sizes]


def preprocess_shape(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return (height, width) when the longest edge becomes `longest`.

    A very thin image keeps one pixel, where the reference comes to none and fails.
    """
    scale = longest / max(size)
    height, width = (max(1, int(side * scale + 0.5)) for side in size)
    return height, width
