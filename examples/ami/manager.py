"""A client of the manager interface: actions, events, channels, and commands for channels that are
in AsyncAGI. The standard library is all it needs.

It is strict: what is not as Asterisk 1.8 to 11 writes it ends the connection with a `ProtocolError`.
"""

import argparse
import asyncio
import collections
import contextlib
import hashlib
import re
import sys
import traceback
import urllib.parse
import uuid


# Of OriginateResponse.
REASONS = {
    0: "cannot be reached: is it registered?", 1: "hung up", 3: "did not answer", 5: "is busy",
    8: "is congested",
}


class ProtocolError(Exception):
    """The other side wrote what is no AMI."""


class Refused(Exception):
    """An action or a command was answered by an error."""


class HungUp(Exception):
    """The channel is over."""


class Message(dict):
    """Headers by their names in lower case; one that is missing is empty."""

    def __missing__(self, name):
        return ""


class Channel:
    """A channel, from its Newchannel to its Hangup."""

    def __init__(self, manager, told):
        self.manager = manager
        self.name = told["channel"]
        self.state = int(told["channelstate"])
        self.caller = (told["calleridnum"], told["calleridname"])
        self.place = ("", "", 0)
        self.variables = {}
        self.environment = None
        self.peer = None
        self.over = False
        self._digits = collections.deque()
        self._waiting = {}
        self._digit_comes = None

    def queue(self, command):
        """Adds a command to those that the channel carries out one after the other; gives the
        future of its result, such as `"0"` or `"1 (value)"`."""
        future = asyncio.get_running_loop().create_future()
        if self.over:
            future.set_exception(HungUp(self.name))
            return future
        command_id = str(uuid.uuid4())
        self._waiting[command_id] = future
        added = self.manager.act("AGI", channel=self.name, command=command, commandid=command_id)

        def not_added(answer):
            if not answer.cancelled() and answer.exception() and not future.done():
                future.set_exception(HungUp(self.name) if self.over else answer.exception())

        added.add_done_callback(not_added)
        return future

    async def agi(self, command):
        """Has the channel carry out a command; gives its result."""
        return await self.queue(command)

    def forget_digits(self):
        """Digits that were pressed until now are nobody's."""
        self._digits.clear()

    async def digits(self, count, until="#", patience=8.0, pause=4.0):
        """Digits that were pressed, and those that will be: `count` of them, or fewer before one of
        `until`. `patience` and `pause` are how long the first and any further may take, in s."""
        found = ""
        while len(found) < count:
            digit = await self._next_digit(pause if found else patience)
            if digit is None or digit in until:
                break
            found += digit
        return found

    async def _next_digit(self, time):
        if not self._digits:
            if self.over:
                raise HungUp(self.name)
            self._digit_comes = asyncio.get_running_loop().create_future()
            try:
                await asyncio.wait_for(self._digit_comes, time)
            except asyncio.TimeoutError:
                return None
            finally:
                self._digit_comes = None
        return self._digits.popleft()

    def _told(self, event, told):
        if event == "newstate":
            self.state = int(told["channelstate"])
        elif event == "newcallerid":
            self.caller = (told["calleridnum"], told["calleridname"])
        elif event == "varset":
            self.variables[told["variable"]] = told["value"]
        elif event == "newexten":
            self.place = (told["context"], told["extension"], int(told["priority"]))
        elif event == "dtmf" and told["end"] == "Yes" and told["direction"] == "Received":
            self._digits.append(told["digit"])
            if self._digit_comes and not self._digit_comes.done():
                self._digit_comes.set_result(None)
        elif event == "asyncagi":
            self._told_of_agi(told)
        elif event == "rename":
            self.name = told["newname"]
        elif event == "hangup":
            int(told["cause"])
            self.over = True
            waiting = [*self._waiting.values(), self._digit_comes]
            for future in waiting:
                if future and not future.done():
                    future.set_exception(HungUp(self.name))
                    # Whoever queued it may have left.
                    future.exception()

    def _told_of_agi(self, told):
        if told["subevent"] == "Start":
            text = urllib.parse.unquote(told["env"])
            if not text.endswith("\n\n"):
                raise ProtocolError(f"an environment without an end: {text!r}")
            pairs = [line.split(": ") for line in text[:-2].split("\n")]
            if any(len(pair) != 2 for pair in pairs):
                raise ProtocolError(f"an environment that is none: {text!r}")
            self.environment = dict(pairs)
            self.manager._commands(self)
        elif told["subevent"] == "Exec":
            future = self._waiting.pop(told["commandid"], None)
            if future is None or future.done():
                return
            result = urllib.parse.unquote(told["result"])
            found = re.match(r"200 result=(.*)\n$", result)
            if found:
                future.set_result(found[1])
            else:
                future.set_exception(Refused(result.strip()))
        elif told["subevent"] == "End":
            self.environment = None


