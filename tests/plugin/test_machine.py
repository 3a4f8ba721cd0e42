"""A state machine: whatever is done at whatever stage of the model, labels equal the accepted
objects, nothing raises, nothing stale is shown, and nothing is left behind."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from stopped_model import STAGES, Gate, Model
from user import HARSH, RULES, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def user(
    make_napari_viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> Iterator[Callable[[int], User]]:
    """Give `user(seed)`; afterwards, everything that it had must be gone."""
    gate = Gate()
    monkeypatch.setattr(
        "samari.plugin.workshop.DeferredSegmenter",
        lambda model, *place, **options: Model(gate, model),
    )
    users: list[User] = []

    def make(seed: int) -> User:
        users.append(User(gate, make_napari_viewer, qtbot, seed))
        return users[-1]

    with qtbot.captureExceptions() as errors:
        try:
            yield make
        finally:
            gate.open()
        (one,) = users
        one.settle()
        one.check()
        one.close_dock()
        one.bury()
        qtbot.waitUntil(lambda: not _threads(), timeout=60_000)
        gc.collect()
        assert [grave() for grave in one.graves if grave() is not None] == []
    assert not errors, errors
    assert not [message for message in said if "did not expect" in message]


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("samari")]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_a_machine_of_everything_a_user_does(
    user: Any, soak: Callable[[int, int], int], seed: int,
    figure: Callable[[str, float, str], None],
) -> None:  # fmt: skip
    """Traps 27, 30, 31, 32 and 34."""
    one = user(seed)
    chances = np.array(list(RULES.values())) / sum(RULES.values())
    for _ in range(soak(30, 400)):
        rule = str(one.rng.choice(list(RULES), p=chances))
        try:
            one.step(rule)
        except BaseException as error:
            error.add_note(f"seed {seed}, step {len(one.trail)}: ... {', '.join(one.trail[-12:])}")
            raise
    held = [pair for pair in one.met if pair[1]]
    figure("steps", len(one.trail), "")
    figure("steps while the model was stopped", sum(one.met[pair] for pair in held), "")
    figure("different steps x stages", len(held), f"of {len(RULES) * len(STAGES)}")


@pytest.mark.timeout(3600)
def test_whatever_is_done_while_the_model_is_at_a_stage(
    user: Any, soak: Callable[[int, int], int]
) -> None:
    """Trap 30: all pairs of a stage and of what may break it; then everything still works."""
    one = user(100)
    for number, stage in enumerate(STAGES):
        for rule in HARSH[soak(2 * number, 0) :: soak(len(HARSH), 1)]:
            one.stop(stage)
            one.check()
            for each in (rule, "point", "accept", "settle", "point", "settle", "accept", "settle"):
                one.step(each)


def test_cancel_answers_within_one_block(user: Any) -> None:
    """Trap 31: the block that is under way ends, no other one begins; the next click works."""
    one = user(200)
    for stage in STAGES[1:4]:
        one.stop(stage)
        one.step("point")
        one.step("cancel")
        assert not one.controller.busy
        assert "Cancelled" in one.controller.status
        before = len(one.gate.passed)
        one.gate.open()
        one.until(lambda: one.gate.empty and one.dock._workshop.inference.idle)
        assert one.gate.passed[before:] == [stage]
        one.step("point")
        one.step("settle")
        assert one.controller.candidates is not None
        one.step("accept")
        one.step("discard")
