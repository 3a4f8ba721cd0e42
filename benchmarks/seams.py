"""Does it matter where an object lies in the grid of tiles? Measured on objects of real images.

Each object is segmented from the same click and from the same box three times: in the middle of a
tile, where two tiles meet, and where four meet, in the grid of the tiles that this prompt is
answered in. The masks are compared with the first one.

    python benchmarks/seams.py DATA [--objects 60] [--on-the-grid] [--model NAME] [--json FILE]

A tile that is seen enlarged has its small box in its middle, so that such boxes are answered alike
wherever they lie. `--on-the-grid` takes only objects whose boxes are answered in tiles of the grid.

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
from samari.engine.tiles import Tile, TilePyramid
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
    parser.add_argument("--on-the-grid", action="store_true")
    parser.add_argument("--model", default="samari-tiny")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    model = Segmenter(arguments.model)
    rng = np.random.default_rng(0)
    samples = load_samples(arguments.data, "val", ["dsb2018", "bbbc039"])
    samples = [one for one in samples if min(one.labels.shape) >= 256]
    found: dict[str, dict[str, list[float]]] = {"click": {}, "box": {}}
    levels: dict[str, list[int]] = {"click": [], "box": []}
    count = 0
    while count < arguments.objects:
        sample = samples[rng.integers(len(samples))]
        masks = objects_of(sample.labels)
        if not masks:
            continue
        mask = masks[rng.integers(len(masks))]
        box = PlanePrompts(box=tuple(object_box(mask)))
        if arguments.on_the_grid and first_tile(box, model).level < 0:
            continue
        count += 1
        for kind, prompt in (
            ("click", PlanePrompts((tuple(centre_click(mask)),), (1,))),
            ("box", box),
        ):
            masks = {}
            for place in PLACES:
                picture, move = moved(sample.image, mask, prompt, place, model)
                answer = answer_each(model, ArrayPicture(picture), [shifted(prompt, move)])[0]
                assert answer.tile is not None
                levels[kind].append(answer.tile.level)
                best = answer.best[move[0] :, move[1] :]
                masks[place] = best[: mask.shape[0], : mask.shape[1]]
            for place in PLACES[1:]:
                found[kind].setdefault(place, []).append(iou(masks[place], masks[PLACES[0]]))
    result = {"model": model.model_name, "hash": model.model_hash[:12], "objects": count}
    print(f"{model.model_name} {model.model_hash[:12]}, {count} objects, IoU with the first place")
    for kind, places in found.items():
        for place, values in places.items():
            median, low = np.median(values), np.percentile(values, 5)
            result[f"{kind}, {place}"] = {"median": float(median), "5th percentile": float(low)}
            print(f"  {kind}, {place}: median {median:.3f}, 5th percentile {low:.3f}")
        shares = {one: levels[kind].count(one) for one in sorted(set(levels[kind]))}
        print("  levels:", ", ".join(f"{one} ({share})" for one, share in shares.items()))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


def shifted(prompt: PlanePrompts, move: tuple[int, int]) -> PlanePrompts:
    """Return a prompt so many rows and columns further."""
    y, x = move
    return prompt.within((-y, -x, -y + 1, -x + 1))


def first_tile(prompt: PlanePrompts, model: Segmenter) -> Tile:
    """Return the tile that is asked first where the plane has no end."""
    side = model.picture_size
    free = TilePyramid((16 * side, 16 * side), side, model.zoom_size)
    return next(free.for_prompts(shifted(prompt, (8 * side, 8 * side))))


def moved(
    image: np.ndarray, mask: np.ndarray, prompt: PlanePrompts, place: str, model: Segmenter
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return a larger picture in which the prompt lies at a place of the grid, and by how much.

    What is beyond the image is its mirror image.
    """
    side, zoom = model.picture_size, model.zoom_size
    tile = first_tile(prompt, model)
    # Tiles begin at multiples of `step`: their middles are multiples of it too, `step` or more.
    step = tile.shape[0] // 2
    offset = (step // 2 * (place == PLACES[2]), step // 2 * (place != PLACES[0]))
    (y, x) = np.round(middle_of(prompt)).astype(int)
    move = (int(-y % step + offset[0] + 4 * side), int(-x % step + offset[1] + 4 * side))
    after = 4 * side
    picture = np.pad(image, ((move[0], after), (move[1], after), (0, 0)), mode="symmetric")
    pyramid = TilePyramid((picture.shape[0], picture.shape[1]), side, zoom)
    tile = next(pyramid.for_prompts(shifted(prompt, move)))
    middle = np.add(tile.box[:2], tile.box[2:]) / 2 - (y + move[0], x + move[1])
    # A prompt where tiles meet is answered in one of them, whichever is a rounding closer; of a
    # tile that is seen enlarged it is in the middle, wherever it lies.
    expected = offset if tile.level >= 0 else 0
    assert np.abs(np.abs(middle) - expected).max() <= 1, (middle, expected)
    return picture, move


def middle_of(prompt: PlanePrompts) -> np.ndarray:
    """Return the (row, column) that decides which tile answers."""
    if prompt.box is None:
        return np.array(prompt.points[0])
    return np.add(prompt.box[:2], prompt.box[2:]) / 2


if __name__ == "__main__":
    main()
