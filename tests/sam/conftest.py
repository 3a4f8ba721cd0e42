"""Golden networks, a factory of small random ones, and a server on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import importlib.util
import json
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from samari.sam import SamConfig, SamModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

GOLDEN = Path(__file__).parents[1] / "golden"


@dataclass(frozen=True)
class Golden:
    """A network with the reference's inputs and outputs."""

    name: str
    config: SamConfig
    model: SamModel
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]


def _load(name: str) -> Golden:
    config = SamConfig.from_dict(
        json.loads((GOLDEN / f"{name}.config.json").read_text(encoding="utf-8"))
    )
    model = SamModel(config).eval()
    model.load_state_dict(load_file(GOLDEN / f"{name}.model.safetensors"), strict=True)
    cases = load_file(GOLDEN / f"{name}.cases.safetensors")
    inputs = {key[3:]: value for key, value in cases.items() if key.startswith("in.")}
    outputs = {key[4:]: value for key, value in cases.items() if key.startswith("out.")}
    return Golden(name, config, model, inputs, outputs)


@pytest.fixture(scope="session", params=["square", "deep", "no_rel_pos"])
def golden(request: pytest.FixtureRequest) -> Golden:
    """Each golden network in turn, with its weights loaded strictly."""
    return _load(request.param)


@pytest.fixture(scope="session")
def load_golden() -> Callable[[str], Golden]:
    """Load a fresh copy of a golden network by its name."""
    return _load


@pytest.fixture
def square() -> Golden:
    """A fresh copy of the golden network called `square`: 64 pixels, 8 by 8 tokens."""
    return _load("square")


def _config(rate: int = 1, **vision: Any) -> SamConfig:
    vision = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "image_size": 64,
        "patch_size": 8,
        "window_size": 3,
        "global_attn_indexes": [1],
        "output_channels": 16,
        "num_pos_feats": 8,
        "mlp_dim": 32,
        **vision,
    }
    shared = {key: vision[key] for key in ("image_size", "patch_size")}
    return SamConfig(
        vision,
        {"hidden_size": 16, "mask_input_channels": 8, **shared},
        {
            "hidden_size": 16,
            "mlp_dim": 24,
            "num_attention_heads": 2,
            "attention_downsample_rate": rate,
            "iou_head_hidden_dim": 16,
        },
    )


@pytest.fixture
def small_model() -> Callable[..., SamModel]:
    """Make a small random network.

    `rate` is the decoder's attention_downsample_rate; other keywords change the encoder.
    """

    def make(rate: int = 1, **vision: Any) -> SamModel:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = SamModel(_config(rate, **vision)).eval()
            for name, table in model.named_parameters():
                if "rel_pos" in name:
                    torch.nn.init.normal_(table, std=0.5)
        return model

    return make


REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="session")
def reference_inputs() -> ModuleType:
    """The module that makes the inputs of which the reference's outputs are frozen."""
    spec = importlib.util.spec_from_file_location("reference_inputs", REFERENCE / "inputs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def frozen() -> Callable[[str], Any]:
    """Read a frozen file of the reference by its name."""

    def read(name: str) -> Any:
        path = REFERENCE / name
        if path.suffix == ".json":
            return json.loads(path.read_text(encoding="utf-8"))
        with np.load(path) as arrays:
            return dict(arrays)

    return read


@dataclass
class Web:
    """What a server on loopback has, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add_model(self, name: str, folder: Path) -> None:
        """Serve a folder as a model of the hub."""
        for revision in ("main", COMMIT):
            for file in folder.iterdir():
                self.files[f"/{name}/resolve/{revision}/{file.name}"] = file.read_bytes()


#: The only commit of every model on the hub.
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _handler(web: Web) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            data = self._answer()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

        def _answer(self) -> bytes:
            path = self.path.partition("?")[0]
            web.asked.append(path)
            data = web.files.get(path)
            self.send_response(404 if data is None else 200)
            if data is None:
                self.send_header("X-Error-Code", "EntryNotFound")  # as the model hub says it
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(data or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.close_connection = True
            return data or b""

    return Handler


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server on loopback that is also the model hub, with an empty cache."""
    from huggingface_hub import constants

    found = Web()
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    service.daemon_threads = True
    found.address = f"http://127.0.0.1:{service.server_address[1]}"
    thread = threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", found.address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        found.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield found
    service.shutdown()
    service.server_close()
    thread.join()
