"""The form an operator fills in: one value a line. TWEETER_<NAME> in the environment overrides it.

docs/settings.md explains each; `config.py` checks them all and reports every fault at once.
"""

# Where everything is kept: the database, the broker's file, journals, keys. Relative to here.
data_dir = "tweeter-data"

# "" = SQLite in data_dir. Else a URL: postgresql://user@host/name or mysql://user@host/name.
# (backend_db of the 2016 program.) With a password in it prefer TWEETER_DATABASE_URL_FILE.
database_url = ""

# "" = an embedded broker in data_dir. Else redis://host:6379/0 or amqp://user@host//.
broker_url = ""

# Where the pages are. Only an address of this machine, until there are accounts.
host = "127.0.0.1"
port = 5000

# `make run` starts so many workers. Each follows streams in `slots` processes and has
# `worker_concurrency` processes in all (0 = slots + 2).
workers = 1
slots = 1
worker_concurrency = 0

# X: an app's bearer token (not the API key). Secret: prefer TWEETER_X_BEARER_TOKEN_FILE.
x_bearer_token = ""
x_api_base = "https://api.x.com"

# Bluesky: a Jetstream; needs no account. "" = off. The dictionary halves the traffic.
bluesky_url = "wss://jetstream2.us-east.bsky.network/subscribe"
bluesky_zstd_dictionary = ""

# Files to read once, separated by ":"; and how fast: max, 10x (of real time) or 50/s.
replay = ""
replay_speed = "max"

# 0 = no limit on the number of keywords.
max_keywords = 0

# Posts stored together, at most; and how long a post may wait for company, in milliseconds.
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
