"""A program that is killed at any moment loses nothing that was accepted or painted."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from samari.engine.session import Session

PROGRAM = Path(__file__).with_name("scripted_session.py")


@pytest.fixture(scope="module")
def scripted():
    spec = importlib.util.spec_from_file_location("scripted_session", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def states(scripted):
    """Give labels and objects before the first step and after each one, without a journal."""
    session = scripted.opened(None)
    found = [(session.labels.copy(), {})]
    for k in range(scripted.STEPS):
        scripted.step(session, k)
        found.append((session.labels.copy(), dict(session.objects)))
    return found


def killed(path, after, delay):
    """Run the program, kill it some moment after a number of steps; return how many were done."""
    words = [sys.executable, str(PROGRAM), str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        try:
            for _ in range(after):
                assert program.stdout.readline()
            time.sleep(delay)
        finally:
            program.kill()
        return after + program.stdout.read().count("\n")


@pytest.mark.timeout(1800)  # fifty programs, on a machine that does other things too
def test_a_session_killed_at_any_moment_comes_back_bit_for_bit(
    tmp_path, scripted, states, soak, figure
):
    """Trap 43: kill -9, then every accepted object and every hand edit is back."""
    kills = soak(6, 50)
    random = np.random.default_rng(20260 if kills == 6 else None)
    cut = begun = 0
    image = scripted.opened(None).planes.image
    for number in range(kills):
        path = tmp_path / f"{number}.jsonl"
        after = int(random.integers(0, scripted.STEPS)) if number else 0
        done = killed(path, after, float(random.uniform(0, 0.02)) + (0.5 if not after else 0))
        if not path.exists() or b"\n" not in path.read_bytes():
            assert done == 0
            continue
        cut += not path.read_bytes().endswith(b"\n")
        back = Session.restore(path, image, segmenter=object(), resume=False)
        fits = [
            k
            for k in (done, done + 1)
            if k < len(states)
            and np.array_equal(back.labels, states[k][0])
            and back.labels.dtype == states[k][0].dtype
            and dict(back.objects) == states[k][1]
        ]
        assert fits, f"killed after step {done} of {scripted.STEPS}"
        begun += done
    assert begun > 0
    figure("programs killed and restored", kills, "")
    figure("steps that were done before the kills", begun, "")
    figure("kills in the middle of a line", cut, "")


def test_the_state_before_the_kill_can_be_gone_on_with(tmp_path, scripted, states):
    """Trap 43."""
    path = tmp_path / "a.jsonl"
    killed(path, 40, 0.001)
    image = scripted.opened(None).planes.image
    back = Session.restore(path, image, segmenter=scripted.Squares())
    before = back.labels.copy()
    back.add_box((0, 1, 1), (0, 5, 5))
    back.overwrite = True
    back.accept()
    back.journal.file.close()
    again = Session.restore(path, image, segmenter=object(), resume=False)
    np.testing.assert_array_equal(again.labels, back.labels)
    again.undo()
    np.testing.assert_array_equal(again.labels, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the lock is asked for by its own system call")
def test_the_lock_of_a_killed_program_is_free(tmp_path, scripted):
    path = tmp_path / "a.jsonl"
    killed(path, 3, 0)
    image = scripted.opened(None).planes.image
    session = Session.restore(path, image, segmenter=object())
    assert session.journal.file.path == path
