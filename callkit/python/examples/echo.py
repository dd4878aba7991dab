"""Records two seconds after the tone and plays them back, until the caller hangs up or presses *."""

import asyncio

import voip


async def parrot(call):
    while True:
        await call.playTone(1000, 0.2)
        await call.playPCM(await call.recordPCM(maxlen=2 * 8000))


async def handler(call):
    repeats = asyncio.ensure_future(parrot(call))
    await call.getDTMF(filter="*")
    repeats.cancel()


if __name__ == "__main__":
    voip.runVoipClient(handler)
