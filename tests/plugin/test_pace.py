"""Compute threads are chosen by what was quicker lately; the collector is put back on."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import numpy as np
import pytest
import torch

from samari.plugin.pace import ComputeThreads, collector_at_rest, quick_handover


def test_both_numbers_of_threads_are_tried_and_the_quicker_one_is_kept() -> None:
    threads = ComputeThreads(4)
    seconds = {1: 0.05, 4: 0.03}
    chosen = []
    for _ in range(12):
        chosen.append(threads.choose(waited_for=True))
        threads.note(chosen[-1], seconds[chosen[-1]])
    assert chosen == [1] + 11 * [4]


def test_on_a_busy_processor_clicks_stay_with_one_thread_and_others_try_again() -> None:
    threads = ComputeThreads(2)
    threads.note(1, 0.05)
    threads.note(2, 0.7)
    assert {threads.choose(waited_for=True) for _ in range(100)} == {1}
    assert {threads.choose(waited_for=False) for _ in range(20)} == {1, 2}
    for _ in range(20):  # it has become idle
        threads.note(2, 0.03)
    assert threads.choose(waited_for=True) == 2


def test_where_trials_are_lost_again_and_again_they_become_rare() -> None:
    threads = ComputeThreads(2)
    threads.note(1, 0.05)
    threads.note(2, 2.6)
    trials = []
    for number in range(500):
        chosen = threads.choose(waited_for=False)
        threads.note(chosen, 0.05 if chosen == 1 else 2.6)
        trials += [number] * (chosen == 2)
    assert 3 <= len(trials) <= 8
    assert np.all(np.diff(trials) > 1.5 * np.diff([0, *trials])[:-1])
    chosen = []
    for _ in range(1500):  # it has become idle
        chosen.append(threads.choose(waited_for=False))
        threads.note(chosen[-1], 0.05 if chosen[-1] == 1 else 0.03)
    assert chosen[-50:].count(2) >= 40


def test_a_click_tries_the_other_number_now_and_then_if_it_was_about_as_quick() -> None:
    threads = ComputeThreads(2)
    threads.note(1, 0.04)
    threads.note(2, 0.05)
    chosen = [threads.choose(waited_for=True) for _ in range(100)]
    assert 1 <= chosen.count(2) <= 10


def test_with_one_core_there_is_no_choice() -> None:
    threads = ComputeThreads(1)
    threads.note(1, 0.1)
    assert {threads.choose(waited_for=False) for _ in range(30)} == {1}


def test_a_short_computation_is_measured_and_all_cores_are_given_back() -> None:
    seen = []

    def work() -> None:
        torch.set_num_threads(2)
        threads = ComputeThreads(2)
        with threads.short() as count:
            seen.append((count, torch.get_num_threads()))
        with pytest.raises(ValueError, match="broken"), threads.short():
            raise ValueError("broken")
        seen.append(torch.get_num_threads())
        seen.append(sorted(threads._seconds))

    before = torch.get_num_threads()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(1, 1), 2, [1]]
    assert torch.get_num_threads() == before


def test_the_collector_is_on_again_even_after_an_error() -> None:
    assert gc.isenabled()
    with collector_at_rest():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="broken"), collector_at_rest():
        raise ValueError("broken")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_rests_until_the_last_of_two_threads_is_done() -> None:
    first, second = collector_at_rest(), collector_at_rest()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_what_was_made_meanwhile_is_not_gone_through_and_not_kept_either() -> None:
    class Node:
        me: Node

    gc.collect()
    with collector_at_rest():
        node = Node()
        node.me = node
        gone = weakref.ref(node)
        del node
    assert gc.get_freeze_count() == 0
    gc.collect(1)
    assert gone() is not None
    gc.collect()
    assert gone() is None


def test_the_handover_of_the_lock_is_as_before_afterwards() -> None:
    before = sys.getswitchinterval()
    with quick_handover():
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before
    with pytest.raises(ValueError, match="broken"), quick_handover():
        raise ValueError("broken")
    assert sys.getswitchinterval() == before


def test_two_docks_that_compute_at_once_leave_the_handover_as_it_was() -> None:
    before = sys.getswitchinterval()
    first, second = quick_handover(), quick_handover()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before


def test_a_core_is_left_to_the_window_and_given_back() -> None:
    seen = []

    def work() -> None:
        threads = ComputeThreads(2)
        for leave in (True, False):
            threads.leave_a_core(leave)
            seen.append(torch.get_num_threads())
        alone = ComputeThreads(1)
        alone.leave_a_core(True)
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1, 2, 1]
