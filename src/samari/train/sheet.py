"""A picture sheet of an evaluation: what a model does well, and where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from samari.train.evaluate import Example

#: Side of a picture on the sheet, and pixels between two of them.
SIDE, GAP, LINE = 144, 6, 16
TRUTH, GUESS, PROMPT = (0, 220, 90), (255, 60, 200), (255, 220, 0)


class Sheet:
    """Gathers examples and draws a row of them for each data set and measure.

    Parameters
    ----------
    count : int
        Pictures of each kind in a row: the worst tenth's, the middle's and the best third's are
        drawn at random, so that the row is no choice of anybody's.
    most : int
        Examples of a row that are kept to choose from, drawn at random from all.
    """

    def __init__(self, count: int = 3, most: int = 300) -> None:
        self._count = count
        self._most = most
        self._rng = np.random.default_rng(0)
        self._seen: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], list[tuple[float, Image.Image]]] = {}

    def add(self, example: Example) -> None:
        """Keep one example in case it is chosen."""
        key = (example.sample.dataset, example.measure)
        row = self._held.setdefault(key, [])
        self._seen[key] = self._seen.get(key, 0) + 1
        # Each of all that were seen is among those kept with the same chance (reservoir sampling).
        place = int(self._rng.integers(self._seen[key]))
        if len(row) < self._most:
            row.append((example.iou, _picture(example)))
        elif place < self._most:
            row[place] = (example.iou, _picture(example))

    def save(self, path: Path) -> None:
        """Write the sheet; the format is that of the file's name."""
        rows = [
            (f"{dataset}, {measure.replace('_', ' ')}", self._chosen(held))
            for (dataset, measure), held in self._held.items()
        ]
        width = GAP + max(len(row) for _, row in rows) * (SIDE + GAP)
        sheet = Image.new("RGB", (width, len(rows) * (SIDE + GAP + 2 * LINE) + GAP), "white")
        draw = ImageDraw.Draw(sheet)
        y = GAP
        for name, row in rows:
            draw.text((GAP, y), f"{name}: IoU low, middle, high", fill="black")
            y += LINE
            for number, (value, picture) in enumerate(row):
                x = GAP + number * (SIDE + GAP)
                sheet.paste(picture, (x, y))
                draw.text((x, y + SIDE), f"{value:.2f}", fill="black")
            y += SIDE + LINE + GAP
        sheet.save(path)

    def _chosen(self, held: list[tuple[float, Image.Image]]) -> list[tuple[float, Image.Image]]:
        ranked = sorted(held, key=lambda one: one[0])
        rng = np.random.default_rng(0)
        chosen: set[int] = set()
        for low, high in ((0.0, 0.1), (0.4, 0.6), (0.67, 1.0)):
            first = int(low * len(ranked))
            pool = np.arange(first, max(int(high * len(ranked)), first + 1))
            some = rng.choice(pool, min(self._count, len(pool)), replace=False)
            chosen.update(some.tolist())
        return [ranked[i] for i in sorted(chosen)]


def _picture(example: Example) -> Image.Image:
    """Return the surroundings of an object, the outlines of truth and guess, and the prompt."""
    rows, cols = np.nonzero(example.truth)
    half = max(16, int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)
    middle = (rows.min() + rows.max()) // 2, (cols.min() + cols.max()) // 2
    window = tuple(
        slice(max(0, at - half), min(length, at + half))
        for at, length in zip(middle, example.truth.shape, strict=True)
    )
    zoom = SIDE / (2 * half)
    # Reduced where objects are larger than the picture, enlarged pixel by pixel where smaller.
    size = tuple(max(1, round((part.stop - part.start) * zoom)) for part in window)[::-1]
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    small = Image.fromarray(np.ascontiguousarray(example.sample.image[window])).resize(size)
    picture[: size[1], : size[0]] = np.asarray(small)
    for mask, color in ((example.truth, TRUTH), (example.guess, GUESS)):
        large = Image.fromarray(mask[window]).resize(size, Image.Resampling.NEAREST)
        edge = _edge(np.asarray(large))
        picture[: size[1], : size[0]][edge] = color
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)

    def placed(y: float, x: float) -> tuple[float, float]:
        return (x + 0.5 - window[1].start) * zoom, (y + 0.5 - window[0].start) * zoom

    for point in example.prompts.points:
        x, y = placed(*point)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=PROMPT)
    if example.prompts.box is not None:
        box = example.prompts.box
        draw.rectangle((*placed(*box[:2]), *placed(*box[2:])), outline=PROMPT)
    return image


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    edge: NDArray[np.bool_] = mask & ~ndimage.binary_erosion(mask)
    return edge
