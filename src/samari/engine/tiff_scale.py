"""Voxel sizes in TIFF files: OME-XML, ImageJ's tags, or the baseline resolution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from samari.engine.units import unit_name

if TYPE_CHECKING:
    import tifffile

#: Baseline resolutions of larger pixels, in micrometers, are for printers (300 dpi is 85).
LARGEST_PIXEL = 20.0
#: ResolutionUnit (TIFF 6.0): length of the unit in micrometers.
_RESOLUTION_UNITS = {2: 25400.0, 3: 10000.0}


def voxel_size(tiff: tifffile.TiffFile, series: int) -> dict[str, tuple[float, str]]:
    """Return (size, name of the unit) of the axes about which the file says something.

    Sizes that are not positive and finite are left out, as are those that only count pixels.
    """
    if tiff.is_ome:
        sizes = _from_ome(tiff.ome_metadata or "", series)
    elif tiff.is_imagej:
        sizes = _from_imagej(tiff.imagej_metadata or {}, tiff.pages.first)
    else:
        sizes = _from_resolution(tiff.pages.first)
    sizes = {
        letter: (float(size), unit_name(unit))
        for letter, (size, unit) in sizes.items()
        if 0 < size < math.inf
    }
    return {} if all(known == (1.0, "pixel") for known in sizes.values()) else sizes


def _from_ome(xml: str, series: int) -> dict[str, tuple[float, str]]:
    """Read PhysicalSizeX, Y, Z and TimeIncrement; the schema's default units are µm and s."""
    try:
        pixels = list(ElementTree.fromstring(xml).iterfind(".//{*}Image/{*}Pixels"))
    except ElementTree.ParseError:
        return {}
    if series >= len(pixels):
        return {}
    attributes = {"Z": "PhysicalSizeZ", "Y": "PhysicalSizeY", "X": "PhysicalSizeX"}
    attributes["T"] = "TimeIncrement"
    sizes = {}
    for letter, attribute in attributes.items():
        size = _number(pixels[series].get(attribute))
        default = "s" if letter == "T" else "µm"
        sizes[letter] = (size, pixels[series].get(f"{attribute}Unit", default))
    return sizes


def _from_imagej(metadata: dict[str, Any], page: Any) -> dict[str, tuple[float, str]]:
    """Read pixels per unit from the baseline tags, the rest from ImageJ's description.

    See ij.io.TiffEncoder and FileInfo in ImageJ's public source.
    """
    unit = str(metadata.get("unit", "pixel"))
    sizes = {"T": (_number(metadata.get("finterval")), "s")}
    if "spacing" in metadata:
        sizes["Z"] = (abs(_number(metadata["spacing"])), unit)
    for letter, tag in (("X", "XResolution"), ("Y", "YResolution")):
        sizes[letter] = (_pixel_size(page, tag), unit)
    return sizes


def _from_resolution(page: Any) -> dict[str, tuple[float, str]]:
    """Read the baseline tags where they say less than 20 µm a pixel."""
    unit = page.tags.valueof("ResolutionUnit", default=1)
    sizes = {
        letter: (_pixel_size(page, tag) * _RESOLUTION_UNITS.get(int(unit), 0), "micrometer")
        for letter, tag in (("X", "XResolution"), ("Y", "YResolution"))
    }
    return sizes if all(0 < size < LARGEST_PIXEL for size, _ in sizes.values()) else {}


def _pixel_size(page: Any, tag: str) -> float:
    """Return units per pixel from a ratio of pixels per unit; 0 if there is none."""
    numerator, denominator = page.tags.valueof(tag, default=(0, 1))
    return denominator / numerator if numerator else 0.0


def _number(written: Any) -> float:
    """Return a number from a tag, also with a decimal comma; 0 if it is none."""
    try:
        return float(str(written).replace(",", "."))
    except ValueError:
        return 0.0
