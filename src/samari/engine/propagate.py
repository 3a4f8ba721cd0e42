"""Slice by slice through a stack: from the planes an object is known on to where it ends.

docs/design/propagation.md tells how, and why so.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from samari.engine.checks import own_number
from samari.engine.planes import PlaneIndex
from samari.engine.propagated import FoundMask, PropagationReport
from samari.engine.tiles import by_next_tile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from samari.engine.history import Growing
    from samari.engine.masks import Box
    from samari.engine.planes import ImagePlanes
    from samari.engine.predict import Segmenter
    from samari.engine.regions import Region
    from samari.engine.scenes import Scenes
    from samari.engine.tracking import Step, Tracker

#: Objects that are less distinct from what is around them (`Contrast`) do not end by contrast.
_DISTINCT = 0.8


@dataclass(frozen=True)
class Limits:
    """What tells that an object has ended. One set for all images.

    Parameters
    ----------
    min_score : float
        Of the model's own estimate of the mask.
    min_overlap : float
        Intersection over union with the mask on the plane before.
    max_growth : float
        How many times as large, or as small, a mask may be as on the plane before.
    min_contrast : float
        Difference in brightness between the object and what is close around it, as a share of what
        it is on the plane where the object is known. Not asked of objects that are not distinct.
    """

    min_score: float = 0.4
    min_overlap: float = 0.3
    max_growth: float = 3.0
    min_contrast: float = 0.6

    def __post_init__(self) -> None:
        """Take numbers of numpy too."""
        for name, value in asdict(self).items():
            object.__setattr__(self, name, own_number(value))


@dataclass(frozen=True)
class Target:
    """One object, and what is known of it along the axis.

    Attributes
    ----------
    label : int
    fixed : PlaneIndex
        One of its planes: the others differ from it by their index along the axis only.
    anchors : dict of int to Region
        Its mask on the planes where it was prompted or painted, by the index along the axis.
    stops : frozenset of int
        Planes it does not reach.
    stale : dict of int to (y0, x0, y1, x1)
        Planes that an earlier propagation wrote, with the box around what it wrote; they are found
        anew.
    """

    label: int
    fixed: PlaneIndex
    anchors: Mapping[int, Region]
    stops: frozenset[int] = frozenset()
    stale: Mapping[int, Box] = field(default_factory=dict)


@dataclass(eq=False)
class _Walker:
    """One object on its way in one direction, from one anchor towards an end."""

    target: int
    at: int
    first: Step
    last: Step
    direction: int
    end: int
    bridging: bool
    alive: bool = True

    def wants(self, index: int) -> bool:
        return self.alive and index == self.at + self.direction != self.end


class Propagation:
    """One run through a stack; made by `Session.plan_propagation`.

    `steps` may run in another thread. It puts what it finds into `arrived`, from where the
    session's thread takes it.

    Parameters
    ----------
    planes : ImagePlanes
    axis : str
        Letter of the axis to go along.
    targets : sequence of Target
    first, last : int
        Planes beyond these are left alone.
    step : Growing
        The step of the history that the run is.
    limits : Limits
    """

    def __init__(
        self,
        planes: ImagePlanes,
        axis: str,
        targets: Sequence[Target],
        first: int,
        last: int,
        step: Growing,
        limits: Limits,
    ) -> None:
        self.axis, self.targets, self.step = axis, tuple(targets), step
        self.arrived: deque[FoundMask] = deque()
        self.report = PropagationReport()
        #: For every target the confidence on the planes that were written; the session's side.
        self.written: list[dict[int, float]] = [{} for _ in self.targets]
        #: Name and hash of the model, once it is at work.
        self.model = ("", "")
        #: What a journal needs to do it again.
        self.details = {
            "labels": list(dict.fromkeys(target.label for target in targets)),
            "axis": axis,
            "range": [first, last + 1],
            "limits": asdict(limits),
        }
        self._planes, self._limits = planes, limits
        self._first, self._last = first, last
        self._there: dict[tuple[int, int], tuple[Step, float]] = {}
        self._taken: dict[PlaneIndex, list[tuple[int, Region]]] = {}

    def plane(self, target: Target, index: int) -> PlaneIndex:
        """Return a plane of a target."""
        others = [a for a in self._planes.label_axes if a not in target.fixed.view]
        place = list(target.fixed.index)
        place[others.index(self.axis)] = index
        return PlaneIndex(target.fixed.view, tuple(place))

    def steps(
        self, segmenter: Callable[[], Segmenter]
    ) -> Generator[tuple[int, int], None, PropagationReport]:
        """Walk all objects through the stack, first upwards, then downwards.

        Each plane, or tile of a large one, is encoded once for all objects (and a second time on
        the way down where more than `scenes.HELD_BYTES` would have to be held).

        Yields
        ------
        (done, total) : tuple of int
            Planes, after every block of the encoder, every few objects and every plane.
        """
        # Here and below, because it imports torch.
        from samari.engine.decoding import CHUNK, CHUNK_ELSEWHERE
        from samari.engine.scenes import Scenes
        from samari.engine.tracking import Tracker

        model = segmenter()
        self.model = model.model_name, model.model_hash
        at_once = CHUNK.get(model.device, CHUNK_ELSEWHERE)
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, target in enumerate(self.targets):
            groups.setdefault(self.plane(target, 0).index, []).append(number)
        span = self._last - self._first + 1
        ways = [(members, way) for members in groups.values() for way in (1, -1)]
        total = span * len(ways)
        for nth, (members, way) in enumerate(ways):
            if way > 0:
                tracker = Tracker(model)
                scenes = Scenes(self._planes, model, self.targets[members[0]].fixed.view)
                walkers = yield from self._walkers(members, scenes, tracker, nth * span, total)
            for done in range(span):
                index = self._first + done if way > 0 else self._last - done
                here = [one for one in walkers if one.direction == way and one.wants(index)]
                if not here:
                    continue
                at = nth * span + done
                for _ in self._visit(index, here, scenes, tracker, at_once):
                    yield at, total
                yield at + 1, total
            if way < 0:
                self._give_what_only_came_up()
        return self.report

    def _walkers(
        self, members: Sequence[int], scenes: Scenes, tracker: Tracker, done: int, total: int
    ) -> Generator[tuple[int, int], None, list[_Walker]]:
        """Start one walker from each side of each anchor, where there is somewhere to go."""
        walkers = []
        for number in members:
            target = self.targets[number]
            anchors = sorted(target.anchors)
            for place, at in enumerate(anchors):
                above = anchors[place + 1] if place + 1 < len(anchors) else None
                below = anchors[place - 1] if place else None
                start: Step | None = None
                for direction, next_anchor in ((1, above), (-1, below)):
                    edge = self._last + 1 if direction > 0 else self._first - 1
                    end = edge if next_anchor is None else next_anchor
                    end = min(end, edge) if direction > 0 else max(end, edge)
                    if (end - at) * direction <= 1:
                        continue
                    if start is None:
                        plane, region = self.plane(target, at), target.anchors[at]
                        tile = next(scenes.tiles(plane, region))
                        contrast = scenes.contrast(plane, tile, region)
                        start = tracker.start(region, contrast, tile)
                        yield done, total
                    bridging = next_anchor is not None and not any(
                        min(at, next_anchor) < stop < max(at, next_anchor) for stop in target.stops
                    )
                    walkers.append(_Walker(number, at, start, start, direction, end, bridging))
        return walkers

    def _visit(
        self, index: int, here: Sequence[_Walker], scenes: Scenes, tracker: Tracker, at_once: int
    ) -> Iterator[object]:
        """Take each walker to a plane, or end it there; so many at once."""
        walking = []
        for walker in here:
            if index in self.targets[walker.target].stops:
                self._end(walker, index, "stop sign")
            else:
                walking.append(walker)
        found = yield from self._found(index, walking, scenes, tracker, at_once)
        passed: list[tuple[_Walker, Step, float]] = []
        for walker, step in zip(walking, found, strict=True):
            overlap = 0.0 if step is None else step.region.overlap(walker.last.region)
            reason = self._why_ended(walker, step, overlap)
            if step is None or reason:
                self._end(walker, index, reason or "lost")
            else:
                passed.append((walker, step, min(1.0, max(0.0, step.score)) * overlap))
        self._settle(index, passed, tracker)

    def _found(
        self,
        index: int,
        walking: Sequence[_Walker],
        scenes: Scenes,
        tracker: Tracker,
        at_once: int,
    ) -> Generator[object, None, list[Step | None]]:
        """Look for objects on a plane; of a large one, in the tiles that they lie in.

        A mask that reaches an edge of its tile is looked for in a coarser one.
        """
        found: list[Step | None] = [None] * len(walking)
        coming = {
            k: scenes.tiles(
                self.plane(self.targets[one.target], index), one.last.region, one.last.tile
            )
            for k, one in enumerate(walking)
        }
        begun = False
        while coming:
            for tile, members in by_next_tile(coming).items():
                plane = self.plane(self.targets[walking[members[0]].target], index)
                upwards = walking[members[0]].direction > 0
                scene = yield from scenes.encoded(plane, tile, hold=upwards)
                for first in range(0, len(members), at_once):
                    if begun:
                        yield None
                    begun = True
                    part = members[first : first + at_once]
                    steps = tracker.follow(scene, [walking[k].last for k in part])
                    for k, step in zip(part, steps, strict=True):
                        found[k] = found[k] if step is None else step
                        if step is None or not scenes.pyramid.is_cut(tile, step.region.box):
                            del coming[k]
        return found

    def _why_ended(self, walker: _Walker, step: Step | None, overlap: float) -> str:
        """Return why an object has ended, "" if it has not; between two anchors it goes on."""
        if step is None:
            return "lost"
        growth = step.region.area / walker.last.region.area
        most = self._limits.max_growth
        if not 1 / most <= growth <= most:
            return "area"
        if walker.bridging:
            return ""
        if step.score < self._limits.min_score:
            return "score"
        if overlap < self._limits.min_overlap:
            return "overlap"
        usual = walker.first.contrast
        if usual.distinctness < _DISTINCT:
            return ""
        share = step.contrast.difference / usual.difference
        return "contrast" if share < self._limits.min_contrast else ""

    def _settle(
        self, index: int, passed: Sequence[tuple[_Walker, Step, float]], tracker: Tracker
    ) -> None:
        """Give every walker its pixels; of what two objects want, the surer one gets it."""
        order = sorted(range(len(passed)), key=lambda k: -passed[k][2])
        for k in order:
            walker, step, confidence = passed[k]
            target = self.targets[walker.target]
            walker.at = index
            if walker.bridging and walker.direction > 0:
                # The walker from the other end comes on the way back.
                self._there[walker.target, index] = step, confidence
                walker.last = step
                continue
            if walker.bridging and (walker.target, index) in self._there:
                step, confidence = self._reconciled(index, walker, step, confidence, tracker)
            plane = self.plane(target, index)
            region = self._free(plane, walker.target, step.region)
            if region is None:
                self._end(walker, index, "taken")
                continue
            self._taken.setdefault(plane, []).append((walker.target, region))
            walker.last = replace(step, region=region)
            self.arrived.append(FoundMask(walker.target, index, region, confidence))

    def _reconciled(
        self, index: int, walker: _Walker, step: Step, confidence: float, tracker: Tracker
    ) -> tuple[Step, float]:
        """Join what came from both ends of a gap: the nearer end counts for more."""
        other, other_confidence = self._there.pop((walker.target, index))
        anchors = sorted(self.targets[walker.target].anchors)
        low = max(anchor for anchor in anchors if anchor < index)
        high = min(anchor for anchor in anchors if anchor > index)
        share = (index - low) / (high - low)
        there = tracker.logits_in(step.tile, other)
        logits = (share * step.logits + (1 - share) * there).astype(np.float32)
        region, agreement = tracker.joined(logits, step.tile), step.region.overlap(other.region)
        both = share * confidence + (1 - share) * other_confidence
        if region is None or not (
            region.overlap(step.region) > 0 and region.overlap(other.region) > 0
        ):
            return (step, both * agreement) if share >= 0.5 else (other, both * agreement)
        region = replace(region, spacing=step.region.spacing)
        return replace(step, region=region, logits=logits), both * max(agreement, 0.1)

    def _give_what_only_came_up(self) -> None:
        """Give the planes of gaps that nothing reached from the upper end."""
        for (number, index), (step, confidence) in sorted(self._there.items()):
            plane = self.plane(self.targets[number], index)
            region = self._free(plane, number, step.region)
            if region is not None:
                self._taken.setdefault(plane, []).append((number, region))
                self.arrived.append(FoundMask(number, index, region, confidence))
        self._there.clear()

    def _free(self, plane: PlaneIndex, number: int, region: Region) -> Region | None:
        """Return the pixels that no other object of this run has on a plane."""
        taken = np.zeros(region.mask.shape, bool)
        for owner, other in self._taken.get(plane, ()):
            if owner != number:
                taken |= other.on(region.box)
        return region.without(taken)

    def _end(self, walker: _Walker, index: int, reason: str) -> None:
        walker.alive = False
        label = self.targets[walker.target].label
        self.report.ended.setdefault(label, {})[index] = reason
