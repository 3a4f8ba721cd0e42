"""Figures of an evaluation: means over objects, intervals by a bootstrap over images.

Images of one acquisition are drawn together, because they are much alike. Where all are of one,
each is drawn by itself: the interval says then what another image of it would give.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samari.train.data import Sample

#: What is measured, in the order of the tables. IoU where nothing else is said.
MEASURES = {
    "click_1": "one click, the model's own choice",
    "click_1_oracle": "one click, the best of the candidates",
    "click_1_boundary": "one click, boundary F-score",
    "click_1_otsu": "one click, Otsu component under it",
    "click_1_watershed": "one click, seeded watershed",
    "click_1_walker": "one click, random walker",
    "click_1_flood": "one click, flood of like pixels",
    "click_2": "two clicks",
    "click_3": "three clicks",
    "click_5": "five clicks",
    "noc_80": "clicks to IoU 0.8, at most 10",
    "noc_90": "clicks to IoU 0.9, at most 10",
    "box": "box",
    "box_loose": "box, a tenth too large on each side",
    "box_boundary": "box, boundary F-score",
    "box_ellipse": "box, ellipse inscribed in it",
    "box_filled": "box, filled",
    "automatic": "find everything, mSA (of an image)",
}

#: The marks that a measure has to beat, on the same objects with the same prompts.
BASELINES = {
    "click_1": ("click_1_otsu", "click_1_watershed", "click_1_walker", "click_1_flood"),
    "box": ("box_ellipse", "box_filled"),
}


@dataclass(frozen=True)
class Figure:
    """A mean over objects with its 95 % interval; `images` is how many units were drawn from."""

    mean: float
    low: float
    high: float
    objects: int
    images: int


@dataclass(frozen=True)
class Record:
    """One value: of which acquisition and image of it, in which modality."""

    group: str
    image: str
    modality: str
    value: float


@dataclass
class Scores:
    """The value of every object for every measure."""

    records: dict[str, list[Record]] = field(default_factory=dict)

    def add(self, measure: str, sample: Sample, value: float) -> None:
        """Record one object of a sample."""
        record = Record(sample.group, sample.key, sample.modality, value)
        self.records.setdefault(measure, []).append(record)

    @property
    def modalities(self) -> list[str]:
        """Those of the samples, sorted."""
        return sorted({one.modality for of_one in self.records.values() for one in of_one})

    def figure(self, measure: str, modality: str | None = None) -> Figure:
        """Summarise one measure, of one modality or of all.

        Raises
        ------
        InputError
            Nothing was recorded under that name.
        """
        return bootstrap(_grouped(self._of(measure, modality)))

    def difference(self, measure: str, other: str, modality: str | None = None) -> Figure:
        """Summarise by how much a measure exceeds another one, object by object.

        Raises
        ------
        InputError
            If they were not recorded of the same objects.
        """
        pairs = self._of(measure, modality), self._of(other, modality)
        if [one.image for one in pairs[0]] != [one.image for one in pairs[1]]:
            raise InputError(f"{measure!r} and {other!r} were not measured on the same objects")
        return bootstrap(
            _grouped(
                [replace(one, value=one.value - two.value) for one, two in zip(*pairs, strict=True)]
            )
        )

    def table(self, modality: str | None = None) -> dict[str, Figure]:
        """Summarise all measures, in the order of `MEASURES`."""
        return {
            name: self.figure(name, modality)
            for name in MEASURES
            if any(modality in (None, one.modality) for one in self.records.get(name, ()))
        }

    def differences(self) -> dict[str, dict[str, Figure]]:
        """Return by how much each measure exceeds its baselines, of those that were recorded."""
        return {
            name: {other: self.difference(name, other) for other in others if other in self.records}
            for name, others in BASELINES.items()
            if name in self.records
        }

    def _of(self, measure: str, modality: str | None) -> list[Record]:
        found = [one for one in self.records.get(measure, ()) if modality in (None, one.modality)]
        if not found:
            raise InputError(f"nothing measured as {measure!r}; there are {sorted(self.records)}")
        return found


def _grouped(records: Sequence[Record]) -> list[list[float]]:
    """Return the values by acquisition; by image if there is but one acquisition."""
    apart = len({one.group for one in records}) > 1
    groups: dict[str, list[float]] = {}
    for one in records:
        groups.setdefault(one.group if apart else one.image, []).append(one.value)
    return list(groups.values())


def bootstrap(groups: Sequence[Sequence[float]], rounds: int = 2000, seed: int = 0) -> Figure:
    """Mean over all values, with the interval of drawing whole groups with replacement.

    Parameters
    ----------
    groups : sequence of sequences of float
        Values of the objects of every image.
    rounds, seed : int
        Of the bootstrap.
    """
    sums = np.array([sum(group) for group in groups], dtype=float)
    counts = np.array([len(group) for group in groups], dtype=float)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(groups), size=(rounds, len(groups)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Figure(
        float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()), len(groups)
    )
