"""What happened to a keyword: how much, when, of what; docs/statistics.md defines every number.

`spans` are stretches of time cut into buckets, `spikes` and `association` are pure arithmetic,
`report` puts a page together from the store's sums (`store.sums`).
"""
