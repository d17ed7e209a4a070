"""The goals, on two cores that source, program and database share. docs/performance.md.

A floor is what was reached there: where it is below its goal, the goal is not met.
"""

from bench.figures import Goal

GOALS = {
    "whole/x/sqlite/p1/1": Goal(least=120_000),
    "whole/x/sqlite/p1/2": Goal(least=143_199),
    "whole/bluesky/sqlite/p1/1": Goal(least=180_000),
    "whole/bluesky/sqlite/p1/2": Goal(least=280_000),
    "whole/x/sqlite/p100/1": Goal(least=30_000),
    "whole/x/postgresql/p100/1": Goal(least=25_000),
    "ratio/tweepy_orm": Goal(least=100, floor=2.5),
    "ratio/tweepy_core": Goal(least=8, floor=0.19),
    "ratio/twarc": Goal(least=4, floor=0.14),
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
