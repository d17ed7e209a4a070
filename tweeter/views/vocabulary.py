"""Words that pages and scripts show of names of ours, and the texts of the scripts.

A state, a verdict, a kind is a name in the database, the API and addresses; pages show it as a
word (the filter `word` in templates, `say` in scripts).
"""

from tweeter import cards
from tweeter.store import trouble
from tweeter.texts import mark

WORDS = frozenset(
    (
        # of streams, keywords, jobs and gaps
        mark("live"),
        mark("active"),
        mark("waiting"),
        mark("down"),
        mark("limited"),
        mark("needs attention"),
        mark("off"),
        mark("paused"),
        mark("removed"),
        mark("done"),
        mark("failed"),
        mark("pending"),
        mark("over budget"),
        mark("refused"),
        # what became of a gap
        mark("lost"),
        mark("replayed"),
        mark("repairing"),
        mark("repaired"),
        # of a stretch of time
        mark("covered"),
        mark("quiet"),
        mark("missed"),
        mark("not followed"),
        # of a check, a network, a line of an import
        mark("ok"),
        mark("note"),
        mark("not tried"),
        mark("good"),
        mark("wrong"),
        mark("known"),
        mark("twice"),
        mark("empty"),
        # of posts
        mark("post"),
        mark("reply"),
        mark("repost"),
        mark("quote"),
        mark("bot"),
        mark("edited"),
        mark("sensitive"),
        mark("media"),
        mark("link"),
        mark("demo"),
        mark("with"),
        mark("without"),
        mark("other"),
        # ranges of the statistics
        mark("hour"),
        mark("day"),
        mark("week"),
        mark("month"),
        mark("year"),
        # what a filter of the statistics is of
        mark("network"),
        mark("lang"),
        mark("kind"),
        mark("tag"),
        mark("domain"),
        mark("author"),
        mark("mention"),
        mark("keyword"),
        mark("search"),
    )
)

# As they stand in `say("…")` of static/*.js, where "{name}" stands for a value.
OF_SCRIPTS = (
    # times.js
    mark("now"),
    mark("in %(hours)s h %(minutes)s min"),
    mark("in %(minutes)s min %(seconds)s s"),
    mark("in %(seconds)s s"),
    # card.js
    mark("All %(count)s characters"),
    mark("Links"),
    mark("Media"),
    mark("Post by %(author)s"),
    mark("Removed post"),
    mark("Show picture from %(host)s"),
    # picture.js
    mark("Hide picture"),
    # items.js
    mark("with the same text"),
    mark("Removed by its author or network."),
    mark("%(count)s posts of all columns passed while this page was away"),
    mark("At least %(count)s posts of all columns passed while this page was away"),
    mark("%(count)s at %(time)s"),
    mark("%(count)s between %(since)s and %(until)s"),
    mark("load"),
    mark("arrived while away: %(count)s, %(since)s to %(until)s"),
    # column.js
    mark("It was edited and belongs no more to this column."),
    mark("older posts"),
    mark("Following · %(rate)s/s"),
    mark("Following"),
    mark("Nothing comes: the connection is lost"),
    mark("Nothing new comes: the keyword is paused"),
    mark("Nothing new comes: the keyword was removed"),
    mark("Following · %(rate)s/s · showing 1 in %(n)s · all stored"),
    mark("Older ones are no longer kept in this order"),
    mark("The server did not answer: try again"),
    mark("none found yet among older posts"),
    mark("Held because you held it · %(waits)s waiting"),
    mark("Held because you scrolled · %(waits)s waiting"),
    mark("Held because a post has the focus · %(waits)s waiting"),
    mark("Held because the pointer is on it · %(waits)s waiting"),
    # live.js
    mark("%(count)s new"),
    mark("the search for it"),
    mark("the keyword's page"),
    mark("Connected"),
    mark("The line is up again."),
    mark("Connection lost %(time)s"),
    mark("last post %(time)s"),
    mark("retry in %(seconds)s s"),
    mark("trying again"),
    mark("The line is down; what comes meanwhile is fetched later."),
    mark("Connecting"),
    mark("%(count)s new in %(column)s"),
    # streams.js
    mark("since %(moment)s, next try %(next)s"),
    mark("since %(moment)s"),
    mark("Stored"),
    mark("%(stream)s is down since %(time)s"),
    mark("%(stream)s needs attention since %(time)s"),
    mark("%(count)s streams are down"),
    mark("Nothing comes: no stream follows it"),
    mark("Nothing comes: %(streams)s"),
    mark("%(streams)s; what comes of the others is shown"),
    mark("Files read to their end: %(count)s"),
    # sources.js
    mark("tweeter does not answer."),
    mark("As of %(time)s."),
    # statistics.js
    mark("no post"),
    mark("nothing is known"),
    mark("Show its posts"),
    mark("A newer bar has begun."),
    mark("Show it"),
    mark("Loading …"),
    mark("Try again"),
    # preview.js
    mark("This is of what was written before."),
    # axes.js
    mark("cut in UTC, the axis in %(zone)s"),
    # week.js
    mark("%(day)s %(first)s:00 to %(last)s:00 %(zone)s"),
    # pick.js
    mark("%(count)s found"),
    mark("At most %(most)s: leave out another first"),
    mark("%(count)s of %(most)s chosen"),
    # check.js
    mark("Checking. This takes up to 45 seconds."),
)

# What the server says in English to all pages at once, and scripts show in the reader's language.
HEARD = (
    *cards.texts(),
    trouble.FULL.text,
    mark("No worker is running, so nothing is being followed. Start one: %(command)s"),
    mark("A worker takes it within seconds."),
    mark(
        "No worker has taken it for %(seconds)s s, though one is running. Is the broker away, or"
        " does the worker that can follow it not run?"
    ),
    mark("Waiting for a worker."),
    mark("The saved search that this column shows was deleted."),
    mark("The saved search cannot be read: %(error)s"),
)
