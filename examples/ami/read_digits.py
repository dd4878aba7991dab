"""Beeps, reads five digits, or fewer that end with #, and speaks them back."""

import manager

NAMES = {"#": "pound", "*": "star"}


async def read_digits(channel):
    channel.forget_digits()
    await channel.agi("EXEC Playback beep")
    digits = await channel.digits(5)
    print("digits", digits, flush=True)
    # All of them at once: the channel says one after the other.
    said = [channel.queue(f"EXEC Playback digits/{NAMES.get(digit, digit)}") for digit in digits]
    for each in said:
        await each
    await channel.agi("HANGUP")


if __name__ == "__main__":
    manager.serve(__doc__, read_digits)
