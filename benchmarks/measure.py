"""Paired measurements: A B A B in one process, medians with ranges, one JSON file a run."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).resolve().parents[1] / "runs" / "bench"


def interleaved(
    actions: dict[str, Callable[[], Any]], n: int, after: Callable[[], Any] = lambda: None
) -> dict[str, list[float]]:
    """Run all in turn, `n` times, and return their seconds; each ran once before, to warm up.

    `after` is called at the end of each turn.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(n):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
        after()
    return seconds


def ratio(seconds: dict[str, list[float]], one: str, other: str) -> dict[str, float]:
    """Return how many times as long one takes as the other: the pairs' median and range."""
    pairs = np.divide(seconds[one], seconds[other])
    return {"median": float(np.median(pairs)), "low": pairs.min(), "high": pairs.max()}


def spread(values: list[float], unit: float = 1.0) -> str:
    """Return a median with its range."""
    low, middle, high = np.min(values) / unit, np.median(values) / unit, np.max(values) / unit
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def machine() -> str:
    """Return what the figures were measured on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    level = torch.backends.cpu.get_cpu_capability()
    return (
        f"{name}, {len(os.sched_getaffinity(0))} cores, {level}, {torch.get_num_threads()} threads,"
        f" torch {torch.__version__}"
    )


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result, and print it."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine(), **result}
    text = json.dumps(result, indent=1, default=float)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
