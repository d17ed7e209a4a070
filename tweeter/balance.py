"""Which streams a slot takes, and which it hands back, so that they spread over all slots.

A slot takes no more than its share, streams divided by slots. What nobody takes for GRACE_S it
takes all the same: another slot may lack the token. One that has at least two more than another
hands one back now and then, of those that lose nothing by it; X and Mastodon stay where they are
until their worker ends. Moments are seconds of a monotonic clock.
"""

from collections.abc import Sequence

from tweeter.store.shares import Shares

GRACE_S = 1.5
GIVE_EVERY_S = 5.0
UNEVEN_S = 10.0  # so long it must have been uneven: a worker that starts again is no reason
NOT_BACK_S = 3.5  # what was handed back is left to others for so long
KEPT_S = 600.0  # what nobody wanted is not handed back again for so long


class Balance:
    """A slot's memory of what was free, and of what it handed back."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._free_since: dict[int, float] = {}
        self._given_at: dict[int, float] = {}
        self._kept_at: dict[int, float] = {}
        self._uneven_since: float | None = None
        self._gave_at = -GIVE_EVERY_S

    def take(self, shares: Shares, now_s: float) -> list[int]:
        """The free streams to claim now."""
        self._free_since = {n: self._free_since.get(n, now_s) for n in shares.free}
        self._given_at = {n: at for n, at in self._given_at.items() if n in self._free_since}
        room = -(-shares.total // len(shares.held)) - shares.held[self._owner]
        chosen = []
        for stream_id in shares.free:
            waited_s = now_s - self._free_since[stream_id]
            if stream_id in self._given_at and len(shares.held) > 1:
                if waited_s >= NOT_BACK_S:
                    self._kept_at[stream_id] = now_s
                    del self._given_at[stream_id]
                    chosen.append(stream_id)
            elif len(chosen) < room or waited_s >= GRACE_S:
                chosen.append(stream_id)
        return chosen

    def give(self, shares: Shares, movable: Sequence[int], now_s: float) -> int | None:
        """The stream to hand back now, if any. movable: those of ours that lose nothing by it."""
        if shares.held[self._owner] - min(shares.held.values()) < 2:
            self._uneven_since = None
            return None
        if self._uneven_since is None:
            self._uneven_since = now_s
        if now_s - self._uneven_since < UNEVEN_S or now_s - self._gave_at < GIVE_EVERY_S:
            return None
        for stream_id in movable:
            if now_s - self._kept_at.get(stream_id, -KEPT_S) >= KEPT_S:
                self._gave_at = self._given_at[stream_id] = now_s
                return stream_id
        return None
