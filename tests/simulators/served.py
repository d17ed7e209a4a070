"""A simulator beside a test that is not asynchronous."""

from typing import Generic, TypeVar

from tests.simulators.threaded import Threaded

S = TypeVar("S")


class Served(Threaded, Generic[S]):
    """`with Served(make) as s`; s.it is the simulator, s.do(coroutine) runs there and waits."""

    def __init__(self, simulator: S) -> None:
        super().__init__()
        self.it = simulator

    async def start(self) -> None:
        await self.it.start()  # type: ignore[attr-defined]

    async def stop(self) -> None:
        await self.it.stop()  # type: ignore[attr-defined]
