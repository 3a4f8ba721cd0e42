"""The names that scripts depend on: they exist, are documented, are imported when first used."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import samari
from samari.errors import SamariError

PUBLIC = ["SamariError", "Segmenter", "Session", "annotate"]


def _modules() -> list[str]:
    found = pkgutil.walk_packages(samari.__path__, prefix="samari.")
    return sorted(module.name for module in found)


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(samari.__all__) == sorted([*PUBLIC, "__version__"])
    assert set(samari.__all__) <= set(dir(samari))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_documented_and_keeps_its_identity(name: str) -> None:
    value = getattr(samari, name)
    assert inspect.getdoc(value)
    assert getattr(samari, name) is value
    assert getattr(importlib.import_module(value.__module__), name) is value


@pytest.mark.parametrize("name", ["Segmenter", "Session", "annotate"])
def test_the_documentation_explains_every_parameter(name: str) -> None:
    value = getattr(samari, name)
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        text += inspect.getdoc(value.__init__) or ""
    missing = [
        parameter
        for parameter in inspect.signature(value).parameters
        if parameter != "self" and parameter not in text
    ]
    assert "Parameters" in text
    assert missing == []


@pytest.mark.parametrize("module", _modules())
def test_a_module_is_documented_and_exports_what_it_says(module: str) -> None:
    loaded = importlib.import_module(module)
    assert inspect.getdoc(loaded)
    for name in getattr(loaded, "__all__", []):
        value = getattr(loaded, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{module}.{name} has no docstring"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Segmentor"):
        _ = samari.Segmentor


def test_every_error_is_a_samari_error() -> None:
    errors = importlib.import_module("samari.errors")
    assert all(issubclass(getattr(errors, name), SamariError) for name in errors.__all__)


def test_the_version_is_that_of_the_installed_distribution() -> None:
    from importlib.metadata import version

    assert samari.__version__ == version("samari")
