"""Files that were read to their end are folded in the lists of streams, also by the script."""

import re
from pathlib import Path
from typing import Any

from sqlalchemy import update

from tests.integration.browsers import pages_alone, shot, watched
from tweeter.store import streams
from tweeter.store.engine import writing
from tweeter.store.schema import streams as table


def test_what_has_ended_is_folded_and_what_failed_is_not(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 780})
    with pages_alone(tmp_path) as (engine, url), watched(context, url) as page:

        def turn(number: int, state: str) -> None:
            name = f"replay:/archive/{number}.jsonl:{number}"
            stream = streams.ensure(engine, name, "replay", {"path": name})
            with writing(engine) as connection:
                of_it = table.c.id == stream
                connection.execute(update(table).where(of_it).values(state=state))

        page.goto(f"{url}/sources")
        assert "No stream yet" in page.locator("#streams").inner_text()
        for number in range(9):
            turn(number, "failed" if number == 3 else "waiting" if number == 4 else "done")
        page.reload()
        shown, folded = page.locator("#streams > table"), page.locator("#streams > details")
        assert re.findall(r"/(\d)\.jsonl", shown.inner_text()) == ["3", "4"]
        folded.get_by_text("Files read to their end: 7").click()
        assert folded.locator("tbody tr").count() == 7
        shot(page, "sources-folded-360")
        turn(4, "done")  # the page's script has it from the server
        folded.get_by_text("Files read to their end: 8").wait_for()
        assert folded.evaluate("one => one.open")
        assert folded.locator("tbody tr").count() == 8
        assert re.findall(r"/(\d)\.jsonl", shown.inner_text()) == ["3"]
        turn(3, "done")
        shown.wait_for(state="hidden")
    context.close()
