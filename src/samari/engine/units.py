"""Units of voxel sizes: the names napari uses and the symbols of OME-XML.

Symbols are those of UnitsLength and UnitsTime in the OME schema of 2016-06.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samari.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Name of a length: OME symbol, length in micrometers, other spellings.
_LENGTHS: dict[str, tuple[str, float, tuple[str, ...]]] = {
    "picometer": ("pm", 1e-6, ()),
    "angstrom": ("Å", 1e-4, ("angstroms", "ångström")),
    "nanometer": ("nm", 1e-3, ("nanometre", "nanometers")),
    "micrometer": ("µm", 1.0, ("um", "micron", "microns", "micrometre", "micrometers")),
    "millimeter": ("mm", 1e3, ("millimetre", "millimeters")),
    "centimeter": ("cm", 1e4, ("centimetre", "centimeters")),
    "meter": ("m", 1e6, ("metre", "meters")),
    "kilometer": ("km", 1e9, ("kilometre", "kilometers")),
    "inch": ("in", 25400.0, ("inches",)),
}
#: Name of a time: OME symbol, other spellings.
_TIMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "nanosecond": ("ns", ("nsec",)),
    "microsecond": ("µs", ("us", "usec")),
    "millisecond": ("ms", ("msec",)),
    "second": ("s", ("sec", "seconds")),
    "minute": ("min", ("minutes",)),
    "hour": ("h", ("hr", "hours")),
    "day": ("d", ("days",)),
}
_NAMES = (
    {spelling: name for name, (s, _, more) in _LENGTHS.items() for spelling in (name, s, *more)}
    | {spelling: name for name, (s, more) in _TIMES.items() for spelling in (name, s, *more)}
    | dict.fromkeys(("pixel", "pixels", "px", ""), "pixel")
)


def unit_name(unit: Any) -> str:
    """Return the name of a unit as napari has it, e.g. "micrometer" for "µm", "um" or a pint unit.

    Unknown ones come back as they are written.
    """
    written = str(unit).strip().replace("\\u00B5", "µ")
    # Greek mu and the angstrom sign look the same as the letters of the table.
    written = written.replace("\u03bc", "µ").replace("\u212b", "Å")
    return _NAMES.get(written) or _NAMES.get(written.lower()) or written


def axis_units(units: Any, axes: str) -> tuple[str, ...] | None:
    """Return the name of the unit of every axis; None for None.

    Parameters
    ----------
    units : str, pint unit, sequence of either, or None
        One for all axes, or one for each.
    axes : str

    Raises
    ------
    InputError
        If there are more or fewer than axes.
    """
    if units is None:
        return None
    if isinstance(units, str) or not hasattr(units, "__len__"):
        return (unit_name(units),) * len(axes)
    if len(units) != len(axes):
        raise InputError(f"units {tuple(map(str, units))} need one for each of the axes {axes}")
    return tuple(unit_name(unit) for unit in units)


def axis_numbers(name: str, values: Sequence[float] | None, axes: str) -> tuple[float, ...] | None:
    """Return `values` as one finite float an axis; None for None.

    Raises
    ------
    InputError
        Naming `name`, if they are not one finite number for each axis.
    """
    if values is None:
        return None
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}={values!r} is not a sequence of numbers") from error
    if len(numbers) != len(axes) or not all(abs(n) < float("inf") for n in numbers):
        raise InputError(f"{name}={numbers} needs one finite number for each of the axes {axes}")
    return numbers


def voxel_size(scale: Sequence[float] | None, axes: str) -> tuple[float, ...] | None:
    """Return `scale` as one float an axis; None for None.

    Raises
    ------
    InputError
        If they are not one finite number for each axis, or one of them is 0.
    """
    sizes = axis_numbers("scale", scale, axes)
    if sizes is not None and 0 in sizes:
        raise InputError(f"scale={sizes} contains 0; a voxel has a size")
    return sizes


def ome_length(unit: str) -> str:
    """Return the OME symbol of a length; "reference frame", OME's undefined unit, for others."""
    if unit in _LENGTHS:
        return _LENGTHS[unit][0]
    return "pixel" if unit == "pixel" else "reference frame"


def ome_time(unit: str) -> str | None:
    """Return the OME symbol of a time; None for anything else."""
    return _TIMES[unit][0] if unit in _TIMES else None


def micrometers(unit: str) -> float | None:
    """Return how many micrometers a length is; None for anything else."""
    return _LENGTHS[unit][1] if unit in _LENGTHS else None
