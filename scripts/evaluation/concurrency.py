"""Several places at once, so that the engine can batch them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

Item = TypeVar("Item")
Result = TypeVar("Result")


async def each(items: Sequence[Item], work: Callable[[Item], Awaitable[Result]], at_once: int = 4) -> list[Result]:
    """The results of ``work`` on each item, a few at a time so that the engine can batch them."""
    results: dict[int, Result] = {}
    limit = anyio.Semaphore(at_once)

    async def run(index: int, item: Item) -> None:
        async with limit:
            results[index] = await work(item)

    async with anyio.create_task_group() as group:
        for index, item in enumerate(items):
            group.start_soon(run, index, item)
    return [results[index] for index in range(len(items))]
