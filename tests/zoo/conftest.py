"""A server on loopback that misbehaves on demand, a small model on it, and no other network."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import torch

from samari.zoo import MODELS, ModelFile, ModelInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Server:
    """What the server has, how it shall behave, and what it was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    #: One entry for each coming request: bytes to send before it hangs up, or a status to answer.
    plan: list[int | str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    ranges: bool = True


def _handler(state: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.command, self.path, wanted))
            step = state.plan.pop(0) if state.plan else None
            data = state.files.get(self.path.partition("?")[0])
            if isinstance(step, str) or data is None:
                self.send_response(int(step) if isinstance(step, str) else 404)
                for key, value in state.headers.items():
                    self.send_header(key, value)
                self.send_header("X-Error-Code", "EntryNotFound")  # as the model hub says it
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if wanted and state.ranges and start >= len(data):
                self.send_response(416)
                self.end_headers()
                return
            start = start if state.ranges else 0
            self.send_response(206 if start else 200)
            for key, value in state.headers.items():
                self.send_header(key, value)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if body:
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(data[start:] if step is None else data[start:][:step])
            self.close_connection = True

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """An HTTP server on loopback."""
    state = Server()
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    service.daemon_threads = True
    state.address = f"http://127.0.0.1:{service.server_address[1]}"
    thread = threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    service.shutdown()
    service.server_close()
    thread.join()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every attempt to connect fail the test."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"tried to connect: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloaded models, empty."""
    folder = tmp_path / "models"
    monkeypatch.setenv("SAMARI_MODELS", str(folder))
    return folder


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's shared cache, empty."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def weights(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A small model in a file of torch, without its configuration."""
    from safetensors.torch import load_file

    file = tmp_path / "vit_b.pt"
    torch.save(load_file(tiny_model_folder / "model.safetensors"), file)
    return file


@pytest.fixture
def listed(
    server: Server, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ModelInfo]:
    """Put a small model into the table, with its file on the server."""

    def enter(**changes: Any) -> ModelInfo:
        content = weights.read_bytes()
        server.files["/zoo/vit_b.pt"] = content
        file = {
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "size": None,
            **changes,
        }
        info = ModelInfo(
            name="test_lm",
            source="address",
            files=(ModelFile("vit_b.pt", f"{server.address}/zoo/vit_b.pt", **file),),
            licence="CC-BY-4.0",
            config=None,
            size_bytes=len(content),
            good_for="tests",
            citation="nobody",
        )
        monkeypatch.setitem(MODELS, info.name, info)
        return info

    return enter
