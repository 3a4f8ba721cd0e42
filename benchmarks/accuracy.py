"""How far masks in bfloat16 are from those in float32: ``python benchmarks/accuracy.py``.

On images that scikit-image brings along, with the bundled model or (``--base``) a ViT-B of random
weights: the masks of a grid of clicks, the candidate of the highest float32 score of each. With
``--data FOLDER`` a click on every object of labelled images (`samari.train.data`) instead: many
clicks of a grid lie on no object, and what a click on nothing means is decided by little.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import skimage.data
import torch
import vit_b
from measure import save

from samari.engine.everything_plane import grid
from samari.engine.planes import to_rgb_uint8
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.train.data import load_samples
from samari.train.evaluate import iou, objects_of
from samari.train.prompts import centre_click
from samari.zoo.store import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    #: Name of an image or its data set, the image (H, W, 3), and places (y, x) to click on.
    Asked = tuple[str, NDArray[np.uint8], list[tuple[float, float]]]

IMAGES = ("coins", "camera", "cell", "immunohistochemistry", "page", "moon")


def main() -> None:
    """Compare the masks of both precisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", action="store_true", help="a ViT-B with random weights")
    parser.add_argument("--images", type=int, help="so many images only (of each data set)")
    parser.add_argument("--side", type=int, default=16, help="clicks a side")
    parser.add_argument("--data", type=Path, help="folder of labelled images")
    arguments = parser.parse_args()
    folder = vit_b.weights() if arguments.base else resolve("samari-tiny")
    exact, half = (Segmenter(folder, "cpu", dtype) for dtype in ("float32", "bfloat16"))
    asked = _of_grid(arguments.side) if arguments.data is None else _of_objects(arguments.data)
    overlaps: list[float] = []
    names: Counter[str] = Counter()
    for name, rgb, points in asked:
        if arguments.images is not None and names[name] == arguments.images:
            continue
        names[name] += 1
        prompts = [PlanePrompts((point,), (1,)) for point in points]
        answers = [s.predict_many(s.encode(rgb), prompts, True) for s in (exact, half)]
        for one, other in zip(*answers, strict=True):
            best = one.best_index
            if one.boxes[best] is not None:
                overlaps.append(iou(other.masks[best], one.masks[best]))
    what = ("base" if arguments.base else "bundled") + ("-objects" if arguments.data else "")
    save(
        f"accuracy-{what}",
        {
            "images": names,
            "masks": len(overlaps),
            "mean": float(np.mean(overlaps)),
            "5th percentile": float(np.quantile(overlaps, 0.05)),
            "minimum": float(np.min(overlaps)),
            "packed": exact.model.vision_encoder.layers[0].attn.qkv.is_packed,
            "packed in bfloat16": half.model.vision_encoder.layers[0].attn.qkv.is_packed,
            "torch": torch.__version__,
        },
    )


def _of_grid(side: int) -> Iterator[Asked]:
    for name in IMAGES:
        rgb = to_rgb_uint8(np.asarray(getattr(skimage.data, name)()))
        points, _ = grid(rgb.shape[:2], side)
        yield name, rgb, [(float(y), float(x)) for y, x in points]


def _of_objects(data: Path) -> Iterator[Asked]:
    """Yield what of each labelled image fits into 512 pixels a side."""
    for sample in load_samples(data, "val"):
        rgb = to_rgb_uint8(sample.image)[:512, :512]
        masks = objects_of(sample.labels[:512, :512])
        if masks:
            yield sample.dataset, rgb, [centre_click(mask) for mask in masks]


if __name__ == "__main__":
    main()
