"""A menu behind a passcode: three tries, then 1 connects with another phone and 2 hangs up. A digit
interrupts any prompt, and is the first digit of the answer."""

import manager

PASSCODE = "1234"
TRIES = 3
MENU = (
    "silence/1&vm-press&digits/1&dir-multi2&pbx-transfer"
    "&silence/1&vm-press&digits/2&dir-multi2&vm-goodbye"
)


async def ask(channel, prompts, count, until="#"):
    """What is pressed during or after the prompts."""
    channel.forget_digits()
    # One behind the other, without waiting for the first.
    queued = [channel.queue(f"EXEC {application} {files}") for application, files in prompts]
    for each in queued:
        await each
    return await channel.digits(count, until)


async def is_let_in(channel):
    for _ in range(TRIES):
        prompts = [("Playback", "silence/1"), ("Background", "agent-pass")]
        if await ask(channel, prompts, 10) == PASSCODE:
            await channel.agi("EXEC Playback auth-thankyou")
            return True
        await channel.agi("EXEC Playback auth-incorrect")
    return False


async def transfer(channel):
    number = await ask(channel, [("Background", "vm-enter-num-to-call")], 3)
    print("transfer to", number, flush=True)
    await channel.agi("EXEC Playback transfer")
    result = await channel.agi(f"EXEC Dial SIP/{number}")
    print("transferred, result", result, flush=True)
    await channel.agi("EXEC Playback followme/sorry")


async def menu(channel):
    if await is_let_in(channel):
        for _ in range(TRIES):
            choice = await ask(channel, [("Background", MENU)], 1, "")
            print("choice", choice or "none", flush=True)
            if choice == "1":
                await transfer(channel)
            if choice in ("1", "2"):
                break
            await channel.agi("EXEC Playback confbridge-invalid")
    await channel.agi("EXEC Playback demo-thanks")
    await channel.agi("HANGUP")


if __name__ == "__main__":
    manager.serve(__doc__, menu)
