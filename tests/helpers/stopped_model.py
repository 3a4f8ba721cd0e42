"""A model that can be stopped at any stage, in the middle of a step."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from samari.engine.prediction import Prediction

if TYPE_CHECKING:
    from collections.abc import Generator

#: Where the model can be stopped, in the order in which it gets there.
STAGES = ("load", "block 1", "block 2", "block 3", "encoded", "decode")
RADII = (3.0, 6.0, 4.5)


class Gate:
    """Stops the model's thread at a stage, in the middle of a step, until it is opened."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._closed_at = ""
        self._waiting: Counter[str] = Counter()
        self.passed: list[str] = []

    @property
    def held(self) -> str:
        """The stage at which the model is stopped; empty while it is not."""
        with self._condition:
            return self._closed_at if self._waiting[self._closed_at] else ""

    @property
    def empty(self) -> bool:
        """Whether nobody waits, nor has yet to go on after the gate was opened."""
        with self._condition:
            return not self._waiting.total()

    def close_at(self, stage: str) -> None:
        with self._condition:
            self._closed_at = stage
            self._condition.notify_all()

    def open(self) -> None:
        self.close_at("")

    def arrive(self, stage: str) -> None:
        with self._condition:
            self._waiting[stage] += 1
            while self._closed_at == stage:
                self._condition.wait()
            self._waiting[stage] -= 1
            self.passed.append(stage)


class Seen(NamedTuple):
    """What stands for an embedding."""

    shape: tuple[int, int]
    key: str
    nbytes: int = 1000


class Keys(set[str]):
    """What stands for the cache of embeddings."""

    max_bytes, nbytes = 1 << 30, 0

    def get(self, key: str) -> None:
        """Do nothing: there is room for all."""


class Model:
    """Stands for a `DeferredSegmenter`: "round" answers with discs, any other with squares."""

    where = "CPU"
    picture_size = 1 << 20
    zoom_size = 0

    def __init__(self, gate: Gate, model: Any) -> None:
        self.requested = self.model_name = self.model_hash = str(model)
        self.loaded = False
        self._gate = gate
        self.cache = Keys()

    def load(self) -> Model:
        self._gate.arrive("load")
        self.loaded = True
        return self

    def encode_steps(self, rgb: Any) -> Generator[tuple[int, int], None, Any]:
        assert self.loaded
        seen = Seen(rgb.shape[:2], hashlib.sha256(np.ascontiguousarray(rgb)).hexdigest())
        if seen.key in self.cache:
            self._gate.arrive("encoded")
            return seen
        for block in (1, 2, 3):
            self._gate.arrive(f"block {block}")
            yield block, 3
        self.cache.add(seen.key)
        return seen

    def predict_prompts(self, embedding: Any, prompts: Any) -> Prediction:
        self._gate.arrive("decode")
        part = Part.of(prompts)
        shape, name = embedding.shape, self.model_name
        masks = np.stack([part.candidate(shape, name, radius) for radius in RADII])
        scores = np.array([0.5, 0.9, 0.7], np.float32)
        return Prediction.of(masks, scores, np.zeros((3, 1, 1), np.float32), part.chosen)


@dataclass(frozen=True)
class Part:
    """Prompts of an object on one plane."""

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[float, ...] | None = None
    outline: bytes | None = None
    choice: int | None = None
    painted: Any = None

    @classmethod
    def of(cls, prompts: Any) -> Part:
        return cls(
            prompts.points,
            prompts.labels,
            prompts.box,
            None if prompts.mask is None else np.asarray(prompts.mask).tobytes(),
            prompts.choice(prompts.n_steps - 1),
            prompts.painted,
        )

    def changed(self, **what: Any) -> Part:
        """Return it with other prompts: another step, of which no candidate was chosen yet."""
        return replace(self, **{"choice": None, **what})

    @property
    def chosen(self) -> int:
        return 1 if self.choice is None else self.choice

    def candidate(self, shape: tuple[int, int], model: str, radius: float) -> Any:
        y, x = np.indices(shape)
        mask = np.zeros(shape, bool)
        if self.outline is not None:
            mask |= np.frombuffer(self.outline, bool).reshape(shape)
        elif self.box is not None:
            y0, x0, y1, x1 = self.box
            mask |= (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
        for (py, px), label in zip(self.points, self.labels, strict=True):
            reach = radius if label else 2.0
            near = (
                (y - py) ** 2 + (x - px) ** 2 <= reach**2
                if model == "round"
                else np.maximum(abs(y - py), abs(x - px)) <= reach
            )
            mask = mask | near if label else mask & ~near
        return mask

    def mask(self, shape: tuple[int, int], model: str) -> Any:
        mask = self.candidate(shape, model, RADII[self.chosen])
        if self.painted is not None:
            (y, x), (h, w) = self.painted.corner, self.painted.added.shape
            block = mask[y : y + h, x : x + w]
            block |= self.painted.added
            block &= ~self.painted.removed
        return mask
