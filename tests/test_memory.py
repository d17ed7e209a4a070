"""The cap on a process' memory."""

import pytest

from tweeter import memory
from tweeter.memory import Cap, resident_bytes


def test_memory_is_that_of_this_process() -> None:
    before = resident_bytes()
    held = bytearray(50 * memory.MB)
    assert resident_bytes() - before > 40 * memory.MB
    assert held


def test_the_cap_lets_a_process_work_for_a_while_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Cap(1).is_over()
    monkeypatch.setattr(memory, "LEAST_S", 0.0)
    assert Cap(1).is_over()
    assert not Cap(100_000).is_over()
    assert not Cap(0).is_over(), "0 is no cap"
