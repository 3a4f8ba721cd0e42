"""Names of units, whoever wrote them."""

from __future__ import annotations

import pint
import pytest

from samari.engine.units import (
    axis_numbers,
    axis_units,
    micrometers,
    ome_length,
    ome_time,
    unit_name,
)
from samari.errors import InputError


@pytest.mark.parametrize(
    "written",
    ["micrometer", "µm", "μm", "um", "micron", "Microns", "\\u00B5m", pint.Unit("um"), " µm "],
)
def test_all_spellings_of_a_micrometer_are_one(written):
    assert unit_name(written) == "micrometer"


def test_other_units_have_their_names_and_unknown_ones_stay():
    spellings = {
        "nm": "nanometer",
        "Å": "angstrom",
        "sec": "second",
        "": "pixel",
        "MM": "millimeter",
    }
    for written, name in spellings.items():
        assert unit_name(written) == name
    assert unit_name("furlong") == "furlong"


def test_every_unit_has_the_symbol_of_the_ome_schema():
    assert ome_length("micrometer") == "µm"
    assert ome_length("pixel") == "pixel"
    assert ome_length("furlong") == "reference frame"
    assert ome_time("second") == "s"
    assert ome_time("micrometer") is None
    assert micrometers("millimeter") == 1000
    assert micrometers("pixel") is None


def test_one_unit_stands_for_all_axes():
    assert axis_units("um", "ZYX") == ("micrometer",) * 3
    assert axis_units(pint.Unit("nm"), "YX") == ("nanometer",) * 2
    assert axis_units(["s", pint.Unit("um"), "um"], "TYX") == ("second", "micrometer", "micrometer")
    assert axis_units(None, "YX") is None
    with pytest.raises(InputError, match="ZYX"):
        axis_units(["um", "um"], "ZYX")


@pytest.mark.parametrize("values", [(1, 2), (1, 2, float("nan")), (1, 2, float("inf")), "abc", 3])
def test_numbers_that_are_not_one_for_each_axis_are_refused_by_name(values):
    with pytest.raises(InputError, match="scale="):
        axis_numbers("scale", values, "ZYX")
