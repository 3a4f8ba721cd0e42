"""Does it matter where an object lies in the grid of tiles? Measured on objects of real images.

Each object is segmented from the same click and from the same box three times: in the middle of a
tile, where two tiles meet, and where four meet. The masks are compared with the first one.

    python benchmarks/seams.py DATA [--objects 60] [--model samari-tiny] [--json FILE]

DATA is a data folder as `samari train` reads it (docs/training.md).
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from samari.engine.pictures import ArrayPicture
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.engine.tiled import answer_each
from samari.engine.tiles import TilePyramid
from samari.train.data import load_samples
from samari.train.evaluate import objects_of
from samari.train.measures import iou
from samari.train.prompts import centre_click, object_box

PLACES = ("in the middle of a tile", "across two tiles", "across four tiles")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--model", default="samari-tiny")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    model = Segmenter(arguments.model)
    rng = np.random.default_rng(0)
    samples = load_samples(arguments.data, "val", ["dsb2018", "bbbc039"])
    samples = [one for one in samples if min(one.labels.shape) >= 256]
    found: dict[str, dict[str, list[float]]] = {"click": {}, "box": {}}
    levels = []
    count = 0
    while count < arguments.objects:
        sample = samples[rng.integers(len(samples))]
        masks = objects_of(sample.labels)
        if not masks:
            continue
        mask = masks[rng.integers(len(masks))]
        count += 1
        first: dict[str, np.ndarray] = {}
        for place in PLACES:
            picture, move = moved(sample.image, mask, place, model.picture_size)
            click = np.add(centre_click(mask), move)
            box = np.add(object_box(mask), (*move, *move))
            prompts = {
                "click": PlanePrompts((tuple(click),), (1,)),
                "box": PlanePrompts(box=tuple(box)),
            }
            answers = answer_each(model, ArrayPicture(picture), list(prompts.values()))
            for kind, answer in zip(prompts, answers, strict=True):
                levels.append(answer.tile.level if answer.tile else -1)
                best = answer.best[move[0] :, move[1] :][: mask.shape[0], : mask.shape[1]]
                if place == PLACES[0]:
                    first[kind] = best
                else:
                    found[kind].setdefault(place, []).append(iou(best, first[kind]))
    result = {"model": model.model_name, "hash": model.model_hash[:12], "objects": count}
    print(f"{model.model_name} {model.model_hash[:12]}, {count} objects, IoU with the first place")
    for kind, places in found.items():
        for place, values in places.items():
            median, low = np.median(values), np.percentile(values, 5)
            result[f"{kind}, {place}"] = {"median": float(median), "5th percentile": float(low)}
            print(f"  {kind}, {place}: median {median:.3f}, 5th percentile {low:.3f}")
    shares = {level: levels.count(level) / len(levels) for level in sorted(set(levels))}
    print("  levels:", ", ".join(f"{level}: {share:.0%}" for level, share in shares.items()))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


def moved(
    image: np.ndarray, mask: np.ndarray, place: str, side: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a larger picture in which the object lies at a place of the grid, and by how much.

    What is beyond the image is its mirror image.
    """
    y, x = np.round(centre_click(mask)).astype(int)
    step = side // 2
    # Tiles begin at multiples of `step`: their middles are multiples of it too, `step` or more.
    offset = {PLACES[0]: (0, 0), PLACES[1]: (0, step // 2), PLACES[2]: (step // 2, step // 2)}[
        place
    ]
    move = tuple(
        int(-at % step + wanted + 4 * step) for at, wanted in zip((y, x), offset, strict=True)
    )
    after = 4 * step
    picture = np.pad(image, ((move[0], after), (move[1], after), (0, 0)), mode="symmetric")
    shape = (picture.shape[0], picture.shape[1])
    tile = TilePyramid(shape, side).at((y + move[0], x + move[1]))
    middle = np.add(tile.box[:2], tile.box[2:]) / 2 - (y + move[0], x + move[1])
    assert sorted(np.abs(middle)) == sorted(offset), (middle, offset)
    return picture, (move[0], move[1])


if __name__ == "__main__":
    main()
