"""Prepares images together with their prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from samari.sam.batch import BatchFeature, stack, tensor_kind
from samari.sam.image_processing import SamImageProcessor
from samari.sam.image_sizes import as_pairs, preprocess_shape
from samari.sam.images import to_array
from samari.sam.prompt_encoder import PADDING

if TYPE_CHECKING:
    import os


class SamProcessor:
    """An image processor that also scales points and boxes to the frame of the network.

    Coordinates are (x, y) in pixels of the image. They are multiplied by the ratio of the sizes, as
    in the reference; the network then adds half a pixel.

    Parameters
    ----------
    image_processor : SamImageProcessor
        Prepares the images.
    """

    #: Coordinate and label of points that only fill up a batch.
    point_pad_value: int = PADDING

    def __init__(self, image_processor: SamImageProcessor) -> None:
        self.image_processor = image_processor
        self.target_size = image_processor.size["longest_edge"]

    @property
    def model_input_names(self) -> list[str]:
        """Names of the network's inputs that the image processor makes."""
        return list(self.image_processor.model_input_names)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **hub: Any) -> SamProcessor:
        """Read the settings of a folder or a hub id; see `SamImageProcessor.from_pretrained`."""
        return cls(SamImageProcessor.from_pretrained(name, **hub))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the settings of the image processor into a folder."""
        self.image_processor.extra["processor_class"] = type(self).__name__
        self.image_processor.save_pretrained(folder)

    def __call__(
        self,
        images: Any = None,
        segmentation_maps: Any = None,
        input_points: Any = None,
        input_labels: Any = None,
        input_boxes: Any = None,
        return_tensors: Any = None,
        **settings: Any,
    ) -> BatchFeature:
        """Prepare images and prompts.

        Parameters
        ----------
        images, segmentation_maps
            See `SamImageProcessor.preprocess`.
        input_points : nested list, array or tensor, optional
            For each image K points, or N prompts of K points. Ragged ones are filled up with points
            of label -10, which the network ignores.
        input_labels : nested list, array or tensor, optional
            A label for each point.
        input_boxes : nested list, array or tensor, optional
            For each image N boxes (x0, y0, x1, y1).
        return_tensors : {"np", "pt", "tf", "jax"}, optional
            Kind of the results. With "pt", "tf" and "jax" the prompts get the axes that the network
            needs: points (B, N, K, 2), labels (B, N, K), boxes (B, N, 4), with N = 1 for K points
            an image. With "np" and None they keep the axes that they had, as in the reference.
        **settings
            Settings of the image processor, for this call only.

        Returns
        -------
        BatchFeature
            What the image processor returns, with ``input_boxes``, ``input_points`` (float64) and
            ``input_labels`` (int64) where they were given.

        Raises
        ------
        ValueError
            If prompts are not nested as described, or labels do not fit their points.
        """
        kind = tensor_kind(return_tensors)
        encoding = self.image_processor(
            images, segmentation_maps, return_tensors=return_tensors, **settings
        )
        sizes = as_pairs(encoding["original_sizes"])
        if input_boxes is not None:
            encoding["input_boxes"] = _tensor(self._boxes(input_boxes, sizes), kind, 3)
        if input_points is not None:
            points, labels = self._points(input_points, input_labels, sizes)
            encoding["input_points"] = _tensor(points, kind, 4)
            if labels is not None:
                encoding["input_labels"] = _tensor(labels, kind, 3)
        elif input_labels is not None:
            raise ValueError("input_labels were given without input_points")
        return encoding

    def post_process_masks(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Do the same as `SamImageProcessor.post_process_masks`."""
        return self.image_processor.post_process_masks(*args, **kwargs)

    def _points(
        self, points: Any, labels: Any, sizes: list[tuple[int, int]]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return scaled points, and labels if there are any or if there is padding."""
        per_image = [_filled(entry, "input_points") for entry in _entries(points, "input_points")]
        for array in per_image:
            if array.ndim not in (2, 3) or array.shape[-1] != 2:
                raise ValueError(
                    "input_points must be nested lists: for each image K points (x, y), or N "
                    f"prompts of K points; got shape {array.shape} for an image"
                )
        if len({array.ndim for array in per_image}) > 1:
            raise ValueError("input_points must be nested equally deep for all images")
        scaled = [
            np.where(np.isnan(array), self.point_pad_value, self._scaled(array, size))
            for array, size in zip(per_image, _matched(sizes, len(per_image)), strict=True)
        ]
        shape = tuple(int(n) for n in np.max([array.shape for array in scaled], axis=0))
        padded = any(np.isnan(array).any() or array.shape != shape for array in per_image)
        result = np.full((len(scaled), *shape), float(self.point_pad_value))
        for target, array in zip(result, scaled, strict=True):
            target[tuple(map(slice, array.shape))] = array
        if labels is None:
            if not padded:
                return result, None
            given = [np.ones(array.shape[:-1]) for array in per_image]
        else:
            given = [_filled(entry, "input_labels") for entry in _entries(labels, "input_labels")]
            self._check_labels(given, per_image)
        if not padded:
            return result, np.stack(given).astype(np.int64)
        filled = np.full((len(scaled), *shape[:-1]), self.point_pad_value, dtype=np.int64)
        for target, array, places in zip(filled, given, per_image, strict=True):
            values = array.reshape(places.shape[:-1])
            values = np.where(np.isnan(places[..., 0]), self.point_pad_value, values)
            target[tuple(map(slice, values.shape))] = values
        return result, filled

    @staticmethod
    def _check_labels(labels: list[np.ndarray], points: list[np.ndarray]) -> None:
        found = [label.size for label in labels], [point.size // 2 for point in points]
        if found[0] != found[1]:
            raise ValueError(
                f"input_labels must give a label for each point: {found[0]} labels for {found[1]} "
                "points of the images"
            )

    def _boxes(self, boxes: Any, sizes: list[tuple[int, int]]) -> np.ndarray:
        per_image = [_filled(entry, "input_boxes") for entry in _entries(boxes, "input_boxes")]
        for array in per_image:
            if array.ndim != 2 or array.shape[1] != 4 or np.isnan(array).any():
                raise ValueError(
                    "input_boxes must be nested lists: for each image N boxes (x0, y0, x1, y1); "
                    f"got shape {array.shape} for an image"
                )
        counts = [len(array) for array in per_image]
        if len(set(counts)) > 1:
            raise ValueError(f"all images need equally many input_boxes, got {counts}")
        # The reference rounds boxes, but not points, to float32 first.
        corners = [array.astype(np.float32).astype(float).reshape(-1, 2, 2) for array in per_image]
        matched = _matched(sizes, len(corners))
        scaled = [self._scaled(array, size) for array, size in zip(corners, matched, strict=True)]
        return np.stack(scaled).reshape(len(scaled), -1, 4)

    def _scaled(self, points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Scale (..., 2) coordinates (x, y) of an image of (height, width)."""
        height, width = preprocess_shape(size, self.target_size)
        return points * np.array([width / size[1], height / size[0]])


def _entries(values: Any, name: str) -> list[Any]:
    """Return what was given for each image."""
    if not isinstance(values, (list, tuple)):
        values = to_array(values)
        values = list(values) if values.ndim else []
    entries = [to_array(value) if hasattr(value, "shape") else value for value in values]
    if not entries or not all(isinstance(entry, (list, tuple, np.ndarray)) for entry in entries):
        raise ValueError(f"{name} must have an entry for each image, and each must be a list")
    return entries


def _filled(entry: Any, name: str) -> np.ndarray:
    """Return nested lists as a float array; where a list is shorter, not a number."""
    try:
        return np.asarray(entry, dtype=float)
    except ValueError:
        pass
    try:
        rows = [np.asarray(row, dtype=float) for row in entry]
        shape = np.max([row.shape for row in rows], axis=0)
        result = np.full((len(rows), *shape), np.nan)
        for target, row in zip(result, rows, strict=True):
            target[tuple(map(slice, row.shape))] = row
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be nested lists of numbers, got {entry!r}") from error
    return result


def _matched(sizes: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Return a size for each entry; the first image's for all where the numbers differ."""
    return sizes if len(sizes) == count else [sizes[0]] * count


def _tensor(array: np.ndarray, kind: str | None, rank: int) -> Any:
    """Return the kind of tensor, with an axis of one prompt where it lacks."""
    if kind in (None, "np"):
        return array
    return stack(array if array.ndim == rank else np.expand_dims(array, 1), str(kind), "prompts")
