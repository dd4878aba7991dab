"""What spandsp's DTMF receiver (Debian's libspandsp2) needs for a frame of 20 ms.

    python3 speed.py

prints nanoseconds: the best of ten runs over a minute of a tone in noise, as the bench of our own
receiver has. A minute is one call, so that Python takes no part in it.
"""

import array
import ctypes
import math
import random
import time

from dtmf import LIBRARY, receiver

FRAMES = 3000


def main():
    spandsp = ctypes.CDLL(LIBRARY)
    state = receiver(spandsp)
    chance = random.Random(1)
    sine = (4000 * math.sin(2 * math.pi * 770 * n / 8000) for n in range(160 * FRAMES))
    block = array.array("h", (int(s) + chance.randrange(-2048, 2048) for s in sine)).tobytes()
    best = min(measured(spandsp, state, block) for _ in range(10))
    print(round(best / FRAMES))


def measured(spandsp, state, block):
    """Nanoseconds for all of it."""
    begun = time.perf_counter_ns()
    spandsp.dtmf_rx(state, block, len(block) // 2)
    return time.perf_counter_ns() - begun


if __name__ == "__main__":
    main()
