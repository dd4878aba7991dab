"""Calls a phone, says `hello-world` when it is lifted, and hangs up."""

import manager
from hello import hello

DESCRIPTION = __doc__


async def program(connection, given):
    channel = await connection.originate(given.device)
    print(given.device, "has answered", flush=True)
    try:
        await hello(channel)
    except manager.HungUp:
        print("it hung up early", flush=True)


if __name__ == "__main__":
    parser = manager.arguments(DESCRIPTION)
    parser.add_argument("device", nargs="?", default="SIP/201", help="as SIP/201 (the default)")
    manager.run(program, parser.parse_args())
