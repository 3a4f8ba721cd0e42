"""What a plane more and an object more cost when objects are propagated through a stack.

    python benchmarks/stacks.py [--planes 10 30 100 300 1000] [--objects 1 5 20 50]
                                [--repeats 3] [--json FILE]

Stacks of 128 x 128 pixels with discs on noise, the bundled model; every run encodes every plane
anew. Planes are varied with one object, objects on a stack of 30 planes. Seconds are wall time; the
median of the repeats, with their range.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from samari.engine.embedding import EmbeddingCache
from samari.engine.predict import Segmenter
from samari.engine.session import Session

SIDE, RADIUS = 128, 6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planes", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5, 20, 50])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="samari-tiny")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    model = Segmenter(arguments.model)
    run(model, 3, 1)  # whatever is slow the first time
    rows = []
    sizes = [(n, 1) for n in arguments.planes] + [(30, n) for n in arguments.objects]
    for planes, objects in sizes:
        seconds = [run(model, planes, objects) for _ in range(arguments.repeats)]
        median = float(np.median(seconds))
        rows.append({"planes": planes, "objects": objects, "seconds": seconds})
        print(
            f"{planes:5d} planes, {objects:3d} objects: {median:7.2f} s ({min(seconds):.2f} to "
            f"{max(seconds):.2f}), {1e3 * median / planes:6.1f} ms a plane, "
            f"{1e3 * median / planes / objects:6.1f} ms a plane and object",
            flush=True,
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


def run(model: Segmenter, planes: int, objects: int) -> float:
    """Return the seconds in which discs are propagated through a new stack."""
    centres = [(8 + 16 * row, 8 + 16 * col) for row in range(8) for col in range(8)][:objects]
    y, x = np.indices((SIDE, SIDE))
    discs = np.zeros((SIDE, SIDE), bool)
    for row, col in centres:
        discs |= (y - row) ** 2 + (x - col) ** 2 <= RADIUS**2
    noise = np.random.default_rng(0).integers(0, 40, (planes, SIDE, SIDE))
    image = (noise + 150 * discs).astype(np.uint8)
    fresh = Segmenter(model._loaded, cache=EmbeddingCache(64 * 2**20))
    session = Session(image, segmenter=fresh, axes="ZYX", contrast_limits=(0, 255))
    middle = planes // 2
    for row, col in centres:
        session.add_box((middle, row - RADIUS, col - RADIUS), (middle, row + RADIUS, col + RADIUS))
    labels = session.accept()
    start = time.perf_counter()
    report = session.propagate(labels)
    seconds = time.perf_counter() - start
    reached = [len(found) for found in report.confidence.values()]
    if min(reached, default=0) < 0.9 * planes:
        print(f"  note: an object ended after {min(reached, default=0)} of {planes} planes")
    return seconds


if __name__ == "__main__":
    main()
