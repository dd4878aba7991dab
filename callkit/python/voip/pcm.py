"""Samples: floats from -1 to 1, 8000 a second; and WAV files, 16 bit and mono."""

import array
import sys
import wave

RATE = 8000
FRAME = 160
"""Samples in the 20 ms that everything is done in."""

SCALE = 32767


def packedToFloat(high, low):
    """The two octets of a 16-bit sample as a float."""
    return int.from_bytes((high, low), "big", signed=True) / SCALE


def floatToPacked(x):
    """A float as the two octets of a 16-bit sample, the low one first."""
    return tuple(clipped(x).to_bytes(2, "little", signed=True))


def clipped(x):
    """A float as a 16-bit sample; beyond full scale it stays there."""
    return int(max(-1.0, min(1.0, x)) * SCALE)


def to_octets(pcm):
    """Floats as 16-bit little-endian samples."""
    samples = array.array("h", [clipped(x) for x in pcm])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def from_octets(octets):
    """16-bit little-endian samples as floats; half a sample at the end is dropped."""
    samples = array.array("h")
    samples.frombytes(octets[: len(octets) & ~1])
    if sys.byteorder == "big":
        samples.byteswap()
    return [s / SCALE for s in samples]


def averaged_down(pcm, rate):
    """Samples of a higher rate at 8000 a second: each is the mean of those in its time."""
    out = []
    begin = 0
    for count in range(1, len(pcm) * RATE // rate + 1):
        end = count * rate // RATE
        out.append(sum(pcm[begin:end]) / (end - begin))
        begin = end
    return out


def loadWAVtoPCM(file):
    """Samples of a 16-bit WAV file, by name or as a file object. Its rate may be higher than 8000.

    The length that a program wrote into the header before it knew it is not believed.
    """
    with wave.open(file, "rb") as w:
        if w.getsampwidth() != 2:
            raise ValueError(
                f"{8 * w.getsampwidth()}-bit samples; convert it: sox IN.wav -r 8000 -c 1 -b 16 OUT.wav"
            )
        rate = w.getframerate()
        assert rate >= RATE, f"{rate} samples a second are fewer than {RATE}"
        pcm = from_octets(w.readframes(w.getnframes()))
    return pcm if rate == RATE else averaged_down(pcm, rate)


def savePCMtoWAV(pcm, file):
    """Writes samples as a 16-bit WAV file, by name or to a file object."""
    with wave.open(file, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(to_octets(pcm))


def normalizePCM(pcm):
    """Without the silence at both ends, and as loud as can be; nothing of what is all silence."""
    loud = [i for i, x in enumerate(pcm) if abs(x) > 0.005]
    if not loud:
        return []
    kept = pcm[loud[0] : loud[-1] + 1]
    peak = max(abs(x) for x in kept)
    return [x / peak for x in kept]
