"""Measurements: `make bench` (docs/performance.md), `make bench-pages`, `python -m bench.fanout`.

works      what a run measures, in order; setting: what they share
data       invented posts and keywords; events: as the networks send them
source     a network in its own process; network: as the one who measures sees it
product    tweeter as it is started; checks: whether its result is right
peers/     what others write for the same; peering runs them
figures    a figure with its goal; report: the table
"""
