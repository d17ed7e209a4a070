"""The journal: what was put is on the disk, in order, whoever died."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tweeter.records import RawEvent
from tweeter.sources import inbox as inboxes
from tweeter.sources import journal as journals
from tweeter.sources.inbox import JournalInbox, Taken
from tweeter.sources.journal import Journal, JournalFull, open_free

MEGABYTE = 1024 * 1024


def opened(folder: Path, limit_bytes: int = 100 * MEGABYTE) -> Journal:
    return Journal(folder, shape="x", limit_bytes=limit_bytes)


def event(number: int, size: int = 10) -> RawEvent:
    return RawEvent(shape="x", body=b"%d " % number + b"x" * size, received_at=1000 + number)


def numbers(events: list[RawEvent]) -> list[int]:
    return [int(found.body.split()[0]) for found in events]


def everything(journal: Journal, position: int = 0) -> list[int]:
    found: list[int] = []
    while True:
        events, after = journal.read(position, max_events=7)
        if not events:
            return found
        found += numbers(events)
        position = after


def test_events_come_back_with_the_server_that_sent_them(tmp_path: Path) -> None:
    """Mastodon's ids are each server's own: without it a deletion would name another's post."""
    journal = Journal(tmp_path, shape="mastodon", origin="a.example", limit_bytes=MEGABYTE)
    sent = RawEvent(shape="mastodon", body=b"{}", received_at=1, origin="a.example")
    journal.append([sent], 0)
    assert journal.read(0, max_events=9)[0] == [sent]
    journal.close()


