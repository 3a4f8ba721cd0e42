"""Pictures to learn from: what the engine would show the model for prompts on labelled objects."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import find_objects

from samari.engine.frames import FrameRule
from samari.engine.pictures import ArrayPicture, read_tile
from samari.engine.prompts import PlanePrompts
from samari.engine.tiles import TilePyramid
from samari.errors import InputError
from samari.train.prompts import centre_click

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from samari.engine.tiles import Tile
    from samari.sam.model import SamModel
    from samari.sam.vision_encoder import SamVisionEncoder
    from samari.train.data import Sample

T = TypeVar("T")
#: Pictures that are kept: an embedding takes up to 4 MB, pixels up to 12 MB while the encoder
#: learns. A new one comes every so many steps.
_MOST, _EVERY = 128, 4
#: Pictures of one sample that come one after the other.
_AT_ONCE = 4
#: Objects of a sample whose tiles are looked for.
_ASKED = 40


def encoded(
    encoder: SamVisionEncoder, pixels: torch.Tensor, tell: T
) -> Generator[T, None, torch.Tensor]:
    """Return the (1, C, h, w) embedding of (1, 3, H, W) pixels, without gradients.

    ``tell`` is yielded after every block, so that a caller can stop or serve others.
    """
    blocks = encoder.steps(pixels)
    while True:
        with torch.no_grad():
            try:
                next(blocks)
            except StopIteration as end:
                embedding: torch.Tensor = end.value
                return embedding
        yield tell


@dataclass(eq=False)
class Lesson:
    """One picture in the model's frame, with labels.

    Attributes
    ----------
    pixels : Tensor of float32, shape (1, 3, h, w)
        Empty once `kept_features` has used them.
    labels : Tensor of int32, shape (1, h, w)
        0 is background, and what was padded.
    clicked, boxed : tuple of int
        The objects that are answered in this picture when they are clicked on, or boxed.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    clicked: tuple[int, ...]
    boxed: tuple[int, ...]
    _embedding: torch.Tensor | None = None

    def features(self, model: SamModel) -> torch.Tensor:
        """Return the embedding (1, C, h, w), with gradients."""
        fresh: torch.Tensor = model.vision_encoder(self.pixels).last_hidden_state
        return fresh

    def kept_features(self, model: SamModel, tell: T) -> Generator[T, None, torch.Tensor]:
        """Return the embedding (1, C, h, w) of an encoder that does not learn, computed once.

        Parameters
        ----------
        model : SamModel
        tell : object
            Yielded after every block, so that a caller can stop or serve others.
        """
        if self._embedding is None:
            self._embedding = yield from encoded(model.vision_encoder, self.pixels, tell)
            # It takes more memory than the embedding, and nobody needs it any more.
            self.pixels = self.pixels.new_empty(0)
        return self._embedding

    def window(self, side: int, patch: int, rng: np.random.Generator) -> Lesson:
        """Return a part around a random object, where the picture is larger.

        Parameters
        ----------
        side : int
            Rows and columns at most, in pixels of the frame.
        patch : int
            The part begins at a multiple of it.
        rng : numpy.random.Generator
        """
        height, width = self.labels.shape[1:]
        if max(height, width) <= side:
            return self
        numbers = torch.unique(self.labels)
        chosen = int(rng.choice(numbers[numbers > 0].numpy()))
        inside = torch.nonzero(self.labels[0] == chosen)
        middle = inside[int(rng.integers(len(inside)))].tolist()
        spans = []
        for at, length in zip(middle, (height, width), strict=True):
            wanted = at - int(rng.integers(side - patch + 1))
            first = min(max(wanted, 0), max(length - side, 0)) // patch * patch
            spans.append(slice(first, first + side))
        rows, cols = spans
        part = self.pixels[..., rows, cols], self.labels[:, rows, cols]
        return Lesson(*part, self.clicked, self.boxed)


