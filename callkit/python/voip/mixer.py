"""What a call plays and records, 20 ms at a time. Opens nothing and reads no clock."""

import asyncio
import math

from .pcm import RATE


class RecordController:
    """Ends a recording: at the next sample that comes."""

    def __init__(self):
        self.stopped = False

    def stop(self):
        """No more than one sample is taken from now on."""
        self.stopped = True


class _Samples:
    """A playback of samples that are there."""

    def __init__(self, pcm, loop):
        self._pcm = pcm
        # Nothing, repeated, never becomes a sample.
        self._loop = loop and len(pcm) > 0
        self._at = 0

    def read(self, count):
        out = list(self._pcm[self._at : self._at + count])
        self._at += len(out)
        while self._loop and len(out) < count:
            more = self._pcm[: count - len(out)]
            out.extend(more)
            self._at = len(more)
        return out


class _Called:
    """A playback whose samples a function makes."""

    def __init__(self, function):
        self._function = function
        self._at = 0

    def read(self, count):
        out = []
        while len(out) < count:
            x = self._function(self._at / RATE, 1 / RATE)
            if x is None:
                break
            out.append(x)
            self._at += 1
        return out


class _Recording:
    """A recording into a list."""

    def __init__(self, controller, maxlen):
        self._controller = controller
        self._maxlen = maxlen
        self._pcm = []

    def take(self, samples):
        """The list when it is complete."""
        for x in samples:
            self._pcm.append(x)
            full = self._maxlen is not None and len(self._pcm) >= self._maxlen
            if full or (self._controller is not None and self._controller.stopped):
                return self._pcm
        return None


class _Told:
    """A recording into a function."""

    def __init__(self, function):
        self._function = function

    def take(self, samples):
        for x in samples:
            # Whatever equals False, as 0 does, ends it.
            if self._function(x) == False:  # noqa: E712
                return True
        return None


class Mixer:
    """The playbacks and recordings of one call."""

    def __init__(self):
        self._playing = []
        self._recording = []

    def playPCM(self, pcm, loop=False):
        """Plays samples from now on; a future that is true at their end."""
        return self._play(_Samples(pcm, loop))

    def playTone(self, pitch, duration):
        """Plays a sine of full scale: `pitch` in Hz, `duration` in seconds."""
        step = 2 * math.pi * pitch
        return self._play(_Called(lambda t, _: None if t > duration else math.sin(t * step)))

    def playCustom(self, function):
        """Plays what `function(t, delta)` gives for each sample, in seconds, until that is None."""
        return self._play(_Called(function))

    def recordPCM(self, controller=None, maxlen=None):
        """A future of samples: until `controller` says so, or `maxlen` of them."""
        if controller is None and maxlen is None:
            raise Exception("recordPCM called with no way to stop recording")
        return self._record(_Recording(controller, maxlen))

    def recordCustom(self, function):
        """Gives `function` each sample that comes, until it answers False."""
        return self._record(_Told(function))

    def silence(self):
        """Ends all playbacks."""
        for future, _ in self._playing:
            future.cancel()

    @property
    def plays(self):
        """Whether there is anything to be heard."""
        return any(not future.done() for future, _ in self._playing)

    def speak(self, count):
        """The next `count` samples for the caller: the sum of all playbacks, within full scale."""
        mixed = [0.0] * count
        for future, source in list(self._playing):
            if future.done():
                continue
            try:
                samples = source.read(count)
            except Exception as error:
                future.set_exception(error)
                continue
            mixed[: len(samples)] = [a + b for a, b in zip(mixed, samples)]
            if len(samples) < count and not future.done():
                future.set_result(True)
        self._playing = [entry for entry in self._playing if not entry[0].done()]
        return [max(-1.0, min(1.0, x)) for x in mixed]

    def hear(self, samples):
        """Samples that came from the caller."""
        for future, sink in list(self._recording):
            if future.done():
                continue
            try:
                result = sink.take(samples)
            except Exception as error:
                future.set_exception(error)
                continue
            if result is not None and not future.done():
                future.set_result(result)
        self._recording = [entry for entry in self._recording if not entry[0].done()]

    def _play(self, source):
        future = asyncio.get_running_loop().create_future()
        self._playing.append((future, source))
        return future

    def _record(self, sink):
        future = asyncio.get_running_loop().create_future()
        self._recording.append((future, sink))
        return future
