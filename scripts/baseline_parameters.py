"""Choose the parameters of the baselines on the train split: ``... FOLDER`` (with index.json).

Prints the mean IoU from one click for every set of parameters, one line each, the best last. The
mean is over the data sets, so that the largest does not decide alone.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from samari.train.baselines import LocalFlood, RandomWalker, SeededWatershed
from samari.train.data import load_samples
from samari.train.evaluate import objects_of
from samari.train.measures import iou
from samari.train.prompts import centre_click

SETS = ("dsb2018", "bbbc039", "usiigaci", "axon_sem", "fibsem_medulla")
SIGMA, RADIUS = (1.0, 2.0), (16, 24, 40)
GRIDS: dict[Any, dict[str, tuple[float, ...]]] = {
    SeededWatershed: {"sigma": SIGMA, "radius": RADIUS},
    RandomWalker: {"sigma": SIGMA, "radius": (16, 24), "beta": (100.0, 1000.0, 5000.0)},
    LocalFlood: {"sigma": SIGMA, "radius": RADIUS, "tolerance": (0.5, 1.0, 1.5, 2.0)},
}


def main() -> None:
    """Score every set of parameters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=6, help="of every data set")
    parser.add_argument("--objects", type=int, default=8, help="of every image")
    arguments = parser.parse_args()
    prompts = {name: list(_prompts(name, arguments)) for name in SETS}
    for kind, grid in GRIDS.items():
        lines = []
        for values in itertools.product(*grid.values()):
            make = partial(kind, **dict(zip(grid, values, strict=True)))
            means = [_mean(make, of_set) for of_set in prompts.values()]
            lines.append((float(np.mean(means)), dict(zip(grid, values, strict=True)), means))
        for mean, values, means in sorted(lines, key=lambda line: line[0]):
            print(f"{kind.__name__} {values}: {mean:.3f}", np.round(means, 3), flush=True)


def _prompts(name: str, arguments: argparse.Namespace) -> Any:
    samples = load_samples(arguments.folder, "train", [name])
    rng = np.random.default_rng(0)
    for number in rng.permutation(len(samples))[: arguments.images]:
        masks = objects_of(samples[number].labels)
        some = [masks[i] for i in rng.permutation(len(masks))[: arguments.objects]]
        yield samples[number].image, some


def _mean(make: Any, of_set: Any) -> float:
    values = []
    for image, masks in of_set:
        answers = make(image)
        values += [iou(answers.under(centre_click(mask)), mask) for mask in masks]
    return float(np.mean(values))


if __name__ == "__main__":
    main()
