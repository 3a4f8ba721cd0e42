"""Where models lie, on every system."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from samari.zoo import models_dir


def test_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMARI_MODELS", "~/my models")
    assert models_dir() == Path.home() / "my models"
    assert models_dir("/elsewhere") == Path("/elsewhere")


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {}, ".local/share/samari/models"),
        ("linux", {"XDG_DATA_HOME": "{home}/xdg"}, "xdg/samari/models"),
        ("darwin", {}, "Library/Application Support/samari/models"),
        ("win32", {}, "AppData/Local/samari/models"),
        ("win32", {"LOCALAPPDATA": "{home}/local"}, "local/samari/models"),
    ],
)
def test_user_data_folder_of_each_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], wanted: str
) -> None:
    for name in ("SAMARI_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=Path.home()))
    monkeypatch.setattr(sys, "platform", platform)
    assert models_dir() == Path.home() / wanted


def test_asking_makes_no_folder(home: Path) -> None:
    assert models_dir() == home
    assert not home.exists()
