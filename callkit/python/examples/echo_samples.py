"""Gives back each sample half a second later."""

import asyncio
import collections

import voip

DELAY = 4000


async def handler(call):
    waiting = collections.deque([0.0] * DELAY)
    call.recordCustom(waiting.append)
    call.playCustom(lambda t, delta: waiting.popleft() if waiting else 0.0)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    voip.runVoipClient(handler)