def test_what_was_appended_is_read_in_order_also_by_the_next_process(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([event(n) for n in range(50)], 0)
    assert everything(journal) == list(range(50))
    journal.close()
    again = opened(tmp_path)
    again.append([event(50)], 0)
    assert everything(again) == list(range(51))
    assert again.last_received_at == 1050


def test_a_damaged_entry_is_not_read_as_a_post(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([event(n) for n in range(3)], 0)
    (file,) = tmp_path.glob("*.log")
    data = bytearray(file.read_bytes())
    data[-len(event(2).body)] ^= 1  # its "2" becomes a "3"
    file.write_bytes(data)
    assert everything(journal) == [0, 1]


async def emptied(inbox: JournalInbox) -> tuple[list[int], list[int]]:
    """The events that an inbox hands out, and up to when each lost stretch was received."""
    found, lost = list[int](), list[int]()
    inbox.close()
    while (taken := await inbox.take(max_events=7)) is not None:
        assert bool(taken.events) != bool(taken.lost_until)
        found += numbers(taken.events)
        lost += [taken.lost_until] if taken.lost_until else []
    return found, lost


ENTRY = len(event(10, 80).body) + 16


def with_damage(folder: Path, begin: int, damage: bytes) -> Journal:
    """A journal of events 10 to 49 in two files, written over at a position; opened again."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journals, "SEGMENT_BYTES", 20 * ENTRY)
        journal = opened(folder)
        for n in range(10, 50):
            journal.append([event(n, 80)], 0)
        journal.close()
    first, second = sorted(folder.glob("*.log"))
    file, at = (first, begin) if begin < 20 * ENTRY else (second, begin - 20 * ENTRY)
    data = file.read_bytes()
    file.write_bytes(data[:at] + damage + data[at + len(damage) :])
    return opened(folder)


@pytest.mark.parametrize("number", [10, 15, 29, 30, 40])
@pytest.mark.parametrize(
    ("offset", "damage"),
    [(40, b"?"), (0, b"\xff"), (1, b"\1"), (3, b"\1"), (0, bytes(60))],
    ids=["body", "far", "farther", "near", "zeros"],
)
def test_around_a_damaged_entry_all_are_read_and_it_is_told(
    tmp_path: Path, number: int, offset: int, damage: bytes
) -> None:
    journal = with_damage(tmp_path, (number - 10) * ENTRY + offset, damage)
    assert journal.end == 40 * ENTRY
    journal.append([event(50)], 0)
    found, lost = asyncio.run(emptied(JournalInbox(journal, 0)))
    assert found == [n for n in range(10, 51) if n != number]
    assert lost == [1000 + number + 1]
    journal.close()


def test_a_last_entry_of_its_full_length_is_damaged_and_not_torn(tmp_path: Path) -> None:
    journal = with_damage(tmp_path, 39 * ENTRY + 40, b"?")
    found, lost = asyncio.run(emptied(JournalInbox(journal, 0)))
    assert found == list(range(10, 49))
    assert len(lost) == 1
    journal.close()


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_that_is_gone_is_told(tmp_path: Path, which: int) -> None:
    with_damage(tmp_path, 0, b"").close()
    sorted(tmp_path.glob("*.log"))[which].unlink()
    journal = opened(tmp_path)
    inbox = JournalInbox(journal, ENTRY)  # the first is stored
    found, lost = asyncio.run(emptied(inbox))
    assert (found, lost) == [(list(range(30, 50)), [1030]), (list(range(11, 30)), [])][which]
    journal.close()


def test_what_is_still_in_memory_is_not_lost_with_the_disk(tmp_path: Path) -> None:
    journal = with_damage(tmp_path, 35 * ENTRY, bytes(5 * ENTRY))

    async def run() -> tuple[list[int], list[int]]:
        inbox = JournalInbox(journal, 0)
        await inbox.put([event(n, 80) for n in range(50, 60)])
        last = sorted(tmp_path.glob("*.log"))[-1]
        last.write_bytes(last.read_bytes()[: -9 * ENTRY] + bytes(9 * ENTRY))
        return await emptied(inbox)

    assert asyncio.run(run()) == ([*range(10, 45), *range(50, 60)], [1050])
    journal.close()


def test_a_bad_sector_costs_what_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    journal.append([event(n, 1000) for n in range(10, 40)], 0)
    journal.close()
    whole = os.pread

    def failing(file: int, size: int, begin: int) -> bytes:
        if begin < 3 * journals.SECTOR_BYTES and begin + size > 2 * journals.SECTOR_BYTES:
            raise OSError(errno.EIO, "Input/output error")
        return whole(file, size, begin)

    monkeypatch.setattr(os, "pread", failing)
    journal = opened(tmp_path)
    found, lost = asyncio.run(emptied(JournalInbox(journal, 0)))
    entry = len(event(10, 1000).body) + 16
    before, after = 2 * journals.SECTOR_BYTES // entry, -(-3 * journals.SECTOR_BYTES // entry)
    assert found == [*range(10, 10 + before), *range(10 + after, 40)]
    assert lost == [1010 + after]
    journal.close()


def test_a_folder_that_is_cleared_again_keeps_its_position(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    stored = journal.append([event(n) for n in range(20)], 0)
    for _ in range(3):
        journal.clear()
        journal.close()
        journal = opened(tmp_path)
    assert journal.end == stored
    journal.append([event(20)], stored)
    assert everything(journal, stored) == [20]
    journal.close()


@pytest.mark.parametrize("cut", [10, 10_000])
def test_what_comes_after_files_were_lost_is_read(tmp_path: Path, cut: int) -> None:
    """The database knows a position behind the end: what is written before it is not read."""
    journal = opened(tmp_path)
    stored = journal.append([event(n) for n in range(20)], 0)
    journal.close()
    (file,) = tmp_path.glob("*.log")
    if cut > stored:
        file.unlink()
    else:
        os.truncate(file, stored - cut)

    async def run() -> tuple[list[int], list[int]]:
        inbox = JournalInbox(opened(tmp_path), stored)
        await inbox.put([event(20)])
        inbox.journal.close()
        again = JournalInbox(opened(tmp_path), stored)
        return await emptied(again)

    assert asyncio.run(run()) == ([20], [])


@pytest.mark.parametrize("left", [b"", b"\0" * 32, b"0123"], ids=["empty", "zeros", "torn"])
def test_an_id_that_was_not_written_is_none(tmp_path: Path, left: bytes) -> None:
    """A full disk, or a loss of power: positions of two streams must not mix."""
    found = set[str]()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "id").write_bytes(left)
        for _ in range(2):
            journal = opened(tmp_path / name)
            found.add(journal.journal_id)
            journal.close()
    assert len(found) == 2
    assert all(len(one) == 32 for one in found)


def test_many_that_open_at_once_get_a_folder_each(tmp_path: Path) -> None:
    for number in range(30):
        base, start = tmp_path / str(number), threading.Barrier(6)

        def take(base: Path = base, start: threading.Barrier = start) -> list[Journal]:
            start.wait(10)
            return open_free(base, shape="x", limit_bytes=MEGABYTE)

        with ThreadPoolExecutor(6) as pool:
            taken = [f.result() for f in [pool.submit(take) for _ in range(6)]]
        folders = [journal.folder for found in taken for journal in found]
        assert all(taken)
        assert len(set(folders)) == len(folders)
        for found in taken:
            for journal in found:
                journal.close()


@pytest.mark.parametrize("cut", [1, 5, 17, 30])
def test_a_torn_end_is_cut_off_and_written_on(tmp_path: Path, cut: int) -> None:
    journal = opened(tmp_path)
    journal.append([event(n) for n in range(3)], 0)
    journal.close()
    (file,) = tmp_path.glob("*.log")
    os.truncate(file, file.stat().st_size - cut)
    again = opened(tmp_path)
    kept = everything(again)
    assert kept == [0, 1, 2][: len(kept)]
    again.append([event(9)], 0)
    assert everything(again) == [*kept, 9]


def test_files_go_when_they_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1000)
    journal = opened(tmp_path)
    for n in range(100):
        journal.append([event(n, 100)], 0)
    assert everything(journal) == list(range(100))
    _, position = journal.read(0, max_events=5)
    before = len(list(tmp_path.glob("*.log")))
    journal.forget(journal.end)
    assert len(list(tmp_path.glob("*.log"))) == 1 < before
    assert position < journal.end


def test_a_full_journal_refuses_and_has_room_again_when_it_is_stored(tmp_path: Path) -> None:
    journal = opened(tmp_path, limit_bytes=1000)
    end = journal.append([event(0, 800)], 0)
    with pytest.raises(JournalFull):
        journal.append([event(1, 800)], 0)
    journal.append([event(2, 800)], end)
    assert everything(journal) == [0, 2]


def test_a_folder_that_is_held_is_not_taken(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.sources.test_journal import *;"
        "j = opened(Path(sys.argv[1]) / '0'); j.append([event(1)], 0); print('held', flush=True);"
        "time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        (mine,) = open_free(tmp_path, shape="x", limit_bytes=MEGABYTE)
        assert mine.folder.name == "1"
        mine.append([event(2)], 0)
        mine.close()
    finally:
        holder.kill()
        holder.wait()
    left = open_free(tmp_path, shape="x", limit_bytes=MEGABYTE)
    assert [everything(journal) for journal in left] == [[1], [2]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 20))
def test_the_inbox_hands_out_each_event_once_and_goes_on_after_a_kill(
    tmp_path_factory: pytest.TempPathFactory, puts: list[int], take: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")

    async def run() -> list[int]:
        inbox = JournalInbox(opened(folder), 0)
        count = 0
        for size in puts:
            await inbox.put([event(count + n) for n in range(size)])
            count += size
        first = await inbox.take(max_events=take)
        assert first is not None
        assert first.journal is not None
        inbox.stored(first)
        inbox.journal.close()  # killed here: the rest is read by the next
        again = JournalInbox(opened(folder), first.journal[1])
        again.close()
        found = numbers(first.events)
        while (taken := await again.take(max_events=take)) is not None:
            found += numbers(taken.events)
            again.stored(taken)
        again.journal.close()
        return found

    assert asyncio.run(run()) == list(range(sum(puts)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=1, max_size=15),
    st.sampled_from([0, 60, 300, 10_000]),
)
def test_events_from_memory_and_from_the_disk_follow_each_other(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]], fresh_bytes: int
) -> None:
    """Each step puts so many and then takes at most so many; positions are those of the disk."""
    journal = opened(tmp_path_factory.mktemp("journal"))

    async def run() -> list[int]:
        inbox, count, found = JournalInbox(journal, 0), 0, list[int]()
        for put, most in [*steps, *[(0, 4)] * 150]:
            if put:
                await inbox.put([event(count + n, n * 7) for n in range(put)])
                count += put
            if most and inbox.waiting():
                taken = await inbox.take(max_events=most)
                assert taken is not None
                assert taken.journal is not None
                found += numbers(taken.events)
                left = everything(journal, taken.journal[1])
                assert [*found, *left] == list(range(count))
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inboxes, "FRESH_BYTES", fresh_bytes)
        assert asyncio.run(run()) == list(range(sum(put for put, _ in steps)))
    journal.close()


def test_an_unreadable_stretch_does_not_stop_the_inbox(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([event(1)], 0)
    (file,) = tmp_path.glob("*.log")
    file.write_bytes(b"\xff" * file.stat().st_size)

    async def run() -> Taken | None:
        inbox = JournalInbox(journal, 0)
        return await inbox.take(max_events=5)

    taken = asyncio.run(run())
    assert taken is not None
    assert taken.events == []
    assert taken.journal is not None
    assert taken.journal[1] == journal.end
