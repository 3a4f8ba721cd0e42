"""What every test shares: a tiny model, a private napari configuration, and the soak length."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``make soak DATA=FOLDER`` name a folder of labelled images."""
    parser.addoption("--data", metavar="FOLDER", help="labelled images, see samari.train.data")


def pytest_configure(config: pytest.Config) -> None:
    """Compute on one thread: tiny networks gain nothing from more, a busy machine loses much.

    Each of several processes has a screen of its own: windows on one screen take the keyboard from
    each other.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(config, "workerinput") and sys.platform == "linux" and shutil.which("Xvfb"):
        config.add_cleanup(_open_screen())


def _open_screen() -> Callable[[], object]:
    """Go to a new virtual screen; return what closes it."""
    # The shell ends the screen when this process has ended, in whatever way.
    program = "Xvfb -displayfd 1 -screen 0 1600x1200x24 -nolisten tcp 2>/dev/null & read _; kill $!"
    screen = subprocess.Popen(
        ["sh", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert screen.stdin is not None
    assert screen.stdout is not None
    number = screen.stdout.readline().strip()
    assert number, "Xvfb did not start"
    os.environ.update(DISPLAY=f":{number}", QT_QPA_PLATFORM="xcb")
    os.environ.pop("XAUTHORITY", None)
    return screen.communicate


@pytest.fixture(scope="session", autouse=True)
def _private_user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's napari settings and model cache out of the tests, and the reverse."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_CONFIG", str(folder / "napari.yaml"))
        patch.setenv("HF_HOME", str(folder / "hub"))
        patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _the_same_precision_everywhere() -> Iterator[pytest.MonkeyPatch]:
    """Compute in float32 on processors that have bfloat16 too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samari.engine.devices.has_bfloat16", lambda: False)
        yield patch


@pytest.fixture
def precision_of_users(
    _the_same_precision_everywhere: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Compute as the processor would for users, and for programs that a test starts."""
    _the_same_precision_everywhere.undo()
    yield
    _the_same_precision_everywhere.setattr("samari.engine.devices.has_bfloat16", lambda: False)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test folders for unsaved journals and embeddings; they are made when used."""
    for kind in ("journals", "cache"):
        folder = tmp_path_factory.getbasetemp() / kind / uuid.uuid4().hex
        monkeypatch.setenv(f"SAMARI_{kind.upper()}", str(folder))


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a SAM of random weights: image size 64, patch 8, 2 layers."""
    import torch

    from samari.sam import SamConfig, SamModel
    from samari.sam.weights import save_model

    config = SamConfig.from_dict(
        {
            "vision_config": {
                "image_size": 64,
                "patch_size": 8,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "mlp_dim": 64,
                "window_size": 4,
                "global_attn_indexes": [1],
                "output_channels": 32,
                "num_pos_feats": 16,
            },
            "prompt_encoder_config": {
                "hidden_size": 32,
                "image_size": 64,
                "patch_size": 8,
                "image_embedding_size": 8,
                "mask_input_channels": 16,
            },
            "mask_decoder_config": {
                "hidden_size": 32,
                "mlp_dim": 64,
                "num_attention_heads": 2,
                "num_hidden_layers": 2,
                "iou_head_hidden_dim": 32,
            },
        }
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(SamModel(config).eval(), folder)
    # As the bundled model: encoded un-padded and never enlarged.
    file = folder / "config.json"
    entries = json.loads(file.read_text(encoding="utf-8"))
    entries["samari"] = {"pad": False, "upscale": False}
    file.write_text(json.dumps(entries), encoding="utf-8")
    return folder


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Collect the shape of everything that an encoder is given from now on."""
    from samari.sam.vision_encoder import SamVisionEncoder

    seen: list[tuple[int, ...]] = []
    steps = SamVisionEncoder.steps

    def counted(self: Any, pixels: Any, *rest: Any) -> Any:
        seen.append(tuple(pixels.shape))
        return steps(self, pixels, *rest)

    monkeypatch.setattr(SamVisionEncoder, "steps", counted)
    return seen


@pytest.fixture(scope="session")
def soak() -> Callable[[int, int], int]:
    """Choose a length: ``soak(short, full)`` is ``short``, or ``full`` under ``make soak``."""
    long = os.environ.get("SAMARI_SOAK", "") == "1"
    return lambda short, full: full if long else short


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, float, str], None]:
    """Report a measured figure, ``figure("further click", 0.04, "s")``, at the end of the run."""

    def report(name: str, value: float, unit: str = "") -> None:
        request.node.user_properties.append((name, f"{value:.4g} {unit}".rstrip()))

    return report


@pytest.fixture(scope="session")
def requirements() -> Callable[[str | None], set[str]]:
    """Name the required distributions: ``requirements(None)``, or those of an extra."""
    project = tomllib.loads(
        (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    )["project"]

    def names(extra: str | None) -> set[str]:
        lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
        return {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in lines}

    return names


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests reported, from whatever process."""
    lines = [
        f"{report.nodeid}: {name} = {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
    ]
    if lines:
        terminalreporter.section("figures")
        for line in sorted(lines):
            terminalreporter.write_line(line)
