"""Handlers that serve one caller at a time."""

import functools
import os

from .pcm import loadWAVtoPCM

BUSY = "assets/experiment_busy.wav"


def one_at_a_time(handler):
    """While `handler` serves somebody, others hear assets/experiment_busy.wav, or a busy tone."""
    busy = False

    @functools.wraps(handler)
    async def alone(call):
        nonlocal busy
        if busy:
            if os.path.exists(BUSY):
                await call.playPCM(loadWAVtoPCM(BUSY))
            else:
                for _ in range(4):
                    await call.playPCM([0.0] * 4000)
                    await call.playTone(425, 0.5)
            return None
        busy = True
        try:
            return await handler(call)
        finally:
            busy = False

    return alone
