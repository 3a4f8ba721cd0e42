"""Time the ViT-B encoder beside its peers: ``python benchmarks/encoder.py samari transformers``.

The weights are random, the image has 1024 x 1024 pixels; ``--size huge`` takes a ViT-H. All that
are named take turns in one process, and so does the floor. ``--memory`` instead loads and encodes
once, each in a process of its own, and reports the largest resident memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

import numpy as np
import torch
import vit_b
from floor import floor
from measure import interleaved, ratio, save, spread

from samari.sam import vit_config


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(vit_b.ENCODERS))
    parser.add_argument("-n", type=int, default=5, help="turns")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--size", default="base", choices=("base", "large", "huge"))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    vit_b.MODEL = arguments.size
    size = "" if arguments.size == "base" else f"{arguments.size}-"
    if arguments.here:
        vit_b.ENCODERS[arguments.names[0]]()(vit_b.pixels())
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    elif arguments.memory:
        save(f"memory-{size}{_file(arguments.names)}", memory(arguments.names))
    else:
        save(f"encoder-{size}{_file(arguments.names)}", times(arguments.names, arguments.n))


def _file(names: list[str]) -> str:
    return "+".join(name.replace(", ", "-").replace(" ", "-") for name in names)


def times(names: list[str], n: int) -> dict:
    """Return seconds, ratios to ours, errors against transformers' plain result, and the floor."""
    image = vit_b.pixels()
    encoders = {name: vit_b.ENCODERS[name]() for name in names}
    found = {name: encode(image) for name, encode in encoders.items()}
    half = any("bfloat16" in name for name in names)
    dtype = torch.bfloat16 if half else torch.float32
    config = vit_config(vit_b.MODEL).vision_config
    floors: list[dict[str, float]] = []
    seconds = interleaved(
        {name: lambda e=e: e(image) for name, e in encoders.items()},
        n,
        lambda: floors.append(floor(config, dtype, 1)),
    )
    best = {part: float(np.median([one[part] for one in floors])) for part in floors[0]}
    sums = [sum(one.values()) for one in floors]
    reference = "transformers" if "transformers" in names else names[-1]
    return {
        "n": n,
        "model": vit_b.MODEL,
        "seconds": seconds,
        "summary": {name: spread(values) for name, values in seconds.items()},
        "over_samari": {name: ratio(seconds, name, names[0]) for name in names if name != names[0]},
        "max_error": {
            name: float(np.abs(found[name] - found[reference]).max())
            for name in names
            if name != reference
        },
        "floor": {
            "parts": best,
            "seconds": float(np.median(sums)),
            "turns": sums,
            "dtype": str(dtype),
        },
        "over_floor": {
            name: ratio({name: seconds[name], "floor": sums}, name, "floor")["median"]
            for name in names
        },
    }


def memory(names: list[str]) -> dict:
    """Return the peak of the resident memory in GiB, load and one encoding included."""
    vit_b.weights()
    peaks = {}
    for name in names:
        command = [sys.executable, __file__, name, "--size", vit_b.MODEL, "--here", "--threads"]
        done = subprocess.run(
            [*command, str(torch.get_num_threads())], stdout=subprocess.PIPE, text=True, check=True
        )
        peaks[name] = float(done.stdout.split()[-1])
    return {"model": vit_b.MODEL, "peak_gib": peaks}


if __name__ == "__main__":
    main()
