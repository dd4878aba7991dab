"""An echo by the transports of asterisk-ai-voice-agent, unmodified: AudioSocket and chan_websocket.

Usage: asterisk_voice_agent.py audiosocket|websocket. Prints `port N`, then a line for what happens. The
second call is left by the agent, after a second.
"""

import asyncio
import itertools
import sys

import websockets
from asterisk_ai_voice_agent.transport import AudioSocketTransport, WebSocketTransport

LEFT_AFTER = 50
"""Frames of the second call."""

numbers = itertools.count(1)


async def talk(transport):
    number = next(numbers)
    print(f"call {number}", await transport.handshake(), flush=True)
    heard = asyncio.Queue()

    async def chunks():
        while True:
            yield await heard.get()

    playing = asyncio.ensure_future(transport.play(chunks(), lambda: False))
    frames = 0
    while (piece := await transport.read_audio()) is not None:
        if piece:
            heard.put_nowait(piece)
            frames += 1
        if number == 2 and frames == LEFT_AFTER:
            break
    print(f"over {number}", frames, flush=True)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    await transport.close()


async def main():
    if sys.argv[1] == "audiosocket":

        async def connected(reader, writer):
            await talk(AudioSocketTransport(reader, writer))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
    else:

        async def opened(socket):
            await talk(WebSocketTransport(socket))

        server = await websockets.serve(opened, "127.0.0.1", 0, subprotocols=["media"])
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


asyncio.run(main())
