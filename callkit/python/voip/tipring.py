"""Calls from a running Tipring, with QUECEY_VOIP_REAL in the environment.

TIPRING_URL says where it is (http://127.0.0.1:8000), TIPRING_TOKEN is a token where it wants one,
TIPRING_EXTENSION the number that is answered (700).
"""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.parse

from .call import Call, CallError, attend
from .pcm import FRAME, RATE, from_octets, to_octets
from .server import Server, reason
from .websocket import Closed, Refused

MAX_CALLS = 10
FRAME_S = FRAME / RATE
AHEAD_S = 0.08
"""How much is sent before it is due. What is cancelled is heard for so long."""
AGAIN_S = 1


class TipringCall(Call):
    """A call that reached our number."""

    def __init__(self, server, number, call_id, line, uri):
        super().__init__(uri)
        self._server = server
        self._application = f"app:{number}"
        self.call_id = call_id
        self.line = line
        self.ours = True
        self._socket = None
        self._sent_until = 0.0
        self._marks = {}

    async def transfer(self, number):
        self.ours = False
        try:
            body = {"to": str(number)}
            await self._server.ask("POST", f"/v1/calls/{self.call_id}/transfer", body)
        except CallError:
            self.ours = True
            raise

    async def heard(self):
        if self._socket is None or not self.ours or self._sent_until == 0.0:
            return
        name = f"heard {len(self._marks)}"
        answered = self._marks[name] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(json.dumps({"type": "mark", "name": name}))
            await answered
        except Closed:
            pass

    async def end(self):
        """Hangs up, unless somebody has."""
        if self.ours:
            self.ours = False
            try:
                await self._server.ask("DELETE", f"/v1/calls/{self.call_id}")
            except CallError:
                pass  # it is over

    async def carry(self, opened):
        """Carries sound until the line's audio ends; sets `opened` when there is some."""
        self._socket = await self._server.socket(f"/v1/lines/{self.line}/audio?direction=rx")
        feeding = asyncio.ensure_future(self._feed())
        try:
            opened.set_result(True)
            while True:
                message = await self._socket.receive()
                if isinstance(message, bytes):
                    self._mixer.hear(from_octets(message))
                    await self._fill()
                else:
                    self._noted(json.loads(message))
        except Closed:
            pass
        finally:
            feeding.cancel()
            self._socket.close()

    def _noted(self, note):
        if note["type"] == "lost":
            # Recordings keep their length.
            self._mixer.hear([0.0] * (FRAME * note["frames"]))
        elif note["type"] == "queue":
            # What really waits: two clocks go apart, and a busy machine leaves gaps.
            self._sent_until = time.monotonic() + note["queued_ms"] / 1000
        elif note["type"] == "mark" and note["name"] in self._marks:
            answered = self._marks[note["name"]]
            if not answered.done():
                answered.set_result(True)

    async def _feed(self):
        try:
            while True:
                await self._fill()
                await asyncio.sleep(FRAME_S / 2)
        except Closed:
            pass

    async def _fill(self):
        """Sends what is played, so far ahead that it arrives in time."""
        now = time.monotonic()
        self._sent_until = max(self._sent_until, now)
        while self._mixer.plays and self._sent_until < now + AHEAD_S:
            self._sent_until += FRAME_S
            pcm = self._mixer.speak(FRAME)
            # Of a call in other hands the handler is not heard any more.
            if self.ours:
                await self._socket.send(to_octets(pcm))


class Answerer:
    """Answers a number: runs a handler for each call to it."""

    def __init__(self, server, number, handler):
        self._server = server
        self._number = number
        self._handler = handler
        self._calls = {}
        self._tasks = {}

    async def stay(self):
        """Answers for as long as the connection lasts, and again after it was lost."""
        path = f"/v1/applications/{urllib.parse.quote(self._number)}?max_calls={MAX_CALLS}"
        ever = False
        while True:
            try:
                socket = await self._server.socket(path)
            except Refused as refused:
                # After a lost connection the old one may still hold the number.
                if not ever:
                    why = reason(refused.status, refused.body)
                    raise SystemExit(f"{self._number} cannot be answered: {why}") from refused
            except OSError as error:
                if not ever:
                    raise SystemExit(f"no Tipring at {self._server.url}: {error}") from error
            else:
                ever = True
                await self._answer(socket)
                print(f"connection to {self._server.url} lost; trying again", flush=True)
            await asyncio.sleep(AGAIN_S)

    async def _answer(self, socket):
        try:
            while True:
                self._take(json.loads(await socket.receive()))
        except Closed:
            pass
        finally:
            socket.close()
            await self._cancel_all()

    def _take(self, event):
        kind, call_id = event["type"], event.get("call_id")
        if kind == "claimed":
            print(f"calls to {self._number} are answered", flush=True)
        elif kind == "dtmf" and call_id in self._calls:
            self._calls[call_id]._digits.press(event["digit"])
        elif kind == "lagged":
            print(f"{event['missed']} events were missed", file=sys.stderr)
        elif "call" in event:
            here = event["call"]["to"] == f"app:{self._number}"
            if kind == "call_connected" and here and call_id not in self._tasks:
                line = next(leg["line"] for leg in event["call"]["legs"] if leg["line"])
                task = asyncio.ensure_future(self._serve(call_id, line))
                self._tasks[call_id] = task
                task.add_done_callback(lambda _: self._tasks.pop(call_id, None))
            elif kind == "call_ended" or not here:
                self._lose(call_id)

    def _lose(self, call_id):
        """The caller hung up, or the call is in other hands."""
        call, task = self._calls.get(call_id), self._tasks.get(call_id)
        # A handler that transferred its call goes on to its end.
        if task is not None and (call is None or call.ours):
            if call is not None:
                call.ours = False
            task.cancel()

    async def _serve(self, call_id, line):
        uri = await self._uri(line)
        call = TipringCall(self._server, self._number, call_id, line, uri)
        self._calls[call_id] = call
        opened = asyncio.get_running_loop().create_future()
        sound = asyncio.ensure_future(call.carry(opened))
        try:
            await asyncio.wait({sound, opened}, return_when=asyncio.FIRST_COMPLETED)
            if opened.done():
                await self._attend(call, sound)
        finally:
            opened.cancel()
            sound.cancel()
            (failed,) = await asyncio.gather(sound, return_exceptions=True)
            if isinstance(failed, Exception):
                print(f"no sound of line {line}: {failed}", file=sys.stderr)
            self._calls.pop(call_id, None)
            await call.end()

    async def _attend(self, call, sound):
        """Runs the handler until it ends or there is no more sound."""
        talk = asyncio.ensure_future(attend(self._handler, call))
        try:
            await asyncio.wait({talk, sound}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)

    async def _uri(self, line):
        try:
            shown = await self._server.ask("GET", f"/v1/lines/{urllib.parse.quote(line)}")
        except CallError:
            shown = {}
        name = str(shown.get("name") or line).replace('"', "'")
        return f'"{name}" <sip:{shown.get("extension") or line}@{self._server.host}>'

    async def _cancel_all(self):
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def serve(handler):
    """Runs `handler` for each call, until Ctrl-C."""
    number = os.environ.get("TIPRING_EXTENSION", "700")
    try:
        asyncio.run(_until_interrupted(Answerer(Server(), number, handler)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass


async def _until_interrupted(answerer):
    task = asyncio.current_task()
    for name in (signal.SIGINT, signal.SIGTERM):
        try:
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        except (NotImplementedError, RuntimeError):
            pass  # not the main thread, or no such thing on this system
    await answerer.stay()
