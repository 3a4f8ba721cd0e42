"""Labelled images: read from a data folder, cut into augmented square crops.

A data folder holds ``index.json`` with a list ``items``; each item names an ``image`` and a
``label`` (PNG, 0 = background) or a ``volume`` (npz with ``image`` and ``labels``, axes ZYX), its
``dataset``, ``modality`` and ``split``. Splits are kept: training asks for ``train`` only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from samari.engine.planes import auto_contrast_limits, to_rgb_uint8
from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """One labelled plane.

    Attributes
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        Stretched by the same function as at inference (`samari.engine.planes`).
    labels : ndarray of int32, shape (H, W)
        0 is background.
    dataset, modality, key : str
        Where it comes from.
    group : str
        Planes of one acquisition share it; see `samari.train.scores` for the bootstrap.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    dataset: str
    modality: str
    key: str
    group: str


@dataclass(frozen=True)
class Crop:
    """A square cut-out: ``image`` (S, S, 3) uint8 and ``labels`` (S, S) int32."""

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]


def connected_parts(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Give every connected part of every label its own number.

    Parameters
    ----------
    labels : ndarray of int, shape (H, W)
        A plane through a 3D segmentation, in which one object may appear in several places.

    Returns
    -------
    ndarray of int32, shape (H, W)
        4-connected parts, numbered from 1.
    """
    from skimage.measure import label

    parts: NDArray[np.int32] = label(labels, background=0, connectivity=1).astype(np.int32)
    return parts


def stretch(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn a raw plane (H, W) or (H, W, 3) into (H, W, 3) uint8 exactly as inference does."""
    if plane.ndim == 3:
        return to_rgb_uint8(plane, None)
    return to_rgb_uint8(plane, auto_contrast_limits(plane))


def load_samples(
    folder: str | Path, split: str, sets: Iterable[str] | None = None, plane_step: int = 4
) -> list[Sample]:
    """Read every sample of one split.

    Parameters
    ----------
    folder : path
        Holds ``index.json``.
    split : str
        ``"train"`` or ``"val"``.
    sets : iterable of str, optional
        Names of the data sets to keep; all by default.
    plane_step : int
        Of a volume, every so many-th plane along Z is taken.

    Returns
    -------
    list of Sample

    Raises
    ------
    InputError
        The folder has no index or a damaged one, an item's files cannot be read, or nothing in it
        belongs to that split and those sets.
    """
    folder = Path(folder)
    index = folder / "index.json"
    if not index.is_file():
        raise InputError(f"{folder} is not a data folder: it has no index.json")
    items = _items(index)
    wanted = None if sets is None else set(sets)
    samples: list[Sample] = []
    for item in items:
        if item["split"] != split or (wanted is not None and item["dataset"] not in wanted):
            continue
        try:
            if "volume" in item:
                samples.extend(_volume_samples(folder, item, plane_step))
            else:
                samples.append(_image_sample(folder, item))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{index}: item {item['id']!r} cannot be read: {error}") from error
    if not samples:
        known = sorted({(item["dataset"], item["split"]) for item in items})
        raise InputError(
            f"no sample of split {split!r} in sets {sorted(wanted or [])}; the folder has {known}"
        )
    return samples


def _items(index: Path) -> list[dict[str, Any]]:
    """Return the items of an index, which have all that is needed."""
    try:
        items = json.loads(index.read_text(encoding="utf-8"))["items"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{index} is no index: {{"items": [...]}} is wanted ({error})') from error
    for number, item in enumerate(items):
        kind = ("volume",) if "volume" in item else ("image", "label")
        for key in ("id", "dataset", "split", "modality", *kind):
            if key not in item:
                raise InputError(f"{index}: item {number} ({item.get('id')}) has no {key!r}")
    return list(items)


def _image_sample(folder: Path, item: Mapping[str, Any]) -> Sample:
    image = np.asarray(Image.open(folder / item["image"]))
    labels = np.asarray(Image.open(folder / item["label"])).astype(np.int32)
    if image.shape[:2] != labels.shape:
        raise InputError(
            f"{item['label']} has the shape {labels.shape}, but {item['image']} has {image.shape}"
        )
    if image.ndim == 3:
        image = image[..., :3]
    return Sample(
        image=stretch(image),
        labels=labels,
        dataset=item["dataset"],
        modality=item["modality"],
        key=f"{item['dataset']}/{item['id']}/{item.get('layer', 'labels')}/{item['modality']}",
        group=f"{item['dataset']}/{item.get('group', item['id'])}",
    )


def _volume_samples(folder: Path, item: Mapping[str, Any], step: int) -> list[Sample]:
    with np.load(folder / item["volume"]) as volume:
        image, labels = volume["image"], volume["labels"]
    limits = auto_contrast_limits(image)
    return [
        Sample(
            image=to_rgb_uint8(image[z], limits),
            labels=connected_parts(labels[z]),
            dataset=item["dataset"],
            modality=item["modality"],
            key=f"{item['dataset']}/{item['id']}/{z}",
            group=f"{item['dataset']}/{item['id']}/{z}",
        )
        for z in range(0, len(image), step)
    ]


class CropSampler:
    """Draws augmented crops: a set by weight, an image of the set, a window around an object.

    Parameters
    ----------
    samples : sequence of Sample
    weights : mapping of str to float
        Weight of every data set (``dataset``); sets without a weight are left out.
    scale : (float, float)
        Range of the log-uniform enlargement.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        weights: Mapping[str, float],
        scale: tuple[float, float] = (0.5, 2.0),
    ) -> None:
        self._sets: dict[str, dict[str, list[Sample]]] = {}
        for sample in samples:
            if weights.get(sample.dataset, 0) > 0 and sample.labels.any():
                kinds = self._sets.setdefault(sample.dataset, {})
                kinds.setdefault(sample.modality, []).append(sample)
        if not self._sets:
            raise InputError(f"no sample has a weight above 0; weights are {dict(weights)}")
        self._names = sorted(self._sets)
        chances = np.array([weights[name] for name in self._names], dtype=float)
        self._chances = chances / chances.sum()
        self._scale = scale

    def draw(self, rng: np.random.Generator, size: int) -> Crop:
        """Draw one augmented crop of ``size`` x ``size`` pixels."""
        kinds = self._sets[self._names[rng.choice(len(self._names), p=self._chances)]]
        names = sorted(kinds)
        # Between proportional and equal: rare stains are seen often, and not memorised.
        counts = np.array([len(kinds[name]) for name in names], dtype=float) ** 0.7
        chosen = kinds[names[rng.choice(len(names), p=counts / counts.sum())]]
        sample = chosen[rng.integers(len(chosen))]
        low, high = np.log(self._scale[0]), np.log(self._scale[1])
        crop = cut(sample, size, float(np.exp(rng.uniform(low, high))), rng)
        return Crop(augment_intensity(crop.image, rng), crop.labels)


def cut(sample: Sample, size: int, scale: float, rng: np.random.Generator) -> Crop:
    """Cut a window around a random object, resize it to ``size`` and turn it at random.

    The window is moved into the image; an image smaller than the window is padded with zeros.
    """
    height, width = sample.labels.shape
    window = round(size / scale)
    window = max(min(window, max(height, width)), 24)
    if rng.random() < 0.85:
        # A random labelled pixel favours large objects; a random object is wanted.
        found = _random_object_pixel(sample.labels, rng)
        jitter = rng.uniform(-0.35, 0.35, 2) * window
        top, left = (np.array(found) + jitter - window / 2).astype(int)
    else:
        top = int(rng.integers(0, max(height - window, 0) + 1))
        left = int(rng.integers(0, max(width - window, 0) + 1))
    top = int(np.clip(top, 0, max(height - window, 0)))
    left = int(np.clip(left, 0, max(width - window, 0)))
    image = sample.image[top : top + window, left : left + window]
    labels = sample.labels[top : top + window, left : left + window]
    missing = ((0, window - labels.shape[0]), (0, window - labels.shape[1]))
    if missing[0][1] or missing[1][1]:
        image = np.pad(image, (*missing, (0, 0)))
        labels = np.pad(labels, missing)
    if window != size:
        image = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
        labels = np.asarray(Image.fromarray(labels).resize((size, size), Image.Resampling.NEAREST))
    turns = int(rng.integers(4))
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return Crop(np.ascontiguousarray(image), np.ascontiguousarray(labels, dtype=np.int32))


def _random_object_pixel(labels: NDArray[np.int32], rng: np.random.Generator) -> tuple[int, int]:
    # The first of some random pixels that is labelled is nearly free; objects that this misses
    # are found by their number.
    ids = np.unique(labels[:: max(1, labels.shape[0] // 128)])
    ids = ids[ids > 0]
    if not len(ids):
        ids = np.unique(labels)
        ids = ids[ids > 0]
    rows, cols = np.nonzero(labels == rng.choice(ids))
    pick = int(rng.integers(len(rows)))
    return int(rows[pick]), int(cols[pick])


def augment_intensity(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change contrast limits, gamma, polarity, colour, noise and sharpness at random.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Saturated at 0 and 255 like a layer whose limits cut the histogram.
    """
    colour = bool((image[..., 0] != image[..., 1]).any())
    values = (image if colour else image[..., :1]).astype(np.float32) / 255
    draw = rng.random(8)
    if draw[0] < 0.15:
        values = ndimage.gaussian_filter(values, (*[rng.uniform(0.4, 1.2)] * 2, 0))
    if draw[1] < 0.5:
        # The user's limits: narrower ones saturate, wider ones leave the image flat.
        low = rng.uniform(-0.15, 0.12)
        high = rng.uniform(0.5, 1.15) if draw[2] < 0.75 else rng.uniform(1.2, 5.0)
        values = (values - low) / (high - low)
    if draw[3] < 0.5:
        values = np.clip(values, 0, None) ** np.exp(rng.uniform(-0.6, 0.6))
    if draw[4] < 0.2:
        values = 1 - values
    if colour and draw[5] < 0.5:
        values = values * rng.uniform(0.8, 1.2, 3).astype(np.float32)
        if draw[5] < 0.1:
            values = values.mean(axis=2, keepdims=True)
    if draw[6] < 0.3:
        noise = rng.standard_normal(values.shape, dtype=np.float32)
        values = values + noise * np.float32(rng.uniform(0.01, 0.08))
    out = (np.clip(values, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(out, image.shape))
