"""Programs for AGI, each written with one library as its documentation shows, and none of them
changed for Tipring.

    agi_clients.py LIBRARY async PORT SECRET     commands whoever dials 403, over the manager's port
    agi_clients.py LIBRARY modern PORT SECRET    the same by the events of Asterisk 12 and later
    agi_clients.py LIBRARY fast                  listens for FastAGI, and prints its port
    agi_clients.py LIBRARY local                 is a script: commands on standard output

Each holds the same dialogue: plays `hello-world`, reads three digits, says them, hangs up. Prints
what it read, one line a call.
"""

import os
import sys
import threading


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def panoramisk_async(port, secret):
    import asyncio
    import urllib.parse

    from panoramisk import Manager

    async def run():
        manager = Manager(host="127.0.0.1", port=port, username="manager", secret=secret)

        async def dialogue(channel):
            async def agi(command):
                answer = await manager.send_agi_command(channel, command)
                last = answer[-1] if isinstance(answer, list) else answer
                return urllib.parse.unquote(last.result).strip()

            say("answer", await agi("ANSWER"))
            say("play", await agi("EXEC Playback hello-world"))
            digits = await agi("GET DATA beep 5000 3")
            say("digits", digits.partition("=")[2])
            await agi(f'SAY DIGITS {digits.partition("=")[2]} ""')
            say("hangup", await agi("HANGUP"))

        @manager.register_event("AsyncAGI")
        def started(manager, event):
            if event.subevent == "Start":
                asyncio.ensure_future(dialogue(event.channel))

        await manager.connect()
        while not manager.authenticated:
            await asyncio.sleep(0.01)
        say("ready")
        await asyncio.Event().wait()

    asyncio.run(run())


def panoramisk_modern(port, secret):
    """Its own helper knows the earlier events only: commands and results are put together here."""
    import asyncio
    import urllib.parse
    import uuid

    from panoramisk import Manager

    async def run():
        manager = Manager(host="127.0.0.1", port=port, username="modern", secret=secret)
        results = {}

        async def dialogue(channel):
            async def agi(command):
                command_id = str(uuid.uuid4())
                results[command_id] = asyncio.get_running_loop().create_future()
                answer = await manager.send_action(
                    {"Action": "AGI", "Channel": channel, "Command": command,
                     "CommandID": command_id}, as_list=False)
                assert answer.success, answer
                return await results[command_id]

            say("answer", await agi("ANSWER"))
            say("play", await agi("EXEC Playback hello-world"))
            digits = (await agi("GET DATA beep 5000 3")).partition("=")[2]
            say("digits", digits)
            await agi(f'SAY DIGITS {digits} ""')
            say("hangup", await agi("HANGUP"))

        @manager.register_event("*")
        def seen(manager, event):
            say("event", event.event, event.channelstatedesc or "-", event.linkedid or "-")
            if event.event == "AsyncAGIStart":
                asyncio.ensure_future(dialogue(event.channel))
            if event.event == "AsyncAGIExec":
                result = urllib.parse.unquote(event.result).strip()
                results.pop(event.commandid).set_result(result)

        await manager.connect()
        while not manager.authenticated:
            await asyncio.sleep(0.01)
        say("ready")
        await asyncio.Event().wait()

    asyncio.run(run())


def panoramisk_fast():
    import asyncio

    from panoramisk import fast_agi

    async def dialogue(request):
        agi = request.send_command
        say("from", request.headers["agi_callerid"])
        say("answer", (await agi("ANSWER"))["result"][0])
        say("play", (await agi("EXEC Playback hello-world"))["result"][0])
        digits = (await agi("GET DATA beep 5000 3"))["result"][0]
        say("digits", digits)
        await agi(f'SAY DIGITS {digits} ""')
        say("hangup", (await agi("HANGUP"))["result"][0])

    async def run():
        application = fast_agi.Application(loop=asyncio.get_running_loop())
        # As the plan has it, query included.
        application.add_route("dialogue?x=1", dialogue)
        server = await asyncio.start_server(application.handler, "127.0.0.1", 0)
        say("port", server.sockets[0].getsockname()[1], "|")
        await server.serve_forever()

    asyncio.run(run())


def pystrix_async(port, secret):
    import urllib.parse

    import pystrix

    manager = pystrix.ami.Manager()

    def dialogue(channel):
        def agi(command):
            request = pystrix.ami.core.AGI(channel, command)
            request.synchronous = True
            # Who is to press digits may take longer than the library's five seconds.
            request.timeout = 20
            answer = manager.send_action(request)
            event = answer.events[pystrix.ami.core_events.AsyncAGI]
            return urllib.parse.unquote(event["Result"]).strip()

        say("answer", agi("ANSWER"))
        say("play", agi("EXEC Playback hello-world"))
        digits = agi("GET DATA beep 5000 3").partition("=")[2]
        say("digits", digits)
        agi(f'SAY DIGITS {digits} ""')
        say("hangup", agi("HANGUP"))

    def started(event, manager):
        if event["SubEvent"] == "Start":
            threading.Thread(target=dialogue, args=(event["Channel"],), daemon=True).start()

    manager.register_callback("AsyncAGI", started)
    manager.connect("127.0.0.1", port=port, timeout=30)
    challenge = manager.send_action(pystrix.ami.core.Challenge()).result["Challenge"]
    manager.send_action(pystrix.ami.core.Login("manager", secret, challenge=challenge))
    manager.monitor_connection()
    say("ready")
    threading.Event().wait()


def pystrix_dialogue(agi):
    from pystrix.agi import agi_core, core

    say("from", agi.get_environment()["agi_callerid"])
    agi.execute(core.Answer())
    agi.execute(core.SetVariable("OWN", "a value"))
    say("variable", agi.execute(core.GetVariable("OWN")))
    try:
        agi.execute(agi_core._Action("ANSWER now"))
    except agi_core.AGIUsageError:
        say("usage")
    agi.execute(core.StreamFile("hello-world"))
    digits, timeout = agi.execute(core.GetData("beep", 5000, 3))
    say("digits", digits)
    agi.execute(core.SayDigits(digits))
    agi.execute(core.Hangup())
    say("hangup 1")


def pystrix_fast():
    import pystrix

    server = pystrix.agi.FastAGIServer(port=0)
    server.register_script_handler(
        "dialogue", lambda agi, args, kwargs, match, path: pystrix_dialogue(agi))
    say("port", server.server_address[1], "|")
    server.serve_forever()


def pyst2_dialogue(agi, say=say):
    say("from", agi.env["agi_callerid"])
    agi.answer()
    agi.set_variable("OWN", "a value")
    say("variable", agi.get_variable("OWN"))
    agi.stream_file("hello-world")
    digits = agi.get_data("beep", 5000, 3)
    say("digits", digits)
    agi.say_digits(digits)
    agi.hangup()
    say("hangup 1")


def pyst2_fast():
    import socket

    from asterisk.agi import AGI

    with socket.create_server(("127.0.0.1", 0)) as listener:
        say("port", listener.getsockname()[1], "|")
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("r") as told, connection.makefile("w") as asks:
                pyst2_dialogue(AGI(told, asks, open(os.devnull, "w")))


def pyst2_local():
    from asterisk.agi import AGI

    def complain(*words):
        sys.stderr.write(" ".join(map(str, words)) + "\n")

    pyst2_dialogue(AGI(stderr=open(os.devnull, "w")), complain)


if __name__ == "__main__":
    library, way, *more = sys.argv[1:]
    globals()[f"{library}_{way}"](*(int(word) if word.isdigit() else word for word in more))
