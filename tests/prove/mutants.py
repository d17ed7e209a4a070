"""Curated bugs of the hot path: each takes one protection away, and a named check must notice.

Who notices is the check whose control the mutant is (`checks`), or the test it names, which
`make prove NAME=mutants` runs against it. `old` must stand in the file exactly once; a mutant
whose text is gone is stale, and a test says so (`tests/prove/test_mutants.py`).
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """In `path`, `old` becomes `new`: what is then wrong is `bug`. also: more such edits.

    test: the test that must fail then, as pytest names it; "" for the control of a check.
    """

    path: str
    old: str
    new: str
    bug: str
    also: tuple[tuple[str, str, str], ...] = ()
    test: str = ""


MUTANTS: dict[str, Mutant] = {
    "no-wait-after-429": Mutant(
        "tweeter/sources/x.py",
        '"limited": exponential(60, 3600),',
        '"limited": exponential(1, 3600),',
        "after a rate limit X is asked again at once",
    ),
    "no-wait-after-a-clean-close": Mutant(
        "tweeter/sources/x.py",
        '"closed": exponential(1, 320),',
        '"closed": constant(0.01),',
        "a server that accepts and closes is asked without a pause",
    ),
    "refusals-are-retried": Mutant(
        "tweeter/sources/x.py",
        '"refused": constant(3600),',
        '"refused": constant(1),',
        "a wrong token is tried again every second",
    ),
    "the-cursor-is-forgotten": Mutant(
        "tweeter/sources/bluesky_wire.py",
        'query.append(("cursor", str(cursor_us)))',
        "pass",
        "after a break Bluesky is read from now on",
    ),
    "quarantine-keeps-nothing": Mutant(
        "tweeter/digest.py",
        "batch.rejected.append(rejected(raw, error))",
        "pass",
        "what cannot be read vanishes",
    ),
    "older-edits-win": Mutant(
        "tweeter/store/edits.py",
        'if stored.version and row["version"] <= stored.version:',
        "if False:",
        "an edit that comes late replaces a newer text",
    ),
    "tombstones-are-not-looked-at": Mutant(
        "tweeter/store/batches.py",
        "if deleted or (gone and removals.is_refused(gone, post)):",
        "if deleted:",
        "a post that was deleted before it came is stored",
    ),
    "cursor-before-posts": Mutant(
        "tweeter/store/batches.py",
        "    now = read_clock(connection)\n    outcome, changes = Outcome(), []",
        "    now = read_clock(connection)\n"
        "    outcome, changes = Outcome(), []\n"
        "    fences.advance(connection, lease, batch, outcome, now)\n"
        '    connection.exec_driver_sql("COMMIT")\n'
        '    __import__("time").sleep(0.15)\n'
        '    connection.exec_driver_sql("BEGIN IMMEDIATE")\n'
        "    batch.counts, batch.cursor, batch.journal = Counter(), '', None",
        "the cursor is committed a moment before the posts",
    ),
    "engine-shared-over-fork": Mutant(
        "tweeter/tasks.py",
        "    global _engine\n    _engine = make_engine(config.database_url)\n    if sys",
        "    if sys",
        "pool processes use the engine that their parent used before the fork",
        (
            (
                "tweeter/tasks.py",
                "_engine: Engine | None = None  # of a pool process",
                "_engine: Engine | None = make_engine(config.database_url)",
            ),
            (
                "tweeter/store/engine.py",
                '    event.listen(engine, "checkout", refuse_other_process)\n',
                "",
            ),
            (
                "tweeter/keeper.py",
                "        revisions.check(engine)\n",
                "        revisions.check(engine)\n"
                "        revisions.check(tasks._engine or engine)\n",
            ),
        ),
    ),
    "old-epochs-are-let-in": Mutant(
        "tweeter/store/fences.py",
        "if connection.execute(statement.with_for_update()).scalar() != lease.epoch:",
        "if connection.execute(statement.with_for_update()).scalar() is None:",
        "a process that was paused and wakes up writes on",
    ),
    "streams-are-not-released": Mutant(
        "tweeter/slot.py",
        "        await self._aside(streams.release, self._engine, lease)\n",
        "",
        "a worker that ends in order keeps its streams leased",
    ),
    "slots-are-not-looked-at": Mutant(
        "tweeter/store/workers.py",
        "                if not is_dead(holder):\n                    continue\n",
        "",
        "a slot task that comes again follows streams beside the first",
    ),
    "the-feed-goes-by-row-id": Mutant(
        "tweeter/store/feed.py",
        ".order_by(feed.c.seq)",
        ".order_by(feed.c.post_id)",
        "the live feed is read in the order of row ids, not of commits",
    ),
    "nobody-holds-anything": Mutant(
        "tweeter/store/leases.py",
        "return bool(name) and until >= now and not is_dead(name)",
        "return False",
        "every scheduler leads, and a job is begun again beside who works on it",
    ),
    "a-job-is-sent-once": Mutant(
        "tweeter/scheduler.py",
        "if now_s - self._sent_at.get(job, -RESEND_S) >= RESEND_S:",
        "if job not in self._sent_at:",
        "a job whose message was lost with the broker is never done",
    ),
    "a-failed-batch-is-dropped": Mutant(
        "tweeter/writing.py",
        "                wait_s = min(wait_s * 2, 10.0)\n",
        "                return\n",
        "what the database did not take at once is forgotten",
    ),
    "a-full-disk-drops-what-is-in-hand": Mutant(
        "tweeter/follow.py",
        "if not isinstance(error, OSError) or error.errno not in trouble.DISK_FULL:",
        "if error:",
        "what X sent while the disk was full is thrown away",
    ),
    "a-turn-is-said-once": Mutant(
        "tweeter/line.py",
        "            write(self._news[0])\n            self._news.popleft()\n",
        "            write(self._news.popleft())\n",
        "a gap that begins while the database cannot be written is never entered",
    ),
    "an-old-version-goes-on": Mutant(
        "tweeter/store/revisions.py",
        'raise MustEnd(\n            f"The database was brought',
        'str(\n            f"The database was brought',
        "a process of the old version writes into tables of a newer one",
    ),
    "a-reader-leaves-its-file-open": Mutant(
        "tweeter/pipeline.py",
        "        revision, matcher = self.book.current()\n",
        "        revision, matcher = self.book.current()\n"
        "        self.__dict__.setdefault('leak', []).append(open('/dev/null'))\n",
        "each batch leaves a file open",
    ),
    "stalled-readers-are-kept": Mutant(
        "tweeter/views/live.py",
        "async with asyncio.timeout(STALLED_S):",
        "async with asyncio.timeout(None):",
        "a reader that takes nothing keeps its connection for ever",
    ),
    "a-full-line-skips-posts": Mutant(
        "tweeter/broadcast.py",
        "                else:\n                    reader.behind.set_result(None)\n",
        "                else:\n                    reader.position = self._head\n",
        "a reader whose line is full for a moment never gets what came then",
        test="tests/test_live_feed.py::test_a_reader_that_takes_nothing_holds_nobody_up_and_goes_on_where_it_was",
    ),
    "all-readers-are-thought-alike": Mutant(
        "tweeter/broadcast.py",
        "if position < self._from or not 0 <= count <= PULL:",
        "if position < self._from or count > PULL:",
        "a reader that is ahead of a web process is sent posts again",
        test="tests/test_live_feed.py::test_a_reader_that_saw_more_at_another_process_is_sent_nothing_twice",
    ),
    "old-keywords-are-good-enough": Mutant(
        "tweeter/store/batches.py",
        "if keywords.revision(connection, lock=True) != batch.revision:",
        "if keywords.revision(connection, lock=True) < 0:",
        "a post that came while a keyword was added is not matched with it",
        test="tests/store/test_store.py::test_a_batch_matched_with_old_keywords_is_matched_again[sqlite]",
    ),
    "the-lease-is-not-proven": Mutant(
        "tweeter/store/batches.py",
        "    fences.prove(connection, lease)\n",
        "",
        "whoever lost a stream writes on",
        test="tests/store/test_store.py::test_who_lost_the_lease_writes_nothing[sqlite]",
    ),
    "twice-counts-twice": Mutant(
        "tweeter/store/batches.py",
        "outcome.stored += len(work.fresh) - len(there)",
        "outcome.stored += len(work.fresh)",
        "a batch that comes again counts again",
        test="tests/store/test_store.py::test_a_batch_that_comes_twice_counts_once[sqlite]",
    ),
    "posts-of-one-number-are-one": Mutant(
        "tweeter/store/batches.py",
        'f"{post.network}:{post.key}", salt)',
        'f"{post.network}:{post.key}", 0)',
        "of two posts that hash to one number the second cannot be stored",
        test="tests/store/test_store.py::test_two_posts_that_hash_to_one_id_are_both_stored",
    ),
    "pages-begin-with-the-last-post": Mutant(
        "tweeter/store/posts.py",
        '((when == at) & (which < bindparam("post")))',
        '((when == at) & (which <= bindparam("post")))',
        "the next page repeats the last post of the one before",
        test="tests/store/test_store.py::test_pages_neither_repeat_nor_skip_while_posts_arrive[sqlite]",
    ),
    "removed-posts-keep-their-text": Mutant(
        "tweeter/store/removals.py",
        '    "text": "",\n',
        "",
        "the text of a deleted post stays",
        test="tests/store/test_store.py::test_a_removal_wins_also_over_a_post_that_comes_later[sqlite]",
    ),
    "deleted-accounts-come-back": Mutant(
        "tweeter/store/removals.py",
        'if before == "deleted":',
        'if before == "never":',
        "a deleted account is shown again",
        test="tests/store/test_store.py::test_an_account_hides_its_posts_and_may_show_them_again[sqlite]",
    ),
    "dates-are-believed": Mutant(
        "tweeter/digest.py",
        "                event = _dated_now_if_old(event)",
        "                pass",
        "a live post counts in the year that it claims",
        test="tests/test_pipeline.py::test_an_old_date_on_a_live_stream_is_not_believed_and_in_a_file_it_is",
    ),
    "edits-away-are-not-seen": Mutant(
        "tweeter/digest.py",
        'if not found and post.operation != "update" and not post.supersedes:',
        "if not found:",
        "a post that no longer matches keeps its old text",
        test="tests/test_pipeline.py::test_edits_of_posts_that_do_not_match_reach_the_store",
    ),
    "a-torn-end-stays": Mutant(
        "tweeter/sources/journal.py",
        "if _is_torn(data, good):",
        "if not data:",
        "what is written behind a torn entry is never read",
        test="tests/sources/test_journal.py::test_a_torn_end_is_cut_off_and_written_on",
    ),
    "checksums-are-not-looked-at": Mutant(
        "tweeter/sources/journal.py",
        "if len(body) < length or zlib.crc32(body, received_at & 0xFFFFFFFF) != check:",
        "if len(body) < length:",
        "damaged bytes of a journal are read as a post",
        test="tests/sources/test_journal.py::test_a_damaged_entry_is_not_read_as_a_post",
    ),
    "a-cleared-folder-forgets-its-position": Mutant(
        "tweeter/sources/journal.py",
        "if not self._first or self.end > self._first[-1]:",
        "if self._first or not self._first:",
        "what comes when a folder of a journal is used again is deleted unread",
        test="tests/sources/test_journal.py::test_a_folder_that_is_cleared_again_keeps_its_position",
    ),
    "damage-is-not-said": Mutant(
        "tweeter/sources/inbox.py",
        "Taken(events, covered, journal, lost_until=lost_until)",
        "Taken(events, covered, journal)",
        "posts that the disk damaged are lost in silence",
        test="tests/test_slot.py::test_a_damaged_post_of_a_journal_is_in_the_ledger",
    ),
    "two-hold-one-journal": Mutant(
        "tweeter/sources/journal.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "a process that wakes up writes into the journal of its successor",
        test="tests/sources/test_journal.py::test_a_folder_that_is_held_is_not_taken",
    ),
    "a-sleep-is-no-gap": Mutant(
        "tweeter/line.py",
        "if now_s - self._heard_s > SILENT_S:",
        "if now_s < 0:",
        "after a laptop's sleep the night counts as covered",
        test="tests/test_line.py::test_after_a_sleep_the_line_is_in_doubt_until_it_has_stayed_open",
    ),
    "too-many-turns-drop-a-gap": Mutant(
        "tweeter/line.py",
        "                if last.state == LIVE:\n                    self._news.pop()\n",
        "",
        "a gap that does not fit is forgotten",
        test="tests/test_line.py::test_too_many_turns_join_gaps_and_never_drop_one",
    ),
    "words-are-found-inside-words": Mutant(
        "tweeter/keywords/layer.py",
        "if number not in hits and stands_alone(hay, start, end, kind):",
        "if number not in hits:",
        "'art' is found in 'party'",
        test="tests/keywords/test_language.py::test_ten_thousand_keywords_are_one_engine",
    ),
    "retention-leaves-the-counters": Mutant(
        "tweeter/store/matches.py",
        "            per_keyword[number] = per_keyword.get(number, 0) - 1\n",
        "            per_keyword[number] = 0\n",
        "a keyword counts posts that are gone",
        test="tests/store/test_retention.py::test_what_stays_is_what_the_days_say_whatever_came_before[sqlite-0]",
    ),
    "removals-stay-in-the-sums": Mutant(
        "tweeter/store/removals.py",
        "with rollups.following(connection, [row.id for row in stored]):",
        "with rollups.following(connection, []):",
        "a removed post's hashtags stay in the statistics",
        test="tests/store/test_rollups.py::test_sums_follow_posts_edits_removals_accounts_and_keywords[sqlite]",
    ),
    "edits-stay-in-the-sums": Mutant(
        "tweeter/store/edits.py",
        "with rollups.following(connection, [stored.id]):",
        "with rollups.following(connection, []):",
        "the statistics count what a post said before it was edited",
        test="tests/store/test_rollups.py::test_sums_follow_posts_edits_removals_accounts_and_keywords[sqlite]",
    ),
    "only-the-last-cause-ends": Mutant(
        "tweeter/store/ledger.py",
        "intervals.c.id > since,",
        "intervals.c.id > since + 1,",
        "the first minutes of a gap with two causes are never repaired",
        test="tests/store/test_coverage.py::test_a_gap_of_several_causes_ends_as_one[sqlite]",
    ),
    "cursors-of-tomorrow": Mutant(
        "tweeter/sources/bluesky.py",
        "return max(min(int(sink.cursor) - rewind_us, now_us()), 1)",
        "return max(int(sink.cursor) - rewind_us, 1)",
        "a cursor in the future makes Jetstream begin now",
        test="tests/sources/test_bluesky.py::test_a_cursor_in_the_future_is_not_taken_for_now",
    ),
    "engines-cross-forks": Mutant(
        "tweeter/store/engine.py",
        '    event.listen(engine, "checkout", refuse_other_process)\n',
        "",
        "a forked process uses its parent's connections",
        test="tests/store/test_store.py::test_an_engine_of_another_process_is_refused",
    ),
}
