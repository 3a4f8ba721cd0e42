"""What is next to the place on screen is encoded while nothing else is to be done."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.engine.tiles import TilePyramid
from samari.plugin import settings
from samari.plugin.prefetch import REACH as SHIPPED_REACH
from samari.plugin.prefetch import Place, neighbours
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def _three_ahead(_nothing_is_encoded_ahead: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samari.plugin.prefetch.REACH", 3)


def planes_of(discs: Any, image: Any) -> list[int]:
    """Return which planes of a stack were encoded, in their order."""
    values = [int(plane.max()) for plane in image]
    assert len(set(values)) == len(values)
    limits = [np.rint(255 * value / max(values)) for value in values]
    return [limits.index(int(rgb.max())) for rgb in discs.encoded]


def stack(count: int = 12) -> Any:
    """Return a stack whose planes differ in their brightest pixel."""
    image = np.zeros((count, 40, 60), np.uint8)
    image[:, 10:20, 10:20] = (np.arange(count)[:, None, None] + 1) * 20
    return image


def opened(annotated: Callable[..., Any], image: Any, at: int) -> Any:
    c = annotated(image, contrast_limits=(0, int(image.max())))
    assert c.wait(30)
    c._viewer.dims.set_point(0, at)
    assert c.wait(30)
    return c


def settled(qtbot: Any, c: Any) -> None:
    """Wait until all neighbours of the place on screen are encoded."""
    near = c._inference.prefetch

    def done() -> bool:
        return (
            near._around is not None
            and near._around.plane == c._plane
            and near._job is None
            and all(near.holds(place) for place in near._waiting)
        )

    qtbot.waitUntil(done, timeout=30_000)


def test_the_nearest_planes_are_encoded_first(annotated: Any, discs: Any, qtbot: Any) -> None:
    image = stack()
    c = annotated(image, contrast_limits=(0, 240))
    assert c.wait(30)
    settled(qtbot, c)
    assert planes_of(discs, image) == [5, 6, 4, 7, 3, 8, 2]
    discs.encoded.clear()
    c._viewer.dims.set_point(0, 8)
    assert c.wait(30)
    settled(qtbot, c)
    # It stood ready, and so did the planes below it.
    assert planes_of(discs, image) == [9, 10, 11]
    for z in (9, 10, 7):
        c._viewer.dims.set_point(0, z)
        assert c._inference.is_encoded(PlaneIndex("YX", (z,)), (5, 5))
        assert c.wait(30)
        settled(qtbot, c)
    assert len(planes_of(discs, image)) == len(set(planes_of(discs, image)))


def test_nobody_waits_for_them_and_a_click_overtakes(
    annotated: Any, discs: Any, qtbot: Any
) -> None:
    c = opened(annotated, stack(), 6)
    settled(qtbot, c)
    discs.hold()
    c._viewer.dims.set_point(0, 9)
    before = len(discs.encoded)
    qtbot.waitUntil(lambda: c._inference.prefetch._job is not None, timeout=30_000)
    # A neighbour is in the middle of its blocks, and stays there.
    assert not c.busy
    assert c.wait(30)
    c.session.add_point((9, 15, 15))
    c._inference.ask()
    assert c.wait(30)
    assert c.candidates is not None
    assert len(discs.encoded) == before
    discs.let_go()
    settled(qtbot, c)
    assert len(discs.encoded) > before


def test_who_goes_to_a_plane_that_is_being_encoded_waits_for_the_rest_only(
    annotated: Any, discs: Any, qtbot: Any
) -> None:
    image = stack()
    c = annotated(image, contrast_limits=(0, 240))
    assert c.wait(30)
    settled(qtbot, c)
    assert sorted(planes_of(discs, image)) == [2, 3, 4, 5, 6, 7, 8]
    discs.hold()
    c._viewer.dims.set_point(0, 8)
    qtbot.waitUntil(lambda: c._inference.prefetch._job is not None, timeout=30_000)
    place = c._inference.prefetch._job[0]
    assert place.plane.index == (9,)
    c._viewer.dims.set_point(0, 9)
    c._watch.settle()
    assert c._inference.prefetch._job is None
    assert c.busy
    discs.let_go()
    assert c.wait(30)
    settled(qtbot, c)
    assert planes_of(discs, image).count(9) == 1


def test_it_can_be_switched_off(
    annotated: Any, discs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "current", lambda: settings.Settings(prefetch=False))
    c = opened(annotated, stack(), 6)
    assert c._inference.prefetch._job is None
    assert planes_of(discs, stack())[-1] == 6


def test_cancel_and_close_end_it(annotated: Any, discs: Any, qtbot: Any) -> None:
    c = opened(annotated, stack(), 6)
    settled(qtbot, c)
    discs.hold()
    c._viewer.dims.set_point(0, 9)
    qtbot.waitUntil(lambda: c._inference.prefetch._job is not None, timeout=30_000)
    job = c._inference.prefetch._job[1]
    c.close()
    discs.let_go()
    qtbot.waitUntil(lambda: job.finished, timeout=30_000)
    assert job.state == "cancelled"


class Few(OrderedDict[str, None]):
    """A cache of ten embeddings, used longest ago first."""

    max_bytes, nbytes = 10_000, 10_000

    def __len__(self) -> int:
        return 10

    def add(self, key: str) -> None:
        self[key] = None
        while sum(1 for _ in self) > 10:
            self.popitem(last=False)

    def get(self, key: str) -> None:  # type: ignore[override]
        if key in self:
            self.move_to_end(key)


def test_where_memory_is_short_the_farthest_go(
    annotated: Any, discs: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.plugin.prefetch.REACH", 20)
    discs.cache = Few()
    c = opened(annotated, stack(12), 2)
    for z in (2, 3, 4, 5, 6):
        c._viewer.dims.set_point(0, z)
        assert c.wait(30)
        settled(qtbot, c)
        near = c._inference.prefetch
        held = {place.plane.index[0] for place in near.encoded if near.holds(place)}
        assert {max(z - 2, 0), z - 1, z, z + 1, z + 2} <= held


class NoRoom(set[str]):
    """A cache that is too small for any embedding."""

    max_bytes, nbytes = 999, 0

    def add(self, key: str) -> None:
        pass

    def get(self, key: str) -> None:
        pass


def test_what_has_left_the_cache_is_encoded_again(
    annotated: Any, discs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samari.plugin.prefetch.REACH", 0)
    c = opened(annotated, stack(), 6)
    assert c._inference.is_encoded(c._plane, (5, 5))
    discs.encoded.clear()
    discs.cache.clear()
    assert not c._inference.is_encoded(c._plane, (5, 5))
    c._inference.encode(c._plane, (5, 5))
    assert c.wait(30)
    assert c._inference.is_encoded(c._plane, (5, 5))
    assert len(discs.encoded) == 1


def test_a_cache_too_small_for_any_embedding_is_no_endless_loop(annotated: Any, discs: Any) -> None:
    discs.cache = NoRoom()
    c = opened(annotated, stack(), 6)
    assert c._inference.is_encoded(c._plane, (5, 5))
    c._inference.encode(c._plane, (5, 5))
    assert not c.busy


def test_neighbours_of_a_plane_and_of_a_tile() -> None:
    planes = ImagePlanes(np.zeros((2, 4, 30, 40)), "TZYX")
    whole = TilePyramid((30, 40), 64)
    here = Place(PlaneIndex("YX", (1, 1)), whole.whole)
    found = [place.plane.index for place in neighbours(here, planes, whole)]
    assert found == [(1, 2), (1, 0), (1, 3)]
    flat = ImagePlanes(np.zeros((1000, 1000)))
    pyramid = TilePyramid((1000, 1000), 64)
    here = Place(PlaneIndex("YX"), pyramid.at((500, 500)))
    around = [place.tile.box[:2] for place in neighbours(here, flat, pyramid) if place.tile]
    assert here.tile is not None
    y, x = here.tile.corner
    assert len(around) == 8
    assert set(around[:4]) == {(y - 32, x), (y + 32, x), (y, x - 32), (y, x + 32)}
    corner = Place(PlaneIndex("YX"), pyramid.at((0, 0)))
    assert len(list(neighbours(corner, flat, pyramid))) == 3
    small = Place(PlaneIndex("YX"), whole.whole)
    assert not list(neighbours(small, ImagePlanes(np.zeros((30, 40))), whole))


@pytest.fixture
def tiny_stack(
    annotated: Callable[..., Any],
    workshop: Any,
    monkeypatch: pytest.MonkeyPatch,
    encodings: list[tuple[int, ...]],
) -> tuple[Any, list[tuple[int, ...]]]:
    """Give 50 noisy planes at plane 10, with the bundled model and the shipped reach."""
    monkeypatch.setattr("samari.plugin.prefetch.REACH", SHIPPED_REACH)
    monkeypatch.setattr(workshop, "segmenter", Workshop().segmenter)
    image = np.random.default_rng(5).integers(0, 255, (50, 64, 64), np.uint8)
    return opened(annotated, image, 10), encodings


def test_a_scroll_through_twenty_planes_after_idling_encodes_nothing(
    tiny_stack: tuple[Any, list[tuple[int, ...]]], qtbot: Any
) -> None:
    c, encoded = tiny_stack
    settled(qtbot, c)
    # The scroll is to find what the idle time left, and no more.
    c._inference.prefetch.stop()
    c._inference.prefetch.enabled = False
    before = len(encoded)
    assert before >= 1 + 10 + 20
    for z in range(11, 31):
        c._viewer.dims.set_point(0, z)
        assert c._inference.is_encoded(PlaneIndex("YX", (z,)), (30, 30))
        assert c.wait(30)
        c.session.add_point((z, 30, 30))
        c._inference.ask()
        assert c.wait(30)
        assert c.candidates is not None
        c.session.discard()
    assert len(encoded) == before
    c._viewer.dims.set_point(0, 49)
    assert c.wait(30)
    assert len(encoded) == before + 1


def test_a_click_waits_less_than_a_block_longer_while_neighbours_are_encoded(
    annotated: Any, discs: Any, qtbot: Any, figure: Callable[..., None]
) -> None:
    c = opened(annotated, stack(), 6)
    settled(qtbot, c)
    block = discs.seconds_a_block = 0.4
    discs.blocks = 100
    c._viewer.dims.set_point(0, 9)
    near = c._inference.prefetch
    seconds: dict[bool, list[float]] = {True: [], False: []}

    def answered(place: tuple[int, int, int]) -> float:
        decoded = len(discs.decoded)
        began = time.perf_counter()
        c.session.add_point(place)
        c._inference.ask()
        qtbot.waitUntil(lambda: len(discs.decoded) > decoded, timeout=30_000)
        waited = time.perf_counter() - began
        assert c.wait(30)
        c.session.discard()
        return waited

    for at, pause in enumerate((0.1, 0.2, 0.3, 0.35)):  # here and there within a block
        qtbot.waitUntil(lambda: near._job is not None, timeout=30_000)
        time.sleep(pause)
        seconds[True].append(answered((9, 15, 11 + at)))
        assert near._job is not None
        assert not near._job[1].finished
    near.stop()
    for at in range(4):
        seconds[False].append(answered((9, 18, 11 + at)))
    added = max(seconds[True]) - np.median(seconds[False])
    figure("a click among neighbours being encoded waits longer by", 1e3 * added, "ms")
    assert added < block, seconds
