"""The goals, on two cores that source, program and database share. docs/performance.md.

A floor is what was reached there: where it is below its goal, the goal is not met. Goals named
whole/ are those of everything on, core/ of the core set-up (bench/whole.py).
"""

from bench.figures import Goal

GOALS = {
    "whole/x/sqlite/p100/1": Goal(least=30_000),
    "whole/x/postgresql/p100/1": Goal(least=25_000),
    "core/x/sqlite/p1/1": Goal(least=120_000),
    "core/x/sqlite/p1/2": Goal(least=143_199),
    "core/bluesky/sqlite/p1/1": Goal(least=180_000),
    "core/bluesky/sqlite/p1/2": Goal(least=280_000),
    "core/x/sqlite/p100/1": Goal(least=100_000),
    "core/x/postgresql/p100/1": Goal(least=60_000),
    "ratio/tweepy_orm": Goal(floor=3.5),
    "ratio/tweepy_core": Goal(floor=0.3),
    "ratio/twarc": Goal(floor=0.17),
    "ratio/core/tweepy_orm": Goal(least=100, floor=9.0),
    "ratio/core/tweepy_core": Goal(least=8, floor=0.8),
    "ratio/core/twarc": Goal(least=4, floor=0.45),
    "match/100k/cost": Goal(most=1.8, floor=1.8),
    "match/takes_effect": Goal(most=1.0),
    "lookback/36h": Goal(most=75.0),
    "lookback/live_delay_p99": Goal(most=1_000),
    "import/share": Goal(least=80.0),
    "fanout/1000/p99": Goal(most=60.0),
    "fanout/5000/p99": Goal(most=600.0),
    "live/cpu": Goal(most=4.0),
    "live/memory": Goal(most=400.0),
    "growth/postgresql": Goal(least=70.0),
}
