"""Answers, says `hello-world`, and hangs up."""

import manager


async def hello(channel):
    print("call on", channel.name, "from", channel.environment["agi_callerid"], flush=True)
    await channel.agi("ANSWER")
    await channel.agi("EXEC Playback hello-world")
    await channel.agi("HANGUP")


if __name__ == "__main__":
    manager.serve(__doc__, hello)
