"""The user's own data: a folder of images and a folder of label files of the same names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.engine.images import read_image
from samari.engine.label_files import read_labels
from samari.engine.planes import ImagePlanes, PlaneIndex
from samari.errors import InputError
from samari.train.data import Sample, connected_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from samari.engine.images import ImageFile

#: What label files add to the names of their images, in the habits of several tools.
_ADDED = ("_cp_masks", "_labels", "_label", "_masks", "_mask", "_seg", "-labels", ".labels")
#: Compression invents labels.
_LOSSY = frozenset({".jpg", ".jpeg"})


def load_pairs(images: str | Path, labels: str | Path) -> list[Sample]:
    """Read every image that has a label file of its name, plane by plane.

    Parameters
    ----------
    images, labels : path
        Folders. The label file of ``cell_1.tif`` is ``cell_1.tif``, ``cell_1.png`` or has
        ``_labels``, ``_masks`` or the like after the name. Stacks give one sample for every plane
        that has labels; of several channels the first is taken. Connected parts of a label in a
        plane are objects of their own.

    Returns
    -------
    list of Sample
        In the order of the names; stretched as at inference.

    Raises
    ------
    InputError
        A folder is missing, no names agree, two files have one name, an image and its labels differ
        in shape, or a label is negative.
    """
    folders = Path(images), Path(labels)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
    pictures, partners = _files(folders[0]), _files(folders[1])
    if folders[0].samefile(folders[1]):
        partners = [file for file in partners if _is_added(file.stem)]
        pictures = [file for file in pictures if not _is_added(file.stem)]
    partners = [file for file in partners if file.suffix.lower() not in _LOSSY]
    by_name, images_by_name = _by_name(partners), _by_name(pictures)
    pairs = [(file, by_name[name]) for name, file in images_by_name.items() if name in by_name]
    samples = [sample for file, partner in pairs for sample in _planes(file, partner)]
    if pairs and not samples:
        raise InputError(
            f"no label file in {folders[1]} has a labelled pixel: {len(pairs)} looked at"
        )
    if not samples:
        raise InputError(
            f"no image of {folders[0]} has a label file of its name in {folders[1]}: "
            f"{len(pictures)} images, {len(by_name)} label files"
        )
    return samples


def _by_name(files: list[Path]) -> dict[str, Path]:
    """Return files by their bare names; two of one name are an error."""
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(_bare(file.stem), file)
        if other != file:
            raise InputError(
                f"{other.name} and {file.name} in {file.parent} are of the same name: move one away"
            )
    return found


def _files(folder: Path) -> list[Path]:
    endings = {".tif", ".tiff", ".png", ".npy", ".jpg", ".jpeg", ".bmp"}
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in endings)


def _bare(stem: str) -> str:
    """Return a name without ``.ome`` and without what says that it is one of labels."""
    stem = stem.removesuffix(".ome")
    return next((stem.removesuffix(end) for end in _ADDED if stem.endswith(end)), stem)


def _is_added(stem: str) -> bool:
    return _bare(stem) != stem.removesuffix(".ome")


def _planes(image: Path, labels: Path) -> Iterator[Sample]:
    file, array = read_image(image), _labels_in(labels)
    planes = ImagePlanes(file.image, file.axes, rgb=file.rgb)
    shape = _label_shape(file)
    if array.shape != shape:
        raise InputError(
            f"{labels.name} has the shape {array.shape}, but {image.name} asks for {shape}"
        )
    for index in np.ndindex(shape[:-2]):
        plane = array[index]
        if plane.any():
            yield Sample(
                image=planes.rgb_plane(PlaneIndex("YX", tuple(index))),
                labels=connected_parts(plane),
                dataset="own",
                modality="own",
                key="/".join([image.name, *map(str, index)]),
                group=image.name,
            )


def _label_shape(file: ImageFile) -> tuple[int, ...]:
    sides = zip(file.axes, file.image.shape, strict=False)  # the last may be colour
    return tuple(int(side) for letter, side in sides if letter != "C")


def _labels_in(file: Path) -> NDArray[Any]:
    """Return the labels of a file."""
    if file.suffix.lower() in (".tif", ".tiff"):
        labels = read_labels(file).labels
    else:
        read = read_image(file)
        if read.rgb:
            raise InputError(f"{file.name} is a colour image, not labels")
        labels = np.asarray(read.image)
    if labels.dtype.kind not in "biu":
        raise InputError(f"{file.name} holds {labels.dtype}, not labels")
    if labels.dtype.kind == "i" and labels.min(initial=0) < 0:
        raise InputError(
            f"{file} holds {labels.dtype} values that are no labels (whole numbers >= 0)"
        )
    return labels
