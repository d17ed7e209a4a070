"""Tables and indexes. Moments are integer microseconds UTC, "" stands for "not given".

The migrations in `migrations/versions` make the same tables; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tweeter.store.schema_sums import facets as facets
from tweeter.store.schema_sums import totals as totals
from tweeter.store.schema_sums import volumes as volumes
from tweeter.store.schema_types import AutoId, Bytes, KeyText, LongText
from tweeter.store.schema_types import metadata as metadata  # for others, with the tables in it

keywords = Table(
    "keywords",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("expression", Text, nullable=False),  # as the person wrote it
    Column("canonical", LongText, nullable=False),  # printed from its tree: finds duplicates
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # active, paused, removed
    Column("demo", Boolean, nullable=False),  # goes with the demo data
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("purge_at", BigInteger),  # removed and its posts to be deleted, from then on
    Column("complete_at", BigInteger),  # stored posts were all matched again; NULL: under way
    Column("posts", BigInteger, nullable=False),  # exact number of rows in matches
    Column("networks", String(64), nullable=False, default=""),  # joined by a space; "": all
    Column("day_budget", BigInteger, nullable=False, default=0),  # of posts read at X; 0: none
    Column("month_budget", BigInteger, nullable=False, default=0),
    Column("keep_days", Integer, nullable=False, default=0),  # older posts go; 0: for ever
    Column("looked_back", Integer, nullable=False, default=0),  # version asked for in the past
)

keyword_versions = Table(
    "keyword_versions",
    metadata,
    Column("keyword_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("expression", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

posts = Table(
    "posts",
    metadata,
    # Time in the network's id << 20 | 20 bits of a hash: neighbours in time lie together.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("network", String(16), nullable=False),
    Column("key", KeyText, nullable=False),
    Column("post_id", KeyText, nullable=False),
    Column("url", Text, nullable=False),
    Column("text", LongText, nullable=False),
    Column("also", LongText, nullable=False),  # other matched strings, joined by PART
    Column("warning", Text, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("traits", String(64), nullable=False, default=""),  # all that hold, joined by a space
    Column("lang", String(35), nullable=False),
    Column("author_id", KeyText, nullable=False),
    Column("author_handle", Text, nullable=False),
    Column("author_name", Text, nullable=False),
    Column("tags", LongText, nullable=False),  # JSON list of strings
    Column("links", LongText, nullable=False),  # JSON list of {url, display, short}
    Column("media", LongText, nullable=False, default="[]"),  # JSON list of {kind, alt, url}
    Column("reply_to", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("version", String(64), nullable=False),
    Column("edited_at", BigInteger, nullable=False),  # 0: never
    Column("sensitive", Boolean, nullable=False),
    Column("flags", String(64), nullable=False),  # words joined by a space
    Column("hidden", String(16), nullable=False),  # "" or the account's status
    Column("removed_at", BigInteger),
    Column("removed_reason", String(32), nullable=False),
    Column("checked_at", BigInteger, nullable=False, default=0),  # seen at its network; 0: never
    UniqueConstraint("network", "key"),
    Index("ix_posts_network_author_id", "network", "author_id"),
    Index("ix_posts_network_occurred_at", "network", "occurred_at"),  # for retention
    Index("ix_posts_occurred_at_id", "occurred_at", "id"),  # for search, newest first
)

search_texts = Table(
    "search_texts",
    metadata,
    # The words of each post that is not removed (keywords.index_words), but those that were stored
    # with the setting search_index off (unindexed.py). The migrations make each database's own
    # full-text index over it, which SQLAlchemy knows nothing of.
    Column("post_id", AutoId, primary_key=True, autoincrement=False),  # posts.id
    Column("words", LongText, nullable=False),
)

searches = Table(
    "searches",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("name", KeyText, nullable=False, unique=True),
    Column("query", Text, nullable=False),  # as in the address of the page
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

matches = Table(
    "matches",
    metadata,
    Column("keyword_id", BigInteger, nullable=False),
    Column("post_id", BigInteger, nullable=False),  # posts.id
    Column("version", Integer, nullable=False),  # of the keyword, or matches.UNSURE
    Column("occurred_at", BigInteger, nullable=False),  # of the post: lists order by it
    PrimaryKeyConstraint("post_id", "keyword_id"),  # those of new posts lie side by side
    Index("ix_matches_keyword_id_occurred_at_post_id", "keyword_id", "occurred_at", "post_id"),
    sqlite_with_rowid=False,
)

post_aliases = Table(
    "post_aliases",
    metadata,
    Column("network", String(16), primary_key=True),
    Column("alias", KeyText, primary_key=True),
    Column("key", KeyText, nullable=False),
    Index("ix_post_aliases_network_key", "network", "key"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("network", String(16), primary_key=True),
    Column("key", KeyText, primary_key=True),  # a post's key, or an alias
    Column("reason", String(32), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    # "": no version of it comes back. Else it is not gone: an edit of this version matched nothing,
    # and only older ones are refused.
    Column("version", KeyText, nullable=False, default=""),
)

hidden_authors = Table(
    "hidden_authors",
    metadata,
    # Also accounts that are shown, "active", if an event from before that could hide them again.
    Column("network", String(16), primary_key=True),
    Column("author_id", KeyText, primary_key=True),
    Column("status", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),  # since when, as the network says; never to come
)

feed = Table(
    "feed",
    metadata,
    # Given in the order of commits (see positions), never by an auto-increment.
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(8), nullable=False),  # post, edit, remove
    Column("post_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

DELETED = "deleted:"
DELETED_OF = f"{DELETED}#"
positions = Table(
    "positions",
    metadata,
    # "feed": last published seq; "keywords": revision of all keywords; "searches": the highest id
    # of one that was deleted (SQLite); "unindexed_since" and "_until": see unindexed.py;
    # "words_n": see search_texts.renew; DELETED and a network, DELETED_OF and a keyword's id:
    # posts of before that moment were deleted as too old.
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# What a stream counts; those behind `events` add up to it.
COUNTS = (
    "lines",
    "events",
    "stored",
    "unmatched",
    "applied",
    "ignored",
    "duplicates",
    "quarantined",
)
streams = Table(
    "streams",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("name", KeyText, nullable=False, unique=True),
    Column("network", String(16), nullable=False),  # key of opening.SOURCES
    Column("options", Text, nullable=False),  # JSON: path and speed of a replay, …; no secret
    Column("wanted", Boolean, nullable=False),
    Column("owner", KeyText, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("cursor", Text, nullable=False),
    Column("covered_until", BigInteger, nullable=False),  # all received until then is stored
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),  # whole sentences for the page
    Column("since", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
    Column("last_post_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("memory", LongText, nullable=False, default=""),  # JSON of its source
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
)

journals = Table(
    "journals",
    metadata,
    Column("journal_id", String(32), primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),  # bytes of the journal that are stored
)

intervals = Table(
    "intervals",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # live, down, limited, paused, …
    Column("cause", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("outcome", String(16), nullable=False),  # "", replayed, repairing, repaired, lost
    Column("kind", String(16), nullable=False, default=""),  # of the SourceError that began it; ""
    Column("repair", Text, nullable=False, default=""),  # what was repaired or why not, a sentence
    Column("repaired_posts", BigInteger, nullable=False, default=0),
    Index("ix_intervals_stream_id_started_at", "stream_id", "started_at"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("body", Bytes, nullable=False),  # first 64 kB
    Column("size", Integer, nullable=False),  # bytes of the whole event
    Column("count", BigInteger, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    UniqueConstraint("stream_id", "sha256"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", KeyText, primary_key=True),  # owner text of its main process
    Column("name", KeyText, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
)

slots = Table(
    "slots",
    metadata,
    Column("worker_id", KeyText, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("owner", KeyText, nullable=False),  # owner text of the process that holds the slot
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
)

keyword_intervals = Table(
    "keyword_intervals",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("keyword_id", BigInteger, nullable=False),
    Column("network", String(16), nullable=False),  # "": everywhere
    Column("state", String(16), nullable=False),  # paused, pending, refused, over_budget
    Column("cause", Text, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("ix_keyword_intervals_keyword_id_started_at", "keyword_id", "started_at"),
)

identities = Table(
    "identities",
    metadata,
    Column("network", String(16), primary_key=True),
    Column("author_id", KeyText, primary_key=True),
    Column("handle", KeyText, nullable=False, index=True),  # "": the network knows none
    Column("name", Text, nullable=False),
    Column("at", BigInteger, nullable=False),  # when the network said so
    Column("due_at", BigInteger, nullable=False, index=True),  # from then on it is asked again
)

followed_names = Table(
    "followed_names",
    metadata,
    # The accounts that a keyword names by `from:`. Of each keyword's own: a name that was
    # followed last year may be another account's today.
    Column("keyword_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", KeyText, primary_key=True, index=True),  # case folded
    Column("network", String(16), nullable=False),
    Column("author_id", KeyText, nullable=False, index=True),  # "": not known yet
    Column("words", Text, nullable=False),  # why it is not known
    Column("tries", Integer, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # when the id became known
)

reads = Table(
    "reads",
    metadata,
    # Posts that a network charges for, by UTC day; keyword 0 counts each delivered post once.
    Column("network", String(16), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # days since 1970
    Column("keyword_id", BigInteger, primary_key=True, autoincrement=False),
    Column("posts", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    # rematch, purge, look_back, repair, recheck, names, import
    Column("kind", String(16), nullable=False),
    # Keyword of a rematch or purge (0: all), stream of the others; 0 of names.
    Column("subject", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),  # of the keyword
    # How far it is, 0: at the beginning. posts.id, going down; of the past that a network is asked
    # for a moment, or an id of X; of an import a place in the file.
    Column("position", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, done, failed
    Column("owner", KeyText, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),  # posts looked at
    Column("options", Text, nullable=False, default=""),  # JSON: {from_us, until_us, …}
    Column("words", Text, nullable=False, default=""),  # how far it is, or why it failed
    Column("stored", BigInteger, nullable=False, default=0),  # posts that it found
    Column("retry_at", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
)

decks = Table(
    "decks",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("name", KeyText, nullable=False, unique=True),
    Column("columns", LongText, nullable=False),  # JSON list of columns.Column
    Column("changed_at", BigInteger, nullable=False),
)

installation = Table(
    "installation",
    metadata,
    Column("name", String(32), primary_key=True),  # "id"
    Column("value", Text, nullable=False),
)

leaders = Table(
    "leaders",
    metadata,
    Column("name", String(32), primary_key=True),  # of what only one process does: "scheduler"
    Column("owner", KeyText, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
)

annotations = Table(
    "annotations",
    metadata,
    Column("id", AutoId, primary_key=True, autoincrement=True),
    Column("keyword_id", BigInteger, nullable=False),  # 0: on every keyword's chart
    Column("words", LongText, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # NULL: it is of one moment
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_annotations_keyword_id_started_at", "keyword_id", "started_at"),
)
