"""A stand-in for the model, a workshop that uses it, and controllers on viewers with and without
a window."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager

from samari.engine.prediction import Prediction
from samari.plugin.controller import Controller
from samari.plugin.workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from samari.engine.prompts import PlanePrompts


@dataclass
class Discs:
    """Answers with discs of radius 3, 6 and 4.5 around positive points, less those around negative
    ones; a box is filled. `hold` stops the encoder after each block until `let_go`."""

    requested: str = "discs"
    model_name: str = "discs"
    model_hash: str = "d15c"
    where: str = "CPU"
    loaded: bool = True
    blocks: int = 4
    seconds_a_block: float = 0.0
    gate: threading.Event = field(default_factory=threading.Event)
    encoded: list[Any] = field(default_factory=list)
    decoded: list[PlanePrompts] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    def load(self) -> Discs:
        return self

    def hold(self) -> None:
        self.gate.clear()

    def let_go(self) -> None:
        self.gate.set()

    def encode_steps(self, rgb: Any) -> Generator[tuple[int, int], None, Any]:
        if any(held is rgb or np.array_equal(held, rgb) for held in self.encoded):
            return rgb
        for block in range(1, self.blocks + 1):
            time.sleep(self.seconds_a_block)
            while not self.gate.wait(0.01):
                yield block, self.blocks
            if self.error is not None:
                raise self.error
            yield block, self.blocks
        self.encoded.append(rgb)
        return rgb

    def predict_prompts(self, embedding: Any, prompts: PlanePrompts) -> Prediction:
        self.decoded.append(prompts)
        y, x = np.indices(embedding.shape[:2])
        masks = []
        for radius in (3.0, 6.0, 4.5):
            mask = np.zeros(embedding.shape[:2], bool)
            if prompts.mask is not None:
                mask |= prompts.mask
            elif prompts.box is not None:
                y0, x0, y1, x1 = prompts.box
                mask |= (y >= y0) & (y <= y1) & (x >= x0) & (x <= x1)
            for (py, px), label in zip(prompts.points, prompts.labels, strict=True):
                disc = (y - py) ** 2 + (x - px) ** 2 <= (radius if label else 2.0) ** 2
                mask = mask | disc if label else mask & ~disc
            masks.append(mask)
        scores = np.array([0.5, 0.9, 0.7], np.float32)
        choice = prompts.choice(prompts.n_steps - 1)
        chosen = 1 if choice is None else choice
        return Prediction(np.stack(masks), scores, np.zeros((3, 1, 1), np.float32), chosen)


class DiscWorkshop(Workshop):
    """A workshop whose only model is the stand-in."""

    def __init__(self, discs: Discs) -> None:
        super().__init__()
        self.discs = discs

    def segmenter(self, model: Any) -> Any:
        return self.discs


@pytest.fixture(scope="session", autouse=True)
def _torch_is_imported() -> None:
    """Pay for the import once and here, not in the time limit of the first test that waits."""
    import torch  # noqa: F401


@pytest.fixture
def discs() -> Discs:
    return Discs()


@pytest.fixture
def workshop(qapp: Any, discs: Discs) -> Iterator[DiscWorkshop]:
    """Give a workshop; afterwards its threads must have ended."""
    shop = DiscWorkshop(discs)
    yield shop
    discs.let_go()
    shop.close()
    assert shop.inference.join(5)
    assert shop.files.join(5)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Collect what is shown as a notification."""
    messages: list[str] = []

    def note(notification: Any) -> None:
        messages.append(str(notification.message))

    notification_manager.notification_ready.connect(note)
    yield messages
    notification_manager.notification_ready.disconnect(note)


@pytest.fixture
def annotated(workshop: DiscWorkshop) -> Iterator[Callable[..., Controller]]:
    """Give `annotated(image, viewer=..., **layer)`: a controller, closed afterwards.

    By default on a viewer without a window, which takes milliseconds.
    """
    opened: list[Controller] = []

    def open_image(image: Any, viewer: Any = None, labels: Any = None, **layer: Any) -> Controller:
        viewer = ViewerModel() if viewer is None else viewer
        shown = viewer.add_image(image, name=layer.pop("name", "cells"), **layer)
        controller = Controller(viewer, shown, labels=labels, workshop=workshop)
        controller.viewer = viewer  # type: ignore[attr-defined]  # for the tests
        opened.append(controller)
        return controller

    yield open_image
    for controller in opened:
        controller.close()


@pytest.fixture
def noise() -> Callable[..., Any]:
    """Give `noise(*shape)`: an image of uint8 noise, the same for the same shape."""

    def image(*shape: int) -> Any:
        return np.random.default_rng(0).integers(0, 255, shape, np.uint8)

    return image
