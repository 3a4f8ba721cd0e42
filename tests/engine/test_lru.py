from __future__ import annotations

import threading

import pytest

from samari.engine.lru import ByteLru
from samari.errors import InputError


def test_what_was_used_longest_ago_is_dropped_first():
    lru: ByteLru[str] = ByteLru(30)
    for key in "abc":
        lru.put(key, key.upper(), 10)
    assert lru.get("a") == "A"
    lru.put("d", "D", 10)
    assert "b" not in lru
    assert [lru.get(key) for key in "acd"] == ["A", "C", "D"]


def test_the_limit_counts_bytes_not_entries():
    lru: ByteLru[int] = ByteLru(100)
    for i in range(50):
        lru.put(i, i, 7)
        assert lru.nbytes <= 100
    assert len(lru) == 14
    assert lru.nbytes == 98


def test_putting_a_key_again_replaces_value_and_size():
    lru: ByteLru[str] = ByteLru(30)
    lru.put("a", "old", 20)
    lru.put("a", "new", 5)
    assert (lru.get("a"), lru.nbytes, len(lru)) == ("new", 5, 1)


def test_a_value_larger_than_the_cache_is_not_held_and_drops_nothing_else():
    lru: ByteLru[str] = ByteLru(10)
    lru.put("small", "s", 10)
    lru.put("large", "l", 11)
    assert lru.get("large") is None
    assert lru.get("small") == "s"


def test_clear_drops_everything():
    lru: ByteLru[str] = ByteLru(10)
    lru.put("a", "A", 4)
    lru.clear()
    assert (len(lru), lru.nbytes, lru.get("a")) == (0, 0, None)


def test_a_negative_limit_is_refused():
    with pytest.raises(InputError, match="-1 bytes"):
        ByteLru(-1)


def test_threads_leave_the_sum_of_sizes_right():
    lru: ByteLru[int] = ByteLru(500)

    def work(seed: int) -> None:
        for i in range(2000):
            lru.put((seed * i) % 90, i, 1 + i % 13)
            lru.get((seed + i) % 90)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lru.nbytes == sum(size for _, size in lru._entries.values())
    assert lru.nbytes <= 500


def test_a_smaller_limit_drops_what_was_used_longest_ago():
    cache = ByteLru(10)
    for name in "abc":
        cache.put(name, name, 3)
    cache.get("a")
    cache.limit(6)
    assert [name for name in "abc" if name in cache] == ["a", "c"]
    assert cache.nbytes == 6
    cache.limit(100)
    cache.put("d", "d", 50)
    assert "d" in cache
