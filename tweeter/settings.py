"""The form an operator fills in: one value a line. TWEETER_<NAME> in the environment overrides it.

docs/settings.md explains each; `config.py` checks all names and values and reports every fault at
once. A name of your own begins with _.
"""

# Where everything is kept: the database, the broker's file, journals, keys. Relative to the folder
# in which a command runs.
data_dir = "tweeter-data"

# "" = SQLite in data_dir. Else a URL: postgresql://user@host/name or mysql://user@host/name.
# (backend_db of the 2016 program.) With a password in it prefer TWEETER_DATABASE_URL_FILE.
database_url = ""

# "" = an embedded broker in data_dir. Else redis://host:6379/0 or amqp://user@host//.
broker_url = ""

# Where the pages are. Only an address of this machine, until there are accounts.
host = "127.0.0.1"
port = 5000

# So many processes serve the pages, all on that port.
web_processes = 1

# `make run` starts so many workers. Each follows streams in `slots` processes and has
# `worker_concurrency` processes in all (0 = slots + 2).
workers = 1
slots = 1
worker_concurrency = 0

# In a flood such a process has so many helpers that decode, match and store for it (-1: as many as
# cores, at most 4, none on one core; 0: none). A process that reads files has them too, at most 8.
helpers = -1

# A process that follows streams and has more memory than this ends in order and another takes
# its place (0 = no cap).
slot_memory_mb = 1024

# X: an app's bearer token (not the API key). Secret: prefer TWEETER_X_BEARER_TOKEN_FILE.
x_bearer_token = ""
x_api_base = "https://api.x.com"
# The plan's limits: pay-per-use, enterprise or small (tweeter/keywords/x_limits.py).
x_plan = "pay-per-use"
# Posts that may be read at X for all keywords together, a UTC day and a month (0 = no limit).
# At the limit the rules pause by themselves. A post costs about half a US cent.
x_day_posts = 10_000
x_month_posts = 100_000

# Bluesky: Jetstreams, the next is used when one fails; needs no account. "" = off. The
# dictionary halves the traffic. The API tells names of accounts and is asked seldom; "" = never.
bluesky_url = (
    "wss://jetstream2.us-east.bsky.network/subscribe"
    " wss://jetstream1.us-west.bsky.network/subscribe"
)
bluesky_zstd_dictionary = ""
bluesky_api = "https://public.api.bsky.app"

# Mastodon: one server with a user's token (scope read:statuses), and where its streaming is if
# it does not say. More servers, one a line: URL TOKEN [STREAM …]. Streams: public,
# public:local, public:remote, hashtag:NAME. Secret: prefer the _FILE forms.
mastodon_url = ""
mastodon_token = ""
mastodon_streaming_url = ""
mastodon_servers = ""

# The words of each post are written into a full-text index for the search. Off: storing costs half
# as much, and a search reads the posts one after another (docs/search.md).
search_index = True

# A new keyword asks for the past where that is free, so many hours back (0 = never).
look_back_hours = 36
# Stored posts of X are looked up again after so many days, for removals (0 = never); each
# look-up is a read and counts to x_day_posts.
x_recheck_days = 0
# Posts of a network are deleted when they are so many days old, whatever the keywords say
# (0 = kept for ever). A keyword can have days of its own, on its page.
keep_days_x = 0
keep_days_bluesky = 0
keep_days_mastodon = 0

# Files to read once, separated by ":"; and how fast: max, 10x (of real time) or 50/s.
replay = ""
replay_speed = "max"

# 0 = no limit on the number of keywords.
max_keywords = 0

# Posts stored together, at most; and how long a post may wait for company, in milliseconds. A lone
# one does not wait, and others wait less where transactions are quick.
batch_posts = 1000
commit_window_ms = 250

# Raw posts of networks that cannot send again wait here while the database is away.
journal_limit_mb = 512

# How long a browser that comes back gets what it missed.
feed_keep_hours = 24

# Events that could not be read are kept for you to look at, up to these bounds.
quarantine_rows = 10_000
quarantine_mb = 100

log_level = "INFO"
