"""Turns images into what the network takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samari.sam import images as im
from samari.sam.batch import BatchFeature, stack, tensor_kind
from samari.sam.image_sizes import as_pair, both_sides, longest_edge, preprocess_shape
from samari.sam.mask_processing import MaskProcessing
from samari.sam.pretrained import find_json

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

PROCESSOR_NAME = "preprocessor_config.json"
#: Where newer versions of transformers write the same settings, under ``"image_processor"``.
NESTED_NAME = "processor_config.json"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
BILINEAR = 2
BICUBIC = 3

#: Settings that `preprocess` may override; each is an attribute of the processor.
_SETTINGS = (
    "do_resize",
    "size",
    "mask_size",
    "resample",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "image_mean",
    "image_std",
    "do_pad",
    "pad_size",
    "mask_pad_size",
    "do_convert_rgb",
)


class SamImageProcessor(MaskProcessing):
    """Resizes, rescales, normalises and pads images; the reverse for masks.

    Parameters
    ----------
    do_resize : bool
        Whether to resize the longest edge to ``size["longest_edge"]``.
    size, mask_size : dict or int, optional
        ``{"longest_edge": n}`` of images (1024) and of segmentation maps (256).
    resample : int
        Filter of Pillow for images; maps take the nearest pixel.
    do_rescale : bool
        Whether to multiply by `rescale_factor`.
    rescale_factor : float
        1 / 255 makes fractions of 8-bit values.
    do_normalize : bool
        Whether to subtract `image_mean` and divide by `image_std`.
    image_mean, image_std : float or sequence of float, optional
        One for all channels or one for each; ImageNet's where not given.
    do_pad : bool
        Whether to add zeros at the bottom and the right.
    pad_size, mask_pad_size : dict or int, optional
        ``{"height": h, "width": w}`` of images (1024) and of segmentation maps (256).
    do_convert_rgb : bool
        Whether grey images become RGB and alpha channels are dropped.
    **kwargs
        Further entries of a published file; kept and written back.
    """

    model_input_names: tuple[str, ...] = ("pixel_values",)

    def __init__(
        self,
        do_resize: bool = True,
        size: dict[str, int] | int | None = None,
        mask_size: dict[str, int] | int | None = None,
        resample: int = BILINEAR,
        do_rescale: bool = True,
        rescale_factor: float = 1 / 255,
        do_normalize: bool = True,
        image_mean: float | Sequence[float] | None = None,
        image_std: float | Sequence[float] | None = None,
        do_pad: bool = True,
        pad_size: dict[str, int] | int | None = None,
        mask_pad_size: dict[str, int] | int | None = None,
        do_convert_rgb: bool = True,
        **kwargs: Any,
    ) -> None:
        self.do_resize = do_resize
        self.size = longest_edge("size", 1024 if size is None else size)
        self.mask_size = longest_edge("mask_size", 256 if mask_size is None else mask_size)
        self.resample = resample
        self.do_rescale = do_rescale
        self.rescale_factor = rescale_factor
        self.do_normalize = do_normalize
        self.image_mean = list(IMAGENET_MEAN) if image_mean is None else image_mean
        self.image_std = list(IMAGENET_STD) if image_std is None else image_std
        self.do_pad = do_pad
        self.pad_size = both_sides("pad_size", 1024 if pad_size is None else pad_size)
        self.mask_pad_size = both_sides(
            "mask_pad_size", 256 if mask_pad_size is None else mask_pad_size
        )
        self.do_convert_rgb = do_convert_rgb
        self.extra = {key: value for key, value in kwargs.items() if key != "image_processor_type"}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        values: dict[str, Any] = {**self.extra, "image_processor_type": type(self).__name__}
        values.update({key: getattr(self, key) for key in _SETTINGS})
        values["resample"] = int(self.resample)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SamImageProcessor:
        """Build a processor from what `to_dict` returned or a published file holds."""
        return cls(**values)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **hub: Any) -> SamImageProcessor:
        """Read ``preprocessor_config.json`` of a folder or a hub id.

        ``processor_config.json`` of newer versions of transformers does as well. Where a model has
        neither, the sizes follow from its ``config.json``.

        Parameters
        ----------
        name : str or Path
            A folder, a file in it, or a hub id.
        **hub
            See `SamModel.from_pretrained`.

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or none of the files is in it.
        ValueError
            If the file is not a JSON object.
        DownloadError
            If the hub cannot be asked.
        """
        values = find_json(name, PROCESSOR_NAME, **hub)
        if values is None:
            values = (find_json(name, NESTED_NAME, **hub) or {}).get("image_processor")
        if values is not None:
            return cls.from_dict(values)
        config = find_json(name, "config.json", **hub)
        if config is None:
            raise FileNotFoundError(f"neither {PROCESSOR_NAME} nor config.json in {name}")
        return cls.from_model_config(config)

    @classmethod
    def from_model_config(cls, config: dict[str, Any]) -> SamImageProcessor:
        """Build a processor whose sizes fit a network's ``config.json``."""
        vision = config.get("vision_config") or {}
        size = int(vision.get("image_size", 1024))
        low = 4 * (size // int(vision.get("patch_size", 16)))
        return cls(size=size, pad_size=size, mask_size=low, mask_pad_size=low)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write ``preprocessor_config.json`` into a folder, which is made if it does not exist."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"
        (path / PROCESSOR_NAME).write_text(text, encoding="utf-8")

    def __call__(self, images: Any, segmentation_maps: Any = None, **kwargs: Any) -> BatchFeature:
        """Do the same as `preprocess`."""
        return self.preprocess(images, segmentation_maps, **kwargs)

    def preprocess(
        self,
        images: Any,
        segmentation_maps: Any = None,
        *,
        return_tensors: Any = None,
        data_format: Any = im.FIRST,
        input_data_format: Any = None,
        **settings: Any,
    ) -> BatchFeature:
        """Prepare one image or several for the network.

        Parameters
        ----------
        images : PIL image, array, tensor, a batch, or a list of these
            (H, W), (H, W, C) or (C, H, W), with values 0 to 255, or fractions from 0 to 1 with
            ``do_rescale=False``.
        segmentation_maps : the same, optional
            A label map (H, W) for each image, of the same size.
        return_tensors : {"np", "pt", "tf", "jax"}, optional
            What to stack the results into; lists of arrays where not given.
        data_format : {"channels_first", "channels_last"} or None
            Where the channels of the results are; None for where they were.
        input_data_format : {"channels_first", "channels_last"}, optional
            Where the channels of the images are; told from the shapes where not given.
        **settings
            Any setting of the class, for this call only.

        Returns
        -------
        BatchFeature
            ``pixel_values``, ``original_sizes`` and ``reshaped_input_sizes`` (height, width; before
            and after resizing), and ``labels`` of segmentation maps.

        Raises
        ------
        ValueError
            If something is no image, has values out of range, or maps do not fit their images.
        TypeError
            If a setting is unknown.
        """
        unknown = settings.keys() - set(_SETTINGS)
        if unknown:
            raise TypeError(f"SamImageProcessor has no setting {sorted(unknown)[0]!r}")
        chosen = {key: getattr(self, key) for key in _SETTINGS}
        chosen.update({key: value for key, value in settings.items() if value is not None})
        kind = tensor_kind(return_tensors)
        wanted, given = im.layout_name(data_format), im.layout_name(input_data_format)
        data: dict[str, list[Any]] = {
            "pixel_values": [],
            "original_sizes": [],
            "reshaped_input_sizes": [],
        }
        for image in im.as_list(images, rank=3):
            pixels, original, reshaped = self._prepare_image(image, chosen, given, wanted)
            data["pixel_values"].append(pixels)
            data["original_sizes"].append(original)
            data["reshaped_input_sizes"].append(reshaped)
        if segmentation_maps is not None:
            maps = im.as_list(segmentation_maps, rank=2)
            if len(maps) != len(data["original_sizes"]):
                raise ValueError(
                    f"{len(maps)} segmentation maps for {len(data['original_sizes'])} images"
                )
            data["labels"] = [
                self._prepare_labels(labels, chosen, given, size)
                for labels, size in zip(maps, data["original_sizes"], strict=True)
            ]
        if kind is None:
            return BatchFeature(data)
        return BatchFeature({key: stack(value, kind, key) for key, value in data.items()})

    def _prepare_image(
        self, image: Any, chosen: dict[str, Any], given: str | None, wanted: str | None
    ) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
        channels = 3 if chosen["do_normalize"] and np.size(chosen["image_mean"]) == 3 else None
        array, layout = im.read_image(image, given, chosen["do_convert_rgb"], channels)
        original = im.size_of(array, layout)
        if chosen["do_resize"]:
            size = preprocess_shape(original, longest_edge("size", chosen["size"])["longest_edge"])
            array = im.resize(array, size, chosen["resample"], layout)
        reshaped = im.size_of(array, layout)
        if chosen["do_rescale"]:
            array = im.rescale(array, chosen["rescale_factor"])
        if chosen["do_normalize"]:
            array = im.normalize(array, chosen["image_mean"], chosen["image_std"], layout)
        if chosen["do_pad"]:
            array = im.pad(array, as_pair(both_sides("pad_size", chosen["pad_size"])), layout)
        return im.to_layout(array, layout, wanted), original, reshaped

    def _prepare_labels(
        self, labels: Any, chosen: dict[str, Any], given: str | None, size: tuple[int, int]
    ) -> np.ndarray:
        array = im.to_array(labels)
        flat = array.ndim == 2
        if flat:
            array, layout = array[None], im.FIRST
        else:
            layout = given or im.infer_layout(array, channels=(1,) if 1 in array.shape else (3,))
            axis = im.channel_axis(layout)
            if array.shape[axis] > 1:
                # A map drawn in colour: what is not black is labelled.
                array = array.take(range(min(3, array.shape[axis])), axis=axis)
                array, flat = array.max(axis=axis)[None], True
                layout = im.FIRST
        if im.size_of(array, layout) != size:
            raise ValueError(
                f"a segmentation map of {im.size_of(array, layout)} pixels for an image of {size}"
            )
        if chosen["do_resize"]:
            edge = longest_edge("mask_size", chosen["mask_size"])["longest_edge"]
            array = im.resize_labels(array, preprocess_shape(size, edge), layout)
        if chosen["do_pad"]:
            array = im.pad(
                array, as_pair(both_sides("mask_pad_size", chosen["mask_pad_size"])), layout
            )
        return (array[0] if flat else array).astype(np.int64)

    def resize(
        self,
        image: np.ndarray,
        size: dict[str, int],
        resample: int = BICUBIC,
        data_format: Any = None,
        input_data_format: Any = None,
    ) -> np.ndarray:
        """Resize the longest edge of an image to ``size["longest_edge"]``.

        Parameters
        ----------
        image : (H, W, C) or (C, H, W) array
            Values 0 to 255, or fractions from 0 to 1.
        size : dict
            ``{"longest_edge": n}``.
        resample : int
            Filter of Pillow.
        data_format, input_data_format : {"channels_first", "channels_last"}, optional
            Where the channels of the result and of the image are.
        """
        layout = im.layout_name(input_data_format) or im.infer_layout(image)
        target = preprocess_shape(
            im.size_of(image, layout), longest_edge("size", size)["longest_edge"]
        )
        resized = im.resize(image, target, resample, layout)
        return im.to_layout(resized, layout, im.layout_name(data_format))

    def pad_image(
        self,
        image: np.ndarray,
        pad_size: dict[str, int],
        data_format: Any = None,
        input_data_format: Any = None,
    ) -> np.ndarray:
        """Add zeros at the bottom and the right, up to ``pad_size``; see `resize`."""
        layout = im.layout_name(input_data_format) or im.infer_layout(image)
        padded = im.pad(image, as_pair(both_sides("pad_size", pad_size)), layout)
        return im.to_layout(padded, layout, im.layout_name(data_format))
