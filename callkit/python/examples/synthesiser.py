"""An instrument: 1 to 9 are notes that die away, 0 adds a drone, * is silence, # ends."""

import math

import voip

NOTES = {str(key): 220 * 2 ** (step / 12) for key, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12, 14), 1)}


def note(pitch):
    def sample(t, delta):
        if t > 2:
            return None
        return 0.3 * math.exp(-2 * t) * sum(
            math.sin(2 * math.pi * pitch * n * t) / n for n in (1, 2, 3)
        )

    return sample


async def handler(call):
    sounding = []
    while (key := await call.getDTMF()) != "#":
        if key == "*":
            for sound in sounding:
                sound.cancel()
            sounding = []
        elif key == "0":
            sounding.append(call.playCustom(lambda t, _: 0.1 * math.sin(2 * math.pi * 110 * t)))
        else:
            sounding.append(call.playCustom(note(NOTES[key])))


if __name__ == "__main__":
    voip.runVoipClient(handler)
