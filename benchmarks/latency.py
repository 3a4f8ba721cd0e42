"""Time a model's load, encoding and clicks on this machine: ``python benchmarks/latency.py``."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import skimage.data
import torch

from samari.engine.planes import to_rgb_uint8
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Print medians and ranges in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="samari-tiny", help="a model name, folder or file")
    parser.add_argument("--side", type=int, default=512, help="rows and columns of the image")
    parser.add_argument("-n", type=int, default=20, help="repeats of a click; a third of encoding")
    arguments = parser.parse_args()
    start = time.perf_counter()
    segmenter = Segmenter(arguments.model)
    print(f"load {1e3 * (time.perf_counter() - start):.0f} ms (once)")
    image = skimage.data.camera()
    image = np.tile(image, [-(-arguments.side // n) for n in image.shape])
    rgb = to_rgb_uint8(image[: arguments.side, : arguments.side])

    def encode() -> None:
        segmenter.cache.clear()
        segmenter.encode(rgb)

    measure("encode", encode, max(3, arguments.n // 3))
    embedding = segmenter.encode(rgb)
    places = iter(np.random.default_rng(0).uniform(0, arguments.side - 1, (1000, 2)))

    def click() -> None:
        segmenter.predict_prompts(embedding, PlanePrompts((next(places),), (1,)))

    measure("first click (3 candidates)", click, arguments.n)
    prompts = PlanePrompts((next(places),), (1,))

    def further() -> None:
        nonlocal prompts
        prompts = prompts.with_point(next(places))
        segmenter.predict_prompts(embedding, prompts)

    further()
    measure("further click", further, arguments.n)
    many = [PlanePrompts((next(places),), (1,)) for _ in range(32)]
    measure("32 objects at once", lambda: segmenter.predict_many(embedding, many), 3)
    print(f"{segmenter.device}, {torch.get_num_threads()} threads, {segmenter.model_name}")


def measure(name: str, action: Callable[[], object], repeats: int) -> None:
    """Run once to warm up, then print the median and the range of the repeats."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - start))
    low, high = min(times), max(times)
    print(f"{name}: {np.median(times):.1f} ms, {low:.1f} to {high:.1f}, n = {repeats}")


if __name__ == "__main__":
    main()
