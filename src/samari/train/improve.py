"""A model improved by what was annotated in a session, for the dock and for scripts."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samari.errors import InputError
from samari.sam.weights import save_model
from samari.train.data import Sample, connected_parts
from samari.train.finetune import finetune_steps, told_steps
from samari.train.heldout import split
from samari.zoo import MODELS, add, added, load

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from samari.engine.planes import PlaneIndex
    from samari.engine.session import Session
    from samari.sam.model import SamModel
    from samari.train.finetune import FinetuneConfig, Finetuned, Progress

#: Pixels that are learnt from at most.
_PIXELS = 2**27


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


def samples_of(
    session: Session, planes: list[PlaneIndex]
) -> Generator[tuple[int, int], None, list[Sample]]:
    """Read planes with everything that is labelled on them, a plane a step.

    Parameters
    ----------
    session : Session
    planes : list of PlaneIndex
        If they have too many pixels together, some of them are taken.

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
        A plane is too large to be learnt from as a whole, or a label is negative.
    """
    samples: list[Sample] = []
    sizes = [math.prod(session.planes.shape_of(plane.view)) for plane in planes]
    if max(sizes, default=0) > _PIXELS:
        raise InputError(
            f"a plane of {max(sizes)} pixels is too large to learn from: crop the parts that you "
            "labelled, and use samari train finetune"
        )
    if sum(sizes) > _PIXELS:
        count = max(1, _PIXELS // max(sizes))
        planes = [planes[round(i)] for i in np.linspace(0, len(planes) - 1, count)]
    for plane in planes:
        yield 0, len(planes)
        labels = np.asarray(session.labels[session.planes.label_slices(plane)])
        if labels.min(initial=0) < 0:
            raise InputError(
                f"the labels hold {labels.min()}; whole numbers from 0 on can be learnt from"
            )
        if labels.any():
            image, key = session.planes.rgb_plane(plane), f"{plane.view}{plane.index}"
            # All planes are of one image: what is held out must not be in the plane above.
            samples.append(Sample(image, connected_parts(labels), "own", "own", key, "session"))
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
        Of one view. What is labelled on them is read at the beginning.
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
    result = yield from told_steps(steps, told)
    return Improved(loaded.model, model, result)


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
    given = Path(base)
    origin = given.stem if given.is_file() else given.name
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{origin}-{image}").strip("-")[:60]
    taken = {name.lower() for name in (*MODELS, *added())}
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name.lower() not in taken)
