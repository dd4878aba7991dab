"""An agent that speaks by pipecat's serializer for Twilio, unmodified: an echo that obeys digits.

Usage: pipecat_twilio.py REST_BASE TOKEN. Prints `port N`, then a line for what happens.
1 interrupts, 2 says half a minute of a tone at once, 3 asks for a mark, 9 hangs up by REST.
"""

import asyncio
import contextlib
import json
import math
import struct
import sys

import websockets
from pipecat.frames.frames import (
    EndFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
)
from pipecat.serializers.twilio import TwilioFrameSerializer

REST_BASE, TOKEN = sys.argv[1:3]


def tone(seconds):
    samples = (int(8000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(8000 * seconds))
    return b"".join(struct.pack("<h", sample) for sample in samples)


async def call(socket):
    connected = json.loads(await socket.recv())
    start = json.loads(await socket.recv())
    assert connected["event"] == "connected" and start["event"] == "start", (connected, start)
    about = start["start"]
    print("start", about["accountSid"], about["callSid"], flush=True)
    serializer = TwilioFrameSerializer(
        stream_sid=about["streamSid"],
        call_sid=about["callSid"],
        account_sid=about["accountSid"],
        auth_token=TOKEN,
        base_url=REST_BASE,
        params=TwilioFrameSerializer.InputParams(sample_rate=8000),
    )
    await serializer.setup(None)

    async def say(frame):
        message = await serializer.serialize(frame)
        if message is not None:
            # Whoever hung up meanwhile is read about below.
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.send(message)

    async for text in socket:
        event = json.loads(text)
        if event["event"] in ("mark", "stop"):
            print(event["event"], json.dumps(event[event["event"]]), flush=True)
        frame = await serializer.deserialize(text)
        if isinstance(frame, InputAudioRawFrame):
            await say(OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels))
        elif isinstance(frame, InputDTMFFrame):
            digit = frame.button.value
            print("digit", digit, flush=True)
            if digit == "1":
                await say(InterruptionFrame())
            elif digit == "2":
                await say(OutputAudioRawFrame(tone(30), 8000, 1))
            elif digit == "3":
                mark = {"event": "mark", "streamSid": about["streamSid"], "mark": {"name": "m"}}
                await say(OutputTransportMessageFrame(message=mark))
            elif digit == "9":
                await say(EndFrame())
    print("closed", flush=True)


async def main():
    async with websockets.serve(call, "127.0.0.1", 0) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
