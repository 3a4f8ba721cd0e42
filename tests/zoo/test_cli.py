"""``samari models`` on the command line."""

from __future__ import annotations

import argparse
import locale
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from samari.errors import ModelError
from samari.sam.weights import load_model, save_model
from samari.terminal import megabytes
from samari.zoo import MODELS, load
from samari.zoo.cli import add_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["models", *words])
    code: int = arguments.run(arguments)
    return code


def test_list_shows_every_model_and_where_it_is(
    capsys: pytest.CaptureFixture[str], weights: Path, home: Path
) -> None:
    assert _run("add", str(weights), "--name", "mine") == 0
    capsys.readouterr()
    assert _run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line}
    assert set(MODELS) <= set(rows)
    assert "375 MB" in rows["vit_b_lm"]
    assert "to download" in rows["vit_b_lm"]
    assert "part of Samari" in rows["samari-tiny"]
    assert "added by you" in rows["mine"]
    assert lines[-1].endswith(str(home))


def test_list_is_what_the_bare_command_shows(capsys: pytest.CaptureFixture[str]) -> None:
    _run("list")
    wanted = capsys.readouterr().out
    _run()
    assert capsys.readouterr().out == wanted


def test_path_prints_the_path_and_nothing_else(
    capsys: pytest.CaptureFixture[str], weights: Path, home: Path
) -> None:
    _run("add", str(weights), "--name", "mine")
    capsys.readouterr()
    assert _run("path", "mine") == 0
    assert capsys.readouterr().out == f"{home / 'mine'}\n"
    with pytest.raises(ModelError, match="samari models download vit_b_lm"):
        _run("path", "vit_b_lm")


def test_download_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
    listed: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    listed()
    assert _run("download", "test_lm") == 0
    output = capsys.readouterr()
    assert "100 %" in output.err
    assert output.out == f"test_lm is in {home / 'test_lm' / 'vit_b.pt'}\n"
    assert _run("download", "test_lm") == 0
    assert "is here already" in capsys.readouterr().out


def test_parser_loads_neither_torch_nor_the_hub() -> None:
    code = (
        "import sys, argparse, samari.zoo.cli as cli;"
        "cli.add_parser(argparse.ArgumentParser().add_subparsers());"
        "import samari.zoo; samari.zoo.available('vit_b_lm');"
        "sys.exit(bool({'torch', 'huggingface_hub', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Give a function that switches this process to a locale with decimal commas."""
    localedef = shutil.which("localedef")
    if localedef is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("a locale with decimal commas cannot be made here")
    made = [localedef, "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
    subprocess.run(made, check=False, capture_output=True)
    before = locale.setlocale(locale.LC_ALL)

    def switch() -> None:
        monkeypatch.setenv("LOCPATH", str(tmp_path))
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
        assert locale.localeconv()["decimal_point"] == ","

    yield switch
    locale.setlocale(locale.LC_ALL, before)


def test_decimal_commas_in_the_locale_change_nothing(
    tmp_path: Path,
    tiny_model_folder: Path,
    capsys: pytest.CaptureFixture[str],
    german: Callable[[], None],
) -> None:
    """Trap 42: decimal commas in the locale."""

    def everything() -> tuple[str, ...]:
        _run("list")
        print(megabytes(1_234_567, 2_500_000_000))
        save_model(load_model(tiny_model_folder), tmp_path / "out")
        config = (tmp_path / "out" / "config.json").read_text()
        return (*capsys.readouterr(), config, load(tmp_path / "out").hash)

    usual = everything()
    german()
    assert everything() == usual
    assert "1e-06" in usual[2]
