"""The default: one call on a telephone that is simulated in this program.

The keyboard is the keypad: 0-9, * and # are pressed, `h` hangs up, a comma waits half a second. Keys
that come faster than a finger presses them, as from a file, are spread. The first argument of the
program is the caller's number.
"""

import asyncio
import os
import signal
import sys

from .call import Call, attend
from .handset import open_handset
from .pcm import FRAME, RATE

KEYS = "0123456789*#"
PAUSE_S = 0.5
KEY_S = 0.1
FRAME_S = FRAME / RATE


class SimulatedCall(Call):
    """The call of the simulated telephone."""

    def __init__(self, number):
        super().__init__(f'"FAKE CALLER" <sip:{number}@127.0.0.1>')
        self.transferred = None

    async def transfer(self, number):
        print(f"[transferred to {number}: the simulated telephone is alone, so the call ends]")
        self.transferred = str(number)

    async def heard(self):
        # What a frame took was written when the next one began.
        await asyncio.sleep(2 * FRAME_S)


def serve(handler):
    """Runs `handler` for one call; returns when it is over."""
    number = sys.argv[1] if len(sys.argv) > 1 else "5556667777"
    try:
        asyncio.run(_one_call(handler, SimulatedCall(number)))
    except KeyboardInterrupt:
        pass


async def _one_call(handler, call):
    loop = asyncio.get_running_loop()
    handset = await open_handset()
    talk = asyncio.ensure_future(attend(handler, call))
    try:
        loop.add_signal_handler(signal.SIGINT, talk.cancel)
    except (NotImplementedError, RuntimeError):
        pass  # not the main thread, or no such thing on this system: the interpreter's own way
    sound = asyncio.ensure_future(_carry(handset, call))
    keypad = Keypad(call._digits.press, talk.cancel)
    keypad.open()
    try:
        await asyncio.wait({talk, sound}, return_when=asyncio.FIRST_COMPLETED)
        if sound.done() and not talk.done():
            print(f"[the handset is gone: {sound.exception()}]")
            talk.cancel()
        await asyncio.wait({talk})
        print("[the caller hung up]" if talk.cancelled() else "[the call is over]", flush=True)
    finally:
        keypad.close()
        sound.cancel()
        await asyncio.wait({sound})
        handset.close()


async def _carry(handset, call):
    """20 ms of what the caller says, and 20 ms of what the caller hears, again and again."""
    while True:
        call._mixer.hear(await handset.read())
        await handset.write(call._mixer.speak(FRAME))


class Keypad:
    """Keys from standard input, as they are pressed where that is a terminal."""

    def __init__(self, press, hang_up):
        self._press = press
        self._hang_up = hang_up
        self._terminal = None
        self._open = False
        self._waiting = ""
        self._timer = None

    def open(self):
        """Begins to listen, if there is anything to listen to."""
        try:
            descriptor = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):
            return
        if os.isatty(descriptor):
            import termios
            import tty

            self._terminal = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor)
            print("[keys 0-9 * # are the keypad, h hangs up, Ctrl-C too]", flush=True)
        try:
            asyncio.get_running_loop().add_reader(descriptor, self._read, descriptor)
            self._open = True
        except (OSError, NotImplementedError):
            # A file: it is all there at once.
            self._take(sys.stdin.read())

    def close(self):
        """Stops listening; the terminal is as it was."""
        if self._timer is not None:
            self._timer.cancel()
        if self._open:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        if self._terminal is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._terminal)

    def _read(self, descriptor):
        octets = os.read(descriptor, 1024)
        if not octets:
            asyncio.get_running_loop().remove_reader(descriptor)
            self._open = False
        self._take(octets.decode("ascii", "ignore"))

    def _take(self, text):
        self._waiting = (self._waiting + text)[:4096]
        if self._timer is None:
            self._go_on()

    def _go_on(self):
        self._timer = None
        while self._waiting:
            key, self._waiting = self._waiting[0], self._waiting[1:]
            if key == "h":
                self._hang_up()
            elif key in KEYS:
                self._press(key)
            if key == "," or key in KEYS:
                pause = PAUSE_S if key == "," else KEY_S
                self._timer = asyncio.get_running_loop().call_later(pause, self._go_on)
                return
