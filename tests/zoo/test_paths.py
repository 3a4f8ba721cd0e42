"""Where models lie, on every system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from samari.zoo import models_dir
from samari.zoo.paths import cache_dir


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


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {}, ".cache/samari"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/samari"),
        ("darwin", {}, "Library/Caches/samari"),
        ("win32", {}, "AppData/Local/samari/cache"),
    ],
)
def test_folder_of_what_can_be_made_again_of_each_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], wanted: str
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=Path.home()))
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_dir() == Path.home() / wanted


def test_asking_makes_no_folder(home: Path) -> None:
    assert models_dir() == home
    assert not home.exists()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_HOME": "~/shared"},
        {"XDG_CACHE_HOME": "/xdg"},
        {"HF_HUB_CACHE": "~/$KIND/models", "KIND": "quick", "HF_HOME": "/elsewhere"},
        {"HUGGINGFACE_HUB_CACHE": "/old"},
    ],
)
def test_the_cache_of_the_hub_is_found_without_its_library(variables: dict[str, str]) -> None:
    program = (
        "import sys; from samari.zoo.paths import hub_cache; own = hub_cache(); "
        "assert 'huggingface_hub' not in sys.modules; import huggingface_hub.constants as c; "
        "assert str(own) == c.HF_HUB_CACHE == str(hub_cache()), (own, c.HF_HUB_CACHE)"
    )
    names = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    subprocess.run([sys.executable, "-c", program], env={**kept, **variables}, check=True)
