"""Prints every event as it comes."""

import manager

DESCRIPTION = __doc__


async def program(connection, given):
    def told(message):
        headers = (f"{name}={value}" for name, value in message.items() if value)
        print(*headers, flush=True)

    connection.on_event = told
    print("events are watched", flush=True)
    await connection.for_ever()


if __name__ == "__main__":
    manager.run(program, manager.arguments(DESCRIPTION).parse_args())
