from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pytest

from samari.errors import Cancelled
from samari.plugin.jobs import Job, JobLoop, Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


class Desk:
    """A loop, and what came out of it."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.loop = JobLoop("desk", self.arrived.release)
        self.log: list[str] = []

    def steps(self, name: str, count: int, gate: threading.Semaphore | None = None) -> Any:
        def start(job: Job) -> Generator[tuple[int, int], None, str]:
            for i in range(count):
                if gate is not None:
                    assert gate.acquire(timeout=30)
                self.log.append(f"{name}{i}")
                yield i + 1, count
            return name

        return start

    def until(self, done: Callable[[list[Any]], bool]) -> list[Any]:
        messages: list[Any] = []
        while not done(messages):
            assert self.arrived.acquire(timeout=30), self.log
            messages += self.loop.collect()
        return messages


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.loop.close()
    assert desk.loop.join(30)


def _ended(jobs: list[Job]) -> Callable[[list[Any]], bool]:
    return lambda messages: (
        all(job.finished for job in jobs)
        and {id(j) for j in jobs} <= {id(m.job) for m in messages if m.kind != "progress"}
    )


def test_a_job_reports_every_step_and_its_result(desk: Desk) -> None:
    job = Job(desk.steps("a", 3))
    desk.loop.submit(job)
    messages = desk.until(_ended([job]))
    assert [m.payload for m in messages] == [(1, 3), (2, 3), (3, 3), "a"]
    assert job.state == "done"


def test_a_click_goes_between_two_blocks_of_the_encoder(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    slow = Job(desk.steps("slow", 3, gate), Priority.VISIBLE)
    click = Job(desk.steps("click", 1), Priority.CLICK)
    desk.loop.submit(slow)
    gate.release()
    desk.until(lambda messages: bool(messages))
    desk.loop.submit(click)
    gate.release(2)
    desk.until(_ended([slow, click]))
    assert desk.log.index("click0") < desk.log.index("slow2")


def test_equal_jobs_run_in_the_order_in_which_they_came(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    first = Job(desk.steps("first", 1, gate))
    others = [Job(desk.steps(name, 2)) for name in "abc"]
    desk.loop.submit(first)
    for job in others:
        desk.loop.submit(job)
    gate.release()
    desk.until(_ended([first, *others]))
    assert desk.log == ["first0", "a0", "a1", "b0", "b1", "c0", "c1"]


def test_what_a_click_waits_for_becomes_as_urgent_as_the_click(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    busy = Job(desk.steps("busy", 1, gate), Priority.CLICK)
    other = Job(desk.steps("other", 2), Priority.VISIBLE)
    encode = Job(desk.steps("encode", 2), Priority.REST)
    click = Job(desk.steps("click", 1), Priority.CLICK, after=encode)
    for job in (busy, other, encode, click):
        desk.loop.submit(job)
    gate.release()
    desk.until(_ended([busy, other, encode, click]))
    assert desk.log == ["busy0", "encode0", "encode1", "click0", "other0", "other1"]


def test_cancel_ends_a_job_before_its_next_step_and_runs_its_finally(desk: Desk) -> None:
    """Trap 31: cancel, then go on."""
    gate = threading.Semaphore(0)
    cleaned = threading.Event()

    def start(job: Job) -> Generator[tuple[int, int], None, None]:
        try:
            for i in range(100):
                assert gate.acquire(timeout=30)
                yield i, 100
        finally:
            cleaned.set()

    job = Job(start)
    follower = Job(desk.steps("follower", 1), after=job)
    desk.loop.submit(job)
    desk.loop.submit(follower)
    gate.release()
    desk.until(lambda messages: bool(messages))
    job.cancel()
    gate.release()
    messages = desk.until(_ended([job, follower]))
    assert cleaned.is_set()
    assert job.state == follower.state == "cancelled"
    assert all(isinstance(m.payload, Cancelled) for m in messages if m.kind == "failed")
    again = Job(desk.steps("again", 1))
    desk.loop.submit(again)
    desk.until(_ended([again]))
    assert again.state == "done"


def test_an_error_belongs_to_its_job_and_the_thread_goes_on(desk: Desk) -> None:
    def broken(job: Job) -> Generator[tuple[int, int], None, None]:
        yield 0, 1
        raise ValueError("no")

    bad, good = Job(broken), Job(desk.steps("good", 1))
    desk.loop.submit(bad)
    desk.loop.submit(good)
    messages = desk.until(_ended([bad, good]))
    failed = [m for m in messages if m.kind == "failed"]
    assert [type(m.payload) for m in failed] == [ValueError]
    assert good.state == "done"


def test_a_thread_that_cannot_begin_fails_every_job_instead_of_hanging() -> None:
    def broken() -> None:
        raise ImportError("torch is not installed properly")

    arrived = threading.Semaphore(0)
    loop = JobLoop("broken", arrived.release, broken)
    job = loop.submit(Job(lambda job: iter(())))  # type: ignore[arg-type,return-value]
    assert arrived.acquire(timeout=30)
    (message,) = loop.collect()
    assert job.state == "failed"
    assert isinstance(message.payload, ImportError)
    loop.close()
    assert loop.join(30)


def test_a_long_step_can_report_by_itself(desk: Desk) -> None:
    def download(job: Job) -> Generator[tuple[int, int], None, None]:
        yield 0, 0
        job.report(10, 20)

    job = Job(download)
    desk.loop.submit(job)
    messages = desk.until(_ended([job]))
    assert (10, 20) in [m.payload for m in messages if m.kind == "progress"]


def test_ticks_tell_every_step_and_the_end(desk: Desk) -> None:
    ticks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    job = Job(desk.steps("a", 2), ticks=ticks)
    desk.loop.submit(job)
    desk.until(_ended([job]))
    assert [ticks.get(timeout=30) for _ in range(3)] == [(1, 2), (2, 2), None]


def test_after_close_nothing_is_delivered_and_the_thread_ends(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    running, waiting = Job(desk.steps("running", 9, gate)), Job(desk.steps("waiting", 1))
    desk.loop.submit(running)
    desk.loop.submit(waiting)
    desk.loop.close()
    gate.release(2)
    assert desk.loop.join(30)
    assert desk.loop.collect() == []
    assert running.finished
    assert waiting.finished
    late = Job(desk.steps("late", 1))
    assert desk.loop.submit(late).state == "cancelled"


def test_what_is_kept_is_done_after_close_and_the_rest_is_not(desk: Desk) -> None:
    gate = threading.Semaphore(0)
    running = Job(desk.steps("running", 9, gate))
    kept, other = Job(desk.steps("kept", 3), kept=True), Job(desk.steps("other", 1))
    for job in (running, kept, other):
        desk.loop.submit(job)
    desk.loop.close()
    gate.release()
    assert desk.loop.join(30)
    assert [line for line in desk.log if "running" not in line] == ["kept0", "kept1", "kept2"]
    assert (kept.state, other.state) == ("done", "cancelled")
    assert desk.loop.collect() == []