class Manager:
    """A connection that is logged in."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._answers = {}
        self._responses = {}
        self._handlers = []
        self._ours = {}
        self._tasks = set()
        self.channels = {}
        self.on_event = lambda message: None

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, host, port, user, secret):
        """Connects and logs in; by MD5, so that the secret is not sent."""
        reader, writer = await asyncio.open_connection(host, port)
        banner = await reader.readline()
        if not re.fullmatch(rb"Asterisk Call Manager/[0-9.]+\r\n", banner):
            raise ProtocolError(f"no banner: {banner!r}")
        manager = cls(reader, writer)
        manager.reading = asyncio.ensure_future(manager._read())
        try:
            challenge = (await manager.act("Challenge", authtype="MD5"))["challenge"]
            key = hashlib.md5((challenge + secret).encode()).hexdigest()
            await manager.act("Login", authtype="MD5", username=user, key=key)
            yield manager
        finally:
            manager.reading.cancel()
            for task in manager._tasks:
                task.cancel()
            writer.close()

    def act(self, action, **headers):
        """Sends an action; gives the future of its answer."""
        action_id = str(uuid.uuid4())
        # Any order will do.
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        lines += [f"actionid: {action_id}\r\n", f"action: {action}\r\n", "\r\n"]
        future = asyncio.get_running_loop().create_future()
        self._answers[action_id] = future
        self._writer.write("".join(lines).encode())
        future.action_id = action_id
        return future

    def serve(self, extension, handler):
        """Has `handler(channel)` run for each channel that `AGI(agi:async)` of `extension` hands
        over."""
        self._handlers.append((extension, handler))

    async def originate(self, device, caller="Caller <301>"):
        """Calls `device`; gives its channel when it has answered and takes commands."""
        ours = str(uuid.uuid4())
        commands = asyncio.get_running_loop().create_future()
        self._ours[ours] = commands
        answer = self.act(
            "Originate", channel=device, application="AGI", data="agi:async",
            variable=f"AsyncOrigId={ours}", callerid=caller, **{"async": "true"})
        response = asyncio.get_running_loop().create_future()
        self._responses[answer.action_id] = response
        await answer
        told = await response
        if told["response"] != "Success":
            reason = int(told["reason"])
            said = REASONS.get(reason, "failed")
            raise Refused(f"{device} {said} ({told['response']}, reason {reason})")
        return await commands

    async def for_ever(self):
        """Until the connection ends."""
        await self.reading

    async def _read(self):
        try:
            while True:
                message = await self._message()
                if "event" in message:
                    self._event(message)
                else:
                    self._response(message)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the other side has closed the connection") from error

    async def _message(self):
        message = Message(output=[])
        while True:
            line = (await self._reader.readuntil(b"\r\n")).decode()[:-2]
            if not line:
                if len(message) == 1:
                    raise ProtocolError("an empty message")
                return message
            name, colon, value = line.partition(":")
            if not colon:
                raise ProtocolError(f"a line without a colon: {line!r}")
            if name.lower() == "output":
                message["output"].append(value.strip())
            message[name.lower()] = message["output"] if name.lower() == "output" else value.strip()
            if name.lower() == "response" and value.strip() == "Follows":
                body = await self._reader.readuntil(b"--END COMMAND--\r\n")
                message["body"] = body.decode()

    def _response(self, message):
        if message["response"] not in ("Success", "Error", "Follows"):
            raise ProtocolError(f"a response that is none: {message}")
        future = self._answers.pop(message["actionid"], None)
        if future is None:
            raise ProtocolError(f"an answer to nothing: {message}")
        if future.done():
            return
        if message["response"] == "Error":
            future.set_exception(Refused(message["message"]))
        else:
            future.set_result(message)

    def _event(self, message):
        event = message["event"].lower()
        if event == "newchannel":
            self.channels[message["channel"]] = Channel(self, message)
        elif event == "originateresponse":
            future = self._responses.pop(message["actionid"], None)
            if future is None:
                raise ProtocolError(f"somebody else's response: {message}")
            future.set_result(message)
        elif event in ("link", "unlink"):
            first, second = (self.channels.get(message[f"channel{n}"]) for n in (1, 2))
            if first and second:
                together = event == "link"
                first.peer, second.peer = (second, first) if together else (None, None)
        # A channel that was there before us is not known.
        channel = self.channels.get(message["channel"] or message["oldname"])
        if channel:
            channel._told(event, message)
        self.on_event(message)
        if event == "rename" and channel:
            self.channels[channel.name] = self.channels.pop(message["oldname"] or message["channel"])
        elif event == "hangup":
            self.channels.pop(message["channel"], None)

    def _commands(self, channel):
        """A channel takes commands from now on."""
        ours = self._ours.pop(channel.variables.get("AsyncOrigId"), None)
        if ours:
            ours.set_result(channel)
            return
        for extension, handler in self._handlers:
            if channel.environment["agi_extension"] == extension:
                task = asyncio.ensure_future(self._run(handler, channel))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return

    async def _run(self, handler, channel):
        try:
            await handler(channel)
        except HungUp:
            print(f"{channel.name}: hung up", flush=True)
        except Exception:
            traceback.print_exc()
            # The dial plan goes on.
            with contextlib.suppress(Refused, HungUp):
                await channel.agi("ASYNCAGI BREAK")


def arguments(description):
    """What every program here is told: where the manager interface is, and who it is there."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5038)
    parser.add_argument("--user", default="manager")
    parser.add_argument("--secret", default="secret")
    return parser


def run(program, given):
    """Runs `program(manager, given)` on a connection, until it ends or Ctrl-C."""

    async def connected():
        async with Manager.connect(given.host, given.port, given.user, given.secret) as manager:
            await program(manager, given)

    try:
        asyncio.run(connected())
    except KeyboardInterrupt:
        pass
    except (OSError, Refused, ProtocolError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def serve(description, handler):
    """A whole program: `handler(channel)` for whoever dials an extension in AsyncAGI."""
    parser = arguments(description)
    parser.add_argument("--extension", default="403", help="the one in AsyncAGI mode (403)")

    async def program(manager, given):
        manager.serve(given.extension, handler)
        print(f"calls to {given.extension} are answered", flush=True)
        await manager.for_ever()

    run(program, parser.parse_args())