def lessons_of(
    model: SamModel, samples: Iterable[Sample], rng: np.random.Generator, most: int
) -> list[Lesson]:
    """Return the pictures in which the objects of samples are answered, at most so many.

    Parameters
    ----------
    model : SamModel
        Says how it wants its pictures.
    samples : iterable of Sample
    rng : numpy.random.Generator
        Chooses, where there are more.
    most : int

    Raises
    ------
    InputError
        There is no object in them.
    """
    rule = FrameRule.of(model.config)
    found = [one for sample in samples for one in _asked(sample, rule, rng)]
    found = [found[i] for i in rng.permutation(len(found))]
    # Where small objects are seen enlarged, such pictures are many, and all clicks are in others.
    clicked = [one for one in found if one.clicked]
    boxed = [one for one in found if not one.clicked]
    chosen = clicked[: max(most - len(boxed), most // 2)]
    chosen += boxed[: most - len(chosen)]
    if not chosen:
        raise InputError("there is no object to learn from")
    return [_lesson(one, rule) for one in chosen]


@dataclass
class _Asked:
    """A tile of a sample, and the objects that are answered in it."""

    sample: Sample
    tile: Tile
    clicked: list[int] = field(default_factory=list)
    boxed: list[int] = field(default_factory=list)


def _asked(sample: Sample, rule: FrameRule, rng: np.random.Generator) -> list[_Asked]:
    """Return the tiles that answer clicks and boxes on objects of a sample."""
    pyramid = TilePyramid(sample.labels.shape, rule.image_size, rule.zoom)
    places = {i: place for i, place in enumerate(find_objects(sample.labels), start=1) if place}
    tiles: dict[Tile, _Asked] = {}
    for number in rng.permutation(list(places))[:_ASKED].tolist():
        y, x = places[number]
        mask = sample.labels[y, x] == number
        row, col = centre_click(mask)
        click = PlanePrompts(((row + y.start, col + x.start),), (1,))
        box = PlanePrompts(box=(y.start - 0.5, x.start - 0.5, y.stop - 0.5, x.stop - 0.5))
        extent = (y.start, x.start, y.stop, x.stop)
        for prompts in (click, box):
            # The engine goes on to coarser tiles as long as the mask is cut.
            tile = next(
                tile
                for tile in pyramid.for_prompts(prompts)
                if tile == pyramid.whole or not pyramid.is_cut(tile, extent)
            )
            one = tiles.setdefault(tile, _Asked(sample, tile))
            (one.clicked if prompts is click else one.boxed).append(number)
    return list(tiles.values())


def _lesson(asked: _Asked, rule: FrameRule) -> Lesson:
    sample, tile = asked.sample, asked.tile
    rgb = read_tile(ArrayPicture(sample.image), tile)
    enlarge = 1 << -tile.level if tile.level < 0 else 1
    frame = rule.frame(tile.shape, enlarge)
    y0, x0, y1, x1 = tile.box
    rows, cols = frame.input_shape
    labels = Image.fromarray(np.ascontiguousarray(sample.labels[y0:y1, x0:x1]))
    padded = np.zeros(frame.padded_shape, np.int32)
    padded[:rows, :cols] = np.asarray(labels.resize((cols, rows), Image.Resampling.NEAREST))
    objects = tuple(asked.clicked), tuple(asked.boxed)
    return Lesson(frame.pixels(rgb), torch.from_numpy(padded)[None], *objects)


def turned(sample: Sample, way: int) -> Sample:
    """Return a sample turned by ``way % 4`` quarters, and mirrored from 4 on."""
    image, labels = np.rot90(sample.image, way % 4), np.rot90(sample.labels, way % 4)
    if way >= 4:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return replace(sample, image=np.ascontiguousarray(image), labels=np.ascontiguousarray(labels))


class Samples(Protocol):
    """A sequence of samples, of which each may be made when it is asked for."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, number: int, /) -> Sample:
        """Return one of them."""


class LessonBook:
    """The pictures to train on: at first few, and more of them, in other positions, by and by.

    So the first step comes soon, and of a large encoder, whose pictures take seconds each, no more
    are encoded than there are steps to use them.

    Parameters
    ----------
    model : SamModel
    samples : sequence of Sample
    seed : int
    most : int
        Pictures that are kept.
    """

    def __init__(self, model: SamModel, samples: Samples, seed: int = 0, most: int = _MOST) -> None:
        if not any(samples[i].labels.any() for i in range(len(samples))):
            raise InputError("there is no object to learn from")
        self._coming = _pictures(model, samples, np.random.default_rng([seed, 11]))
        self._lessons: list[Lesson] = []
        self._drawn, self._most = 0, most

    def draw(self, rng: np.random.Generator) -> Lesson:
        """Return a lesson: every so many times a new one, or one of those at random."""
        step, self._drawn = self._drawn, self._drawn + 1
        if len(self._lessons) * _EVERY <= step and len(self._lessons) < self._most:
            lesson = next(self._coming)
            self._lessons.append(lesson)
            return lesson
        return self._lessons[int(rng.integers(len(self._lessons)))]


def _pictures(model: SamModel, samples: Samples, rng: np.random.Generator) -> Iterator[Lesson]:
    """Yield pictures for ever: those of every sample as it is, then in any position."""
    ways = [0]
    while True:
        for i in rng.permutation(len(samples)):
            sample = turned(samples[i], int(rng.choice(ways)))
            if sample.labels.any():
                yield from lessons_of(model, [sample], rng, most=_AT_ONCE)
        ways = list(range(8))
