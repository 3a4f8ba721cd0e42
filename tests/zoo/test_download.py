"""A download arrives whole and proven, or not at all."""

from __future__ import annotations

import errno
import hashlib
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from samari.errors import Cancelled, DownloadError, WeightsError
from samari.zoo import ModelFile
from samari.zoo import download as module
from samari.zoo.download import Job, download

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def job(server: Any, home: Path) -> Callable[..., Job]:
    """Make a download of `CONTENT` that does not wait between attempts."""
    server.files["/file.pt"] = CONTENT

    def make(*, digest: str | None = SHA256, size: int | None = None, **changes: Any) -> Job:
        file = ModelFile("file.pt", f"{server.address}/file.pt", size, digest)
        return Job(
            **{"file": file, "target": home / "m" / "file.pt", "model": "m", "pause": 0.0} | changes
        )

    return make


def _left(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_file_arrives_under_its_name_with_progress(job: Any, home: Path) -> None:
    """Trap 37: a temporary name, checked against the hash, then renamed."""
    seen: list[tuple[int, int]] = []
    names: list[list[str]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        names.append(_left(home))

    checked: list[str] = []
    download(job(progress=progress, check=lambda path: checked.append(path.name)))
    assert (home / "m" / "file.pt").read_bytes() == CONTENT
    assert _left(home) == ["file.pt"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert all("file.pt" not in there for there in names)
    assert checked == ["file.pt.part"]


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_connection_is_taken_up_where_it_broke(
    job: Any, server: Any, home: Path, ranges: bool
) -> None:
    """Trap 37: a truncated file is fetched on, from a server with and without ranges."""
    server.plan, server.ranges = [1_000_000, 500_000], ranges
    download(job())
    assert (home / "m" / "file.pt").read_bytes() == CONTENT
    starts = [wanted for _, _, wanted in server.asked]
    assert starts == [None, "bytes=1000000-", "bytes=1500000-" if ranges else "bytes=500000-"]


def test_later_call_goes_on_where_an_earlier_one_was_cut_off(
    job: Any, server: Any, home: Path
) -> None:
    server.plan = [1_000_000]
    with pytest.raises(DownloadError, match="connection broke"):
        download(job(attempts=1))
    assert _left(home) == ["file.pt.part"]
    download(job())
    assert server.asked[-1][2] == "bytes=1000000-"
    assert (home / "m" / "file.pt").read_bytes() == CONTENT


def test_damaged_file_is_refused_and_fetched_again(job: Any, server: Any, home: Path) -> None:
    """Trap 37: a broken one is refused and fetched again."""
    part = home / "m" / "file.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of another file" * 1000)
    download(job())
    assert (home / "m" / "file.pt").read_bytes() == CONTENT
    assert [wanted for _, _, wanted in server.asked] == ["bytes=15000-", None]


def test_leftovers_longer_than_the_file_are_thrown_away(job: Any, home: Path) -> None:
    part = home / "m" / "file.pt.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT + b"more")
    download(job())
    assert (home / "m" / "file.pt").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"digest": "md5:" + "0" * 32}, "what came has the hash md5:"),
        ({"digest": "xxh128:" + "0" * 32}, "what came has the hash xxh128:"),
        ({"digest": None, "size": 7}, "has 3000000 bytes instead of 7"),
    ],
)
def test_file_that_stays_wrong_is_an_error_with_address_hash_and_folder(
    job: Any, server: Any, home: Path, changes: Any, problem: str
) -> None:
    """Trap 37: refused; and the message tells how else to get it."""
    if "xxh128" in str(changes):
        pytest.importorskip("xxhash", reason="checking xxh128 is an extra")
    with pytest.raises(DownloadError, match=problem) as raised:
        download(job(attempts=2, **changes))
    message = str(raised.value)
    assert f"{server.address}/file.pt" in message
    assert str(changes.get("digest") or "not published") in message
    assert str(home / "m") in message
    assert "samari models add FILE --name m" in message
    assert len(server.asked) == 2
    assert _left(home) == []


