"""Time images that are not square, and several at once: ``python benchmarks/shapes.py``.

A half image (H x H/2) beside a whole one, each through the engine: on a ViT-B of random weights,
which pads it to a square as published, and on the bundled model as it is and as a copy that pads.
Then planes of the bundled model one by one and four at a time. ``--data FOLDER`` instead compares
masks: those of the bundled model, which does not pad, with its padding copy's, on all objects of
the half images (at most 512 x 256 pixels) of the data's validation images.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
import vit_b
from measure import interleaved, ratio, save, spread

from samari.engine.pictures import ArrayPicture
from samari.engine.predict import Segmenter
from samari.engine.prompts import PlanePrompts
from samari.engine.tiled import answer_each
from samari.train.data import load_samples
from samari.train.evaluate import objects_of
from samari.train.measures import iou
from samari.train.prompts import centre_click, object_box
from samari.zoo.store import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

SETS = ("dsb2018", "usiigaci", "axon_sem", "fibsem_medulla")


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="turns")
    parser.add_argument("--data", type=Path, help="labelled images, see docs/training.md")
    parser.add_argument("--images", type=int, default=6, help="of each data set at most")
    arguments = parser.parse_args()
    if arguments.data is not None:
        save("padding", {"sets": {name: masks(arguments, name) for name in SETS}})
        return
    with TemporaryDirectory() as folder:
        padding = Segmenter(_padding(Path(folder)), "cpu", "float32")
        bundled = Segmenter("samari-tiny", "cpu", "float32")
        base = Segmenter(vit_b.weights(), "cpu", "float32")
        actions = {}
        for name, one, side in (
            ("ViT-B, padded", base, 1024),
            ("samari-tiny, padded", padding, 512),
            ("samari-tiny", bundled, 512),
        ):
            for shape in ((side, side), (side, side // 2)):
                actions[f"{name}, {shape[0]} x {shape[1]}"] = _encoding(one, shape)
        planes = torch.randn(4, 3, 512, 512)
        actions["four planes at once"] = lambda: _embed(bundled, planes)
        actions["four planes, one by one"] = lambda: [_embed(bundled, p[None]) for p in planes]
        for action in actions.values():
            action()
        seconds = interleaved(actions, arguments.n)
    names = list(actions)
    pairs = dict(zip(names[1::2], names[::2], strict=True))
    pairs = {half: whole for half, whole in pairs.items() if "planes" not in half}
    pairs["four planes at once"] = "four planes, one by one"
    save(
        "shapes",
        {
            "n": arguments.n,
            "summary": {name: spread(values) for name, values in seconds.items()},
            "ratios": {f"{one} / {all_}": ratio(seconds, one, all_) for one, all_ in pairs.items()},
            "seconds": seconds,
        },
    )


def masks(arguments: argparse.Namespace, name: str) -> dict:
    """Return, for clicks and boxes, how well masks with and without padding agree.

    Means over objects: IoU of both masks, and of each with the label.
    """
    samples = load_samples(arguments.data, "val", [name])
    samples = samples[:: max(1, len(samples) // arguments.images)][: arguments.images]
    found: dict[str, list[tuple[float, float, float]]] = {"click": [], "box": []}
    with TemporaryDirectory() as folder:
        names = "samari-tiny", _padding(Path(folder))
        models = [Segmenter(one, "cpu", "float32") for one in names]
        for sample in samples:
            picture = ArrayPicture(np.ascontiguousarray(sample.image[:512, :256]))
            truths = objects_of(sample.labels[:512, :256])
            prompts = {
                "click": [PlanePrompts((centre_click(truth),), (1,)) for truth in truths],
                "box": [PlanePrompts(box=object_box(truth)) for truth in truths],
            }
            for kind, asked in prompts.items():
                answers = (answer_each(model, picture, asked) for model in models)
                for own, padded, truth in zip(*answers, truths, strict=True):
                    one, other = own.best, padded.best
                    found[kind].append((iou(one, other), iou(one, truth), iou(other, truth)))
    return {
        kind: {
            "objects": len(values),
            "images": len(samples),
            **dict(zip(("agree", "own", "padded"), np.mean(values, 0).tolist(), strict=True)),
        }
        for kind, values in found.items()
    }


def _padding(folder: Path) -> Path:
    """Return a copy of the bundled model that pads images to the square of its frame."""
    copy = folder / "padding"
    shutil.copytree(resolve("samari-tiny"), copy)
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    config["samari"]["pad"] = True
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return copy


def _encoding(segmenter: Segmenter, shape: tuple[int, int]) -> Callable[[], None]:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)

    def encode() -> None:
        segmenter.cache.clear()
        segmenter.encode(rgb)

    return encode


@torch.inference_mode()
def _embed(segmenter: Segmenter, planes: torch.Tensor) -> None:
    segmenter.model.get_image_embeddings(planes)


if __name__ == "__main__":
    main()
