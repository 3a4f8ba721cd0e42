#!/usr/bin/env python
"""Quality of propagation on stacks with truth, against two simple ways to do it.

Every object gets one prompt, the box around it on its plane of largest area; the same prompts and
model for all three, asked as those of a user are. `samari` is `Session.propagate` for all objects
in one run. The baselines go from plane to plane in both directions, object by object: (a) previous
mask's box grown by 2.5 %, one mask, stop when the overlap with the previous mask is below 0.8; (b)
the previous mask's point farthest from its outline, one mask, stop below 0.5. Printed are the mean
3D overlap, the share of objects of at least 0.5, and the mean of the paired difference with its
bootstrap interval.

usage: propagation.py DATA [--objects N] [--model NAME] [--stacks NAME ...] [--json FILE]

DATA holds fibsem_medulla/z130_149.npz, stardist3d/img3d.npz and plantseg3d/1135_mini.npz, each with
`image` and `labels` (ZYX). The generated stack of the sample data is the fourth.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.pictures import PlanePicture
from samari.engine.planes import PlaneIndex
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.engine.regions import Region
from samari.engine.session import Session
from samari.engine.steps import result_of
from samari.engine.tiled import answer_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

FILES = {
    "fibsem_medulla": "fibsem_medulla/z130_149.npz",
    "stardist3d": "stardist3d/img3d.npz",
    "plantseg3d": "plantseg3d/1135_mini.npz",
}
#: Smallest largest plane of an object, in pixels.
SMALLEST = 30


def stacks(folder: Path, names: list[str]) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Yield name, image and truth."""
    for name in names:
        if name == "generated":
            from samari.plugin.sample_data import nuclei_stack

            yield name, *nuclei_stack()
        else:
            with np.load(folder / FILES[name]) as file:
                yield name, file["image"], file["labels"]


def objects(truth: NDArray[Any], most: int) -> list[tuple[int, int]]:
    """Return label and plane of largest area, evenly thinned to at most so many."""
    found = []
    for label in np.unique(truth[truth > 0]):
        areas = np.count_nonzero(truth == label, axis=(1, 2))
        if areas.max() >= SMALLEST:
            found.append((int(label), int(areas.argmax())))
    return found[:: max(1, -(-len(found) // most))] if most else found


def overlap(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return intersection over union."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0


def box_around(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Return the box along the edges of the pixels."""
    region = Region.of(mask)
    assert region is not None
    return region.grown_box(0.0)


def by_box(mask: NDArray[np.bool_]) -> PlanePrompts:
    """Return the prompt of baseline (a)."""
    region = Region.of(mask)
    assert region is not None
    return PlanePrompts(box=region.grown_box(0.025))


def by_point(mask: NDArray[np.bool_]) -> PlanePrompts:
    """Return the prompt of baseline (b)."""
    region = Region.of(mask)
    assert region is not None
    return PlanePrompts((region.interior,), (1,))


def baseline(
    session: Session,
    segmenter: Segmenter,
    seeds: dict[int, tuple[int, NDArray[np.bool_]]],
    prompt: Callable[[NDArray[np.bool_]], PlanePrompts],
    stop: float,
) -> dict[int, NDArray[np.bool_]]:
    """Follow each object by itself."""
    found = {}
    depth = session.planes.label_shape[0]
    for label, (plane, seed) in seeds.items():
        whole = np.zeros(session.planes.label_shape, bool)
        whole[plane] = seed
        for way in (1, -1):
            last, index = seed, plane + way
            while 0 <= index < depth and last.any():
                picture = PlanePicture(session.planes, PlaneIndex("YX", (index,)))
                answer = result_of(answer_steps(segmenter, picture, prompt(last), False))
                if overlap(answer.mask, last) < stop:
                    break
                last = whole[index] = answer.mask
                index += way
        found[label] = whole
    return found


def scores_of(
    image: NDArray[Any], truth: NDArray[Any], segmenter: Segmenter, most: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Return the 3D overlap of every object, and the seconds, by method."""
    session = Session(image, axes="ZYX", segmenter=segmenter)
    seeds, labels = {}, {}
    for label, plane in objects(truth, most):
        picture = PlanePicture(session.planes, PlaneIndex("YX", (plane,)))
        box = box_around(truth[plane] == label)
        mask = result_of(answer_steps(segmenter, picture, PlanePrompts(box=box))).mask
        seeds[label] = plane, mask
        session.add_box((plane, box[0], box[1]), (plane, box[2], box[3]))
        try:
            (labels[label],) = session.accept()
        except ValueError:
            session.discard()  # nothing of it is free
    results, seconds = {}, {}
    for name, prompt, stop in (("a", by_box, 0.8), ("b", by_point, 0.5)):
        start = time.perf_counter()
        found = baseline(session, segmenter, seeds, prompt, stop)
        seconds[name] = time.perf_counter() - start
        results[name] = np.array([overlap(found[one], truth == one) for one in seeds])
    start = time.perf_counter()
    session.propagate(labels.values())
    seconds["samari"] = time.perf_counter() - start
    results["samari"] = np.array(
        [
            overlap(session.labels == labels[one], truth == one) if one in labels else 0.0
            for one in seeds
        ]
    )
    return results, seconds


def interval(differences: NDArray[np.float64], times: int = 10_000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (times, len(differences))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--objects", type=int, default=0, help="of each stack; all by default")
    parser.add_argument("--model", default="samari-tiny")
    parser.add_argument("--stacks", nargs="+", default=[*FILES, "generated"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    segmenter = Segmenter(arguments.model)
    print(f"{segmenter.model_name} {segmenter.model_hash[:12]}")
    everything: dict[str, list[NDArray[np.float64]]] = {"a": [], "b": [], "samari": []}
    for name, image, truth in stacks(arguments.data, arguments.stacks):
        results, seconds = scores_of(image, truth, segmenter, arguments.objects)
        print(f"{name}: {len(results['a'])} objects")
        for method, values in results.items():
            everything[method].append(values)
            share = np.mean(values >= 0.5)
            took = seconds[method]
            print(f"  {method:7} mean {values.mean():.3f}, >= 0.5: {share:.2f}, {took:.0f} s")
        report({method: [values] for method, values in results.items()})
    print("all stacks, every object alike:")
    report(everything)
    means = {method: np.mean([v.mean() for v in values]) for method, values in everything.items()}
    print("mean of the stacks:", ", ".join(f"{m} {value:.3f}" for m, value in means.items()))
    if arguments.json:
        lists = {method: [v.tolist() for v in values] for method, values in everything.items()}
        arguments.json.write_text(json.dumps({"stacks": arguments.stacks, **lists}))


def report(results: dict[str, list[NDArray[np.float64]]]) -> None:
    """Print the paired differences to both baselines."""
    ours = np.concatenate(results["samari"])
    for other in ("a", "b"):
        differences = ours - np.concatenate(results[other])
        low, high = interval(differences)
        print(f"  samari - {other}: {differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]")


if __name__ == "__main__":
    main()
