"""A model improved by what was annotated in a session, for the dock and for scripts."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samari.errors import InputError
from samari.sam.weights import save_model
from samari.train.data import Sample
from samari.train.finetune import finetune_steps
from samari.train.heldout import split
from samari.zoo import MODELS, add, added, load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from samari.engine.planes import PlaneIndex
    from samari.engine.session import Session
    from samari.sam.model import SamModel
    from samari.train.finetune import FinetuneConfig, Finetuned, Progress

#: Planes that are learnt from at most, and pixels of one.
_PLANES, _PIXELS = 40, 2**26


@dataclass(frozen=True)
class Improved:
    """A model that has learnt, and what it gained.

    Attributes
    ----------
    model : SamModel
    base : str
        The model that it was before.
    result : Finetuned
    """

    model: SamModel
    base: str
    result: Finetuned


def planes_of(session: Session, visible: PlaneIndex | None) -> list[PlaneIndex]:
    """Return the planes that somebody worked on: those of accepted objects, and the visible one.

    Parameters
    ----------
    session : Session
    visible : PlaneIndex or None

    Returns
    -------
    list of PlaneIndex
        At most forty, evenly chosen where there are more.
    """
    found = {part.plane: None for record in session.objects.values() for part in record.parts}
    if visible is not None:
        found[visible] = None
    planes = sorted(found, key=lambda plane: (plane.view, plane.index))
    if len(planes) <= _PLANES:
        return planes
    return [planes[round(i)] for i in np.linspace(0, len(planes) - 1, _PLANES)]


def samples_of(
    session: Session, planes: list[PlaneIndex]
) -> Generator[tuple[int, int], None, list[Sample]]:
    """Read planes with everything that is labelled on them, a plane a step.

    Parameters
    ----------
    session : Session
    planes : list of PlaneIndex

    Yields
    ------
    (int, int)
        0 and the planes in all.

    Returns
    -------
    list of Sample
        Of the planes that have labels.

    Raises
    ------
    InputError
        A plane is too large to be learnt from as a whole.
    """
    samples: list[Sample] = []
    for plane in planes:
        yield 0, len(planes)
        height, width = session.planes.shape_of(plane.view)
        if height * width > _PIXELS:
            raise InputError(
                f"a plane of {height} x {width} pixels is too large to learn from: crop the parts "
                "that you labelled, and use samari train finetune"
            )
        labels = np.asarray(session.labels[session.planes.label_slices(plane)])
        if not labels.any():
            continue
        numbers = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        if labels.min() > 0:
            numbers = numbers + 1
        key = f"{plane.view}{plane.index}"
        image = session.planes.rgb_plane(plane)
        samples.append(Sample(image, numbers.astype(np.int32), "own", "own", key, key))
    return samples


def improve_steps(
    session: Session,
    planes: list[PlaneIndex],
    model: str,
    config: FinetuneConfig,
    told: Callable[[Progress], object] | None = None,
) -> Generator[tuple[int, int], None, Improved]:
    """Fine-tune a model on what is labelled in a session, step by step.

    The session and the model in use stay as they are: a copy of the model learns.

    Parameters
    ----------
    session : Session
    planes : list of PlaneIndex
        See `planes_of`. What is labelled on them is read at the beginning.
    model : str
        Name, folder or weights file.
    config : FinetuneConfig
    told : callable, optional
        Called with the `Progress` of every step.

    Yields
    ------
    (int, int)
        Steps done and in all.

    Returns
    -------
    Improved

    Raises
    ------
    InputError
        Too little is labelled.
    """
    samples = yield from samples_of(session, planes)
    trained, held = split(samples, config.held_out, config.seed)
    loaded = load(model)
    steps = finetune_steps(loaded.model, trained, held, config)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return Improved(loaded.model, model, end.value)
        if told is not None:
            told(progress)
        yield progress.step, progress.steps


def keep(improved: Improved, image: str) -> str:
    """Put an improved model beside those that the user added, and return its name there.

    Parameters
    ----------
    improved : Improved
    image : str
        What it learnt from; the name says it.
    """
    name = free_name(improved.base, image)
    with tempfile.TemporaryDirectory() as folder:
        save_model(improved.model, Path(folder) / name)
        add(Path(folder) / name, name)
    return name


def free_name(base: str, image: str) -> str:
    """Return a name that no model has: of the model it was, and what it learnt from."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{Path(base).stem}-{image}").strip("-")[:60]
    taken = {*MODELS, *added()}
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
