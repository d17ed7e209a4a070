"""tweeter: follow keywords live on X, Bluesky and Mastodon, in your own database.

A post travels through these rooms, top to bottom; a module imports only from rows above it
(`tests/test_layers.py` enforces it):

    texts                             what is said to people, and what it is made of
    errors  records  settings         nouns and the operator's form; import nothing of ours
    checks  harmless  moments         one check a setting; texts tamed; times as people write them
    hints  packing                    a word between processes; gzip for an answer without end
    arrivals                          messages as they come out of a queue: only ours
    config                            settings.py + TWEETER_* -> one checked, frozen Config
    keywords/  decode/                pure: the keyword language; bytes in, records out
    links                             addresses in posts as they are compared
    choices                           values that a filter names, and those true of a post
    filters                           which posts: of a search, a saved search, a column
    columns  followable               what a column of the live deck shows; a search as a keyword
    sources/  store/                  the networks' sockets; the only place that knows SQLAlchemy
    cards                             a post as readers see it, by its network's rules
    changes  keyword_states           what browsers are told of the live feed, made once for all
    broadcast  broker  scheduler      the live feed, the embedded broker, the reconciler
    forecast  x_costs                 what a keyword, or asking X for its past, would bring and cost
    problems                          errors for programs
    queues                            Celery's settings, and the names of its queues
    digest  helper                    decode and match, pure; the same in a process of its own
    pipeline                          decode -> match -> store, joined: read this first
    statistics/                       what happened to a keyword, put together from the sums
    name_asking                       accounts' names, asked of their networks
    follow                            one stream, kept connected, stored, and put into words
    look_back x_search recheck        parts of jobs: the past, X's past, stored posts looked up
    balance  imports                  which streams a slot takes; files read in parts
    names                             keywords saved with the accounts that they name
    slot                              many streams in one event loop, under their leases
    tasks  views/                     Celery app and tasks; pages and the live socket
    keeper  web                       a worker's main process; the Flask application
    server  supervisor  cli_*  cli    put it together; and views/flask_tasks, Celery's door
"""

__version__ = "0.1.0"
