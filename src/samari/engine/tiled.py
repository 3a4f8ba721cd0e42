"""Prompts on a plane of any size: which tiles are encoded for them, and when one is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from samari.engine.pictures import pixels_read, read_tile
from samari.engine.steps import result_of
from samari.engine.tiles import TilePyramid, by_next_tile

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from samari.engine.embedding import Embedding
    from samari.engine.pictures import Picture
    from samari.engine.predict import Segmenter
    from samari.engine.prediction import Prediction
    from samari.engine.prompts import PlanePrompts
    from samari.engine.tiles import Tile

#: Pixels that are read for one tile at most, if there is an answer from a smaller one: a click
#: beside all objects must not read an image of many gigabytes to find that out.
MAX_READ = 2**26


def encode_tile(
    segmenter: Segmenter, picture: Picture, tile: Tile
) -> Generator[tuple[int, int], None, Embedding]:
    """Encode one tile of a plane, unless its embedding is held; see `Segmenter.encode_steps`."""
    rgb = read_tile(picture, tile)
    if tile.level < 0:
        return (yield from segmenter.encode_steps(rgb, enlarge=1 << -tile.level))
    if rgb.shape[:2] == tile.shape:
        return (yield from segmenter.encode_steps(rgb))
    return (yield from segmenter.encode_steps(rgb, tile.shape))


def answer_steps(
    segmenter: Segmenter,
    picture: Picture,
    prompts: PlanePrompts,
    multimask: bool | None = None,
) -> Generator[tuple[int, int], None, Prediction]:
    """Segment one object of a plane of any size, step by step.

    The finest tile that holds the prompts is asked first; then coarser ones, as long as the best
    mask reaches an edge at which the plane goes on.

    Parameters
    ----------
    segmenter : Segmenter
    picture : Picture
        Only the parts that are encoded are read.
    prompts : PlanePrompts
        In pixels of the plane.
    multimask : bool, optional
        See `Segmenter.predict`.

    Yields
    ------
    (int, int)
        Blocks of the encoder done and in all, of each tile; nothing of those whose embedding is
        held.

    Returns
    -------
    Prediction
        On the plane.
    """
    pyramid = TilePyramid(picture.shape, segmenter.picture_size, segmenter.zoom_size)
    options = () if multimask is None else (multimask,)
    answer: Prediction | None = None
    for tile in _affordable(picture, pyramid, prompts):
        embedding = yield from encode_tile(segmenter, picture, tile)
        found = segmenter.predict_prompts(embedding, prompts.within(tile.box), *options)
        answer = on_plane(found, tile, pyramid)
        if not pyramid.is_cut(tile, answer.bbox(answer.best_index)):
            break
    assert answer is not None  # the first tile is always affordable
    return answer


def answer_each(
    segmenter: Segmenter,
    picture: Picture,
    prompts: Sequence[PlanePrompts],
    multimask: bool | None = None,
) -> list[Prediction]:
    """Segment many objects of a plane, independent of each other.

    Those that lie in one tile are decoded in batches. Each answer is that of `answer_steps`, within
    float32.

    Parameters
    ----------
    segmenter, picture, multimask
        As for `answer_steps`.
    prompts : sequence of PlanePrompts
        One object each.

    Returns
    -------
    list of Prediction
        In the order of the prompts.
    """
    pyramid = TilePyramid(picture.shape, segmenter.picture_size, segmenter.zoom_size)
    answers: dict[int, Prediction] = {}
    tiles = {i: _affordable(picture, pyramid, one) for i, one in enumerate(prompts)}
    while tiles:
        for tile, members in by_next_tile(tiles).items():
            embedding = result_of(encode_tile(segmenter, picture, tile))
            local = [prompts[i].within(tile.box) for i in members]
            found = segmenter.predict_many(embedding, local, multimask)
            for i, one in zip(members, found, strict=True):
                answers[i] = answer = on_plane(one, tile, pyramid)
                if not pyramid.is_cut(tile, answer.bbox(answer.best_index)):
                    del tiles[i]
    return [answers[i] for i in range(len(prompts))]


def _affordable(picture: Picture, pyramid: TilePyramid, prompts: PlanePrompts) -> Iterator[Tile]:
    """Yield the tiles to ask: the finest one, then those that are not too large to be read."""
    for number, tile in enumerate(pyramid.for_prompts(prompts)):
        if number and pixels_read(picture, tile) > MAX_READ:
            return
        yield tile


def on_plane(found: Prediction, tile: Tile, pyramid: TilePyramid) -> Prediction:
    """Return an answer given on a tile as one on the plane."""
    return found if tile == pyramid.whole else found.seen_in(tile, pyramid.plane_shape)
