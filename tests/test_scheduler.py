"""What the scheduler hands out between two ticks."""

from pathlib import Path

from sqlalchemy import Engine, text

from tests.store.test_scale import begin, loaded
from tweeter import imports as reading
from tweeter.scheduler import RESEND_S, Scheduler
from tweeter.store.engine import writing


def test_a_file_is_handed_out_at_the_next_look_by_the_one_who_leads(
    engine: Engine, tmp_path: Path
) -> None:
    sent: list[tuple[str, int]] = []
    running = Scheduler(engine, loaded(tmp_path), lambda kind, number: sent.append((kind, number)))
    file = tmp_path / "posts.jsonl"
    file.write_text('{"data": {"id": "1", "text": "a storm"}}\n')
    stream_id = begin(engine, file, 10**6)
    running.look(99.0)
    assert sent == [], "it does not lead yet"
    running.tick(100.0)
    running.look(100.5)
    assert sent.count(("import", stream_id)) == 1
    running.look(101.0)
    assert sent.count(("import", stream_id)) == 1, "it was sent just now"
    running.look(100.0 + RESEND_S)
    assert sent.count(("import", stream_id)) == 2
    reading.work(engine, loaded(tmp_path), stream_id, should_stop=lambda: False)
    running.look(200.0)
    assert sent.count(("import", stream_id)) == 2
    other = tmp_path / "more.jsonl"
    other.write_text(file.read_text())
    second = begin(engine, other, 10**6)
    running.look(200.5)
    assert sent[-1] == ("import", second)
    with writing(engine) as connection:
        connection.execute(text("UPDATE leaders SET owner = 'elsewhere|boot|1|1'"))
    running.tick(220.0)
    running.look(240.0)
    assert sent.count(("import", second)) == 1, "another leads now"
