"""Follows every channel from its beginning to its end: state, caller, place in the dial plan,
variables, and whom it talks with. Prints a line for each change."""

import manager

DESCRIPTION = __doc__
STATES = {0: "down", 4: "calls", 5: "rings", 6: "up"}


async def program(connection, given):
    def told(message):
        channel = connection.channels.get(message["channel1"] or message["channel"])
        if message["event"] == "Hangup":
            print(message["channel"], "over:", message["cause-txt"], flush=True)
        elif channel:
            context, extension, priority = channel.place
            variables = " ".join(f"{name}={value}" for name, value in channel.variables.items())
            print(
                channel.name, STATES.get(channel.state, channel.state),
                f"caller {channel.caller[0]}", f"at {extension}@{context},{priority}",
                f"with {channel.peer.name if channel.peer else 'nobody'}", f"[{variables}]",
                flush=True)

    connection.on_event = told
    print("channels are watched", flush=True)
    await connection.for_ever()


if __name__ == "__main__":
    manager.run(program, manager.arguments(DESCRIPTION).parse_args())
