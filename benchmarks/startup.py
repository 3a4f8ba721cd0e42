"""Time the start in fresh processes: ``python benchmarks/startup.py [MODEL]``.

From a model's name to its first embedding, against a plain read of its file and one encoding by the
model that is loaded by then; and the import of each room of the package.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
from measure import save, spread

ROOMS = (
    "samari",
    "samari.sam",
    "samari.zoo",
    "samari.engine.predict",
    "samari.train",
    "samari.cli",
)
#: What a room may load only when it needs it.
HEAVY = ("torch", "napari", "qtpy", "scipy", "skimage", "transformers", "h5py", "zarr")


def main() -> None:
    """Measure in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="samari-tiny", help="a name, folder or file")
    parser.add_argument("--side", type=int, default=512, help="rows and columns of the image")
    parser.add_argument("-n", type=int, default=5, help="processes")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(_start(arguments.model, arguments.side)))
        return
    command = [__file__, arguments.model, "--side", str(arguments.side), "--here"]
    starts = [json.loads(_run(*command)) for _ in range(arguments.n)]
    rooms = {}
    for room in ROOMS:
        code = (
            f"import sys, time; s = time.perf_counter(); import {room}; "
            f"print(time.perf_counter() - s, *[m for m in {HEAVY} if m in sys.modules])"
        )
        found = [_run("-c", code).split() for _ in range(arguments.n)]
        seconds = spread([float(seconds) for seconds, *_ in found])
        rooms[room] = {"seconds": seconds, "loads": found[0][1:]}
    over = [one["start"] / (one["read"] + one["encode"]) for one in starts]
    save(
        "startup",
        {
            "n": arguments.n,
            "model": str(arguments.model),
            "summary": {key: spread([one[key] for one in starts]) for key in starts[0]},
            "start_over_read_and_encode": spread(over),
            "rooms": rooms,
        },
    )


def _run(*command: str) -> str:
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


def _start(name: str, side: int) -> dict[str, float]:
    """Return seconds: the file, load and first embedding, a further one."""
    from samari.engine.predict import Segmenter
    from samari.sam.weights_files import find_weights
    from samari.zoo.store import resolve

    file = find_weights(resolve(name))
    rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file.read_bytes()  # so that both readings find it in memory
    start = time.perf_counter()
    file.read_bytes()
    read = time.perf_counter() - start
    start = time.perf_counter()
    segmenter = Segmenter(name, device="cpu")
    segmenter.encode(rgb)
    whole = time.perf_counter() - start
    segmenter.cache.clear()
    start = time.perf_counter()
    segmenter.encode(rgb)
    return {"read": read, "start": whole, "encode": time.perf_counter() - start}


if __name__ == "__main__":
    main()
