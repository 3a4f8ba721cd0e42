from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch

from samari.plugin.jobs import Job
from samari.plugin.preload import load_library
from samari.plugin.worker import JobThread, inference_thread

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class Receiver:
    def __init__(self) -> None:
        self.got: list[Any] = []
        self.threads: set[str] = set()

    def done(self, job: Job, result: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.got.append(result)

    def broken(self, job: Job, result: Any) -> None:
        raise RuntimeError("receiver")


def _ask(job: Job) -> Generator[tuple[int, int], None, str]:
    yield 1, 1
    return threading.current_thread().name


def test_results_arrive_in_the_thread_of_the_window(qapp: Any) -> None:
    thread, receiver = JobThread("test-worker"), Receiver()
    thread.submit(Job(_ask, done=receiver.done))
    assert thread.wait(5)
    assert receiver.got == ["test-worker"]
    assert receiver.threads == {threading.current_thread().name}
    thread.close()
    assert thread.join(5)


def test_a_callback_that_raises_loses_no_other_result(qapp: Any, qtbot: Any) -> None:
    thread, receiver = JobThread("test-worker"), Receiver()
    with qtbot.captureExceptions() as errors:
        thread.submit(Job(_ask, done=receiver.broken))
        thread.submit(Job(_ask, done=receiver.done))
        assert thread.wait(5)
    assert [type(error[1]) for error in errors] == [RuntimeError]
    assert receiver.got == ["test-worker"]
    thread.close()
    assert thread.join(5)


def test_nothing_arrives_after_close(qapp: Any, qtbot: Any) -> None:
    thread, receiver = JobThread("test-worker"), Receiver()
    thread.submit(Job(_ask, done=receiver.done))
    thread.close()
    assert thread.join(5)
    qtbot.wait(20)
    assert receiver.got == []


def test_wait_gives_up_after_its_timeout(qapp: Any) -> None:
    gate = threading.Event()

    def held(job: Job) -> Generator[tuple[int, int], None, None]:
        gate.wait(5)
        yield 1, 1

    thread = JobThread("test-worker")
    thread.submit(Job(held))
    assert not thread.wait(0.05)
    gate.set()
    assert thread.wait(5)
    thread.close()
    assert thread.join(5)


@pytest.mark.parametrize("wanted", ["1", "3"])
def test_compute_threads_are_set_for_the_inference_thread_alone(
    qapp: Any, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 36: no setting of torch is changed for the process."""
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    before = torch.get_num_threads()
    seen: list[int] = []

    def look(job: Job) -> Generator[tuple[int, int], None, None]:
        seen.append(torch.get_num_threads())
        yield 1, 1

    thread = inference_thread()
    thread.submit(Job(look))
    assert thread.wait(60)
    thread.close()
    assert thread.join(5)
    assert seen == [int(wanted)]
    assert torch.get_num_threads() == before


SCRIPT = """
import sys
import napari, numpy as np, samari

viewer = napari.Viewer(show=False)
c = samari.annotate(viewer, viewer.add_image(np.eye(32)), model=sys.argv[1])
c.points.add([8.0, 8.0])
assert c.wait(60)
"""


def test_a_script_that_ends_without_closing_anything_ends_cleanly(tiny_model_folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tiny_model_folder)],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows finds libraries in another way")
def test_the_library_is_loaded_before_torch_is_imported_and_the_import_takes_it_over() -> None:
    program = (
        "import sys\n"
        "from samari.plugin.preload import load_library\n"
        "assert load_library()\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "assert float(torch.ones(3) @ torch.ones(3)) == 3.0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("package", "name"), [("torch", "libnone"), ("no_such_package", "lib")])
def test_a_library_that_is_not_there_is_left_to_the_import(package: str, name: str) -> None:
    assert not load_library(package, name)


def test_a_file_that_is_no_library_is_left_to_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken" / "lib").mkdir(parents=True)
    (tmp_path / "broken" / "__init__.py").touch()
    (tmp_path / "broken" / "lib" / "libbroken.so").write_bytes(b"no library")
    monkeypatch.syspath_prepend(tmp_path)
    assert not load_library("broken", "libbroken")
