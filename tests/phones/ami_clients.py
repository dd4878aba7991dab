"""Programs for Asterisk's manager interface, each written with one library as its documentation
shows, and none of them changed for Tipring.

    ami_clients.py LIBRARY PORT DEVICE SECRET

logs in, has DEVICE called at extension 600, follows its channel, and hangs it up when it is told
so by a line on standard input. Prints what it saw, one line each.
"""

import contextlib
import hashlib
import os
import sys
import threading


def say(*words):
    # In one piece: threads speak at once.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def told_to_go_on():
    sys.stdin.readline()


def key(challenge, secret):
    return hashlib.md5((challenge + secret).encode()).hexdigest()


def with_panoramisk(port, device, secret):
    import asyncio

    from panoramisk import Manager

    async def by_challenge():
        # Without a user of its own it logs in by actions.
        manager = Manager(host="127.0.0.1", port=port)
        await manager.connect()
        while manager.protocol is None:
            await asyncio.sleep(0.01)
        asked = await manager.send_action({"Action": "Challenge", "AuthType": "MD5"})
        answer = await manager.send_action({
            "Action": "Login", "AuthType": "MD5", "Username": "manager",
            "Key": key(asked.challenge, secret)})
        say("by challenge", answer.success)
        manager.close()

    async def run():
        await by_challenge()
        manager = Manager(host="127.0.0.1", port=port, username="manager", secret=secret)
        over = asyncio.Event()

        @manager.register_event("*")
        def seen(manager, event):
            say("event", event.event, event.channel or "-")
            if event.event == "Hangup":
                over.set()

        await manager.connect()
        while manager.authenticated_future is None and not manager.authenticated:
            await asyncio.sleep(0.01)
        if manager.authenticated_future is not None:
            await manager.authenticated_future
        say("login", manager.authenticated)
        answers = await manager.send_action({
            "Action": "Originate", "Channel": device, "Context": "default", "Exten": "600",
            "Priority": 1, "CallerID": "Panoramisk <301>", "Async": "true",
            "Variable": "who=panoramisk",
        })
        last = answers[-1]
        say("originate", last.event, last.response, last.reason)
        channel = last.channel
        value = await manager.send_action(
            {"Action": "Getvar", "Channel": channel, "Variable": "who"})
        say("variable", value.value)
        rows = await manager.send_action({"Action": "CoreShowChannels"})
        say("channels", len([row for row in rows if row.event == "CoreShowChannel"]))
        version = await manager.send_command("core show version")
        say("command", version.content.split("\n")[0] if version.content else version)
        await asyncio.get_running_loop().run_in_executor(None, told_to_go_on)
        answer = await manager.send_action({"Action": "Hangup", "Channel": channel})
        say("hangup", answer.response)
        await over.wait()
        manager.close()

    asyncio.run(run())


def with_pystrix(port, device, secret):
    import pystrix

    manager = pystrix.ami.Manager()
    manager.connect("127.0.0.1", port=port, timeout=1)
    say("in clear", manager.send_action(pystrix.ami.core.Login("manager", secret)).success)
    manager.disconnect()
    over, up = threading.Event(), threading.Event()
    seen = []

    def event(event, manager):
        say("event", event.name, event.get("Channel", "-"))
        if event.name == "OriginateResponse":
            seen.append(event)
            up.set()
        if event.name == "Hangup":
            over.set()

    manager.register_callback("", event)
    manager.connect("127.0.0.1", port=port, timeout=1)
    challenge = manager.send_action(pystrix.ami.core.Challenge())
    login = pystrix.ami.core.Login("manager", secret, challenge=challenge.result["Challenge"])
    assert "Key" in login and "Secret" not in login
    say("login", manager.send_action(login).success)
    manager.monitor_connection()
    order = pystrix.ami.core.Originate_Context(
        device, "default", "600", 1, callerid="Pystrix <301>", variables={"who": "pystrix"})
    say("queued", manager.send_action(order).success)
    up.wait()
    say("originate", seen[0].name, seen[0]["Response"], seen[0]["Reason"])
    channel = seen[0]["Channel"]
    value = manager.send_action(pystrix.ami.core.Getvar("who", channel))
    say("variable", value.result["Value"])
    say("ping", manager.send_action(pystrix.ami.core.Ping()).success)
    told_to_go_on()
    say("hangup", manager.send_action(pystrix.ami.core.Hangup(channel)).success)
    over.wait()
    manager.disconnect()


def log_off(manager):
    # pyst2's own thread closes the socket at the goodbye, often before its close() is done with it.
    with contextlib.suppress(ValueError):
        manager.close()


def with_pyst2(port, device, secret):
    from asterisk.manager import Manager

    manager = Manager()
    manager.connect("127.0.0.1", port)
    asked = manager.send_action({"Action": "Challenge", "AuthType": "MD5"}).headers["Challenge"]
    login = {"Action": "Login", "AuthType": "MD5", "Username": "manager",
             "Key": key(asked, secret)}
    say("by challenge", manager.send_action(login).headers["Response"])
    log_off(manager)
    manager = Manager()
    over, up = threading.Event(), threading.Event()
    seen = []

    def event(event, manager):
        say("event", event.name, event.headers.get("Channel", "-"))
        if event.name == "OriginateResponse":
            seen.append(event)
            up.set()
        if event.name == "Hangup":
            over.set()

    manager.register_event("*", event)
    manager.connect("127.0.0.1", port)
    say("title", manager.title, manager.version)
    say("login", manager.login("manager", secret).headers["Response"])
    answer = manager.originate(
        device, exten="600", context="default", priority="1", caller_id="Pyst <301>",
        run_async=True, variables={"who": "pyst2"})
    say("queued", answer.headers["Response"])
    up.wait()
    channel = seen[0].headers["Channel"]
    say("originate", seen[0].name, seen[0].headers["Response"], seen[0].headers["Reason"])
    value = manager.send_action({"Action": "Getvar", "Channel": channel, "Variable": "who"})
    say("variable", value.headers["Value"])
    say("status", manager.status().headers["Response"])
    say("command", manager.command("core show version").data.split("\n")[0])
    say("ping", manager.ping().headers["Response"])
    told_to_go_on()
    say("hangup", manager.hangup(channel).headers["Response"])
    over.wait()
    log_off(manager)


if __name__ == "__main__":
    library, port, device, secret = sys.argv[1:5]
    {"panoramisk": with_panoramisk, "pystrix": with_pystrix, "pyst2": with_pyst2}[library](
        int(port), device, secret)
    say("over")
    # Threads of pystrix would go on for seconds.
    os._exit(0)