def test_content_that_is_no_model_is_refused_even_without_a_hash(job: Any, home: Path) -> None:
    def check(path: Path) -> None:
        raise WeightsError(f"{path} lacks tensor a")

    with pytest.raises(DownloadError, match="lacks tensor a"):
        download(job(digest=None, check=check, attempts=2))
    assert _left(home) == []


def test_busy_server_is_asked_again_politely_and_not_for_ever(
    job: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(module, "_wait", lambda job, seconds: waits.append(seconds))
    server.plan, server.headers = ["503", "429"], {"Retry-After": "7"}
    download(job(pause=1.0))
    assert waits == [7.0, 7.0]
    server.headers = {}
    server.plan, server.asked = ["503"] * 9, []
    waits.clear()
    with pytest.raises(DownloadError, match=r"answered 503 .*tried 4 times"):
        download(job(pause=1.0, target=job().target.with_name("other.pt")))
    assert waits == [1.0, 2.0, 4.0]
    assert len(server.asked) == 4


@pytest.mark.parametrize("status", ["403", "404", "410"])
def test_final_refusal_is_not_repeated(job: Any, server: Any, status: str) -> None:
    server.plan = [status]
    with pytest.raises(DownloadError, match=f"the server answered {status}"):
        download(job())
    assert len(server.asked) == 1


def test_unreachable_server_is_an_error_that_says_so(job: Any, server: Any) -> None:
    file = ModelFile("file.pt", "http://127.0.0.1:9/file.pt")
    with pytest.raises(DownloadError, match=r"(?i)refused.*127\.0\.0\.1:9"):
        download(job(file=file, attempts=2))


def test_cancel_stops_at_once_and_keeps_what_came(job: Any, home: Path) -> None:
    done: list[int] = []
    with pytest.raises(Cancelled, match="download of m was cancelled"):
        download(job(progress=lambda n, total: done.append(n), cancel=lambda: bool(done)))
    assert len(done) == 1
    assert _left(home) == ["file.pt.part"]
    download(job())
    assert (home / "m" / "file.pt").read_bytes() == CONTENT


def test_cancel_also_ends_a_wait(job: Any, server: Any) -> None:
    server.plan = ["503"] * 4
    start = time.monotonic()
    with pytest.raises(Cancelled):
        download(job(pause=60.0, cancel=lambda: time.monotonic() > start + 0.1))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_full_disk_and_read_only_folder_leave_nothing_behind(
    job: Any, home: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Trap 41: disk full, read-only folder."""

    def fail(file: Any, chunk: bytes) -> None:
        file.write(chunk[:100])
        file.flush()
        raise OSError(code, "the system's words")

    monkeypatch.setattr(module, "write", fail)
    with pytest.raises(DownloadError, match="the system's words") as raised:
        download(job())
    wanted = {
        errno.ENOSPC: "is full",
        errno.EIO: "cannot be used",
    }.get(code, "SAMARI_MODELS")
    assert wanted in str(raised.value)
    assert str(home) in str(raised.value)
    assert _left(home) == []


def test_too_little_room_is_noticed_before_the_first_byte(
    job: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 41: disk full."""
    usage = module.shutil.disk_usage(home.parent)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    with pytest.raises(DownloadError, match="2 MB are needed and 1 MB are free"):
        download(job())
    assert _left(home) == []


def test_folder_that_is_a_file_is_an_error(job: Any, home: Path) -> None:
    home.write_text("in the way")
    with pytest.raises(DownloadError, match="could not download m"):
        download(job())
    assert home.read_text() == "in the way"


@pytest.mark.parametrize("name", ["Modelle äöü 细胞 🔬", "d" * 120])
def test_non_ascii_and_very_long_paths_work(job: Any, tmp_path: Path, name: str) -> None:
    """Trap 41: non-ASCII and very long paths."""
    target = tmp_path / name / name / name / "file.pt"
    download(job(target=target))
    assert target.read_bytes() == CONTENT


def test_two_at_once_fetch_the_file_once(job: Any, server: Any, home: Path) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            download(job())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(server.asked) == 1
    assert _left(home) == ["file.pt"]
