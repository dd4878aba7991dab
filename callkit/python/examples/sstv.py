"""Sends a picture by slow-scan television: colour bars in Martin M1 (VIS code 44), which takes two
minutes. Hold a telephone to a receiver such as QSSTV, or record the call and decode the file.
"""

import math

import voip

RATE = 8000
LINES, COLUMNS = 256, 320
COLOUR_MS = 146.432
# White, yellow, cyan, green, magenta, red, blue, black as (red, green, blue).
BARS = [(n >> 1 & 1, n >> 2 & 1, n & 1) for n in range(7, -1, -1)]


def pixel(row, column):
    """Red, green and blue of the picture, from 0 to 1: the bars get darker downwards."""
    light = 1 - row / LINES / 2
    return [part * light for part in BARS[column * len(BARS) // COLUMNS]]


def header(code):
    """Calibration and VIS code: frequencies and how long they last, in ms."""
    bits = [code >> n & 1 for n in range(7)]
    yield from ((1900, 300), (1200, 10), (1900, 300), (1200, 30))
    yield from ((1100 if bit else 1300, 30) for bit in [*bits, sum(bits) % 2])
    yield 1200, 30


def picture():
    """Each line: sync, then green, blue and red, from 1500 Hz for black to 2300 Hz for white."""
    for row in range(LINES):
        yield 1200, 4.862
        yield 1500, 0.572
        for colour in (1, 2, 0):
            for column in range(COLUMNS):
                yield 1500 + 800 * pixel(row, column)[colour], COLOUR_MS / COLUMNS
            yield 1500, 0.572


def samples():
    """One sine whose frequency changes and whose phase does not jump."""
    phase = end = at = 0.0
    for source in (header(44), picture()):
        for hz, ms in source:
            end += ms * RATE / 1000
            while at < end:
                phase += 2 * math.pi * hz / RATE
                at += 1
                yield 0.5 * math.sin(phase)


async def handler(call):
    coming = samples()
    await call.playCustom(lambda t, delta: next(coming, None))


if __name__ == "__main__":
    voip.runVoipClient(handler)
