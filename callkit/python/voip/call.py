"""A call, as handlers see it."""

import asyncio
import traceback

from .digits import Digits
from .mixer import Mixer

FAREWELL_S = 2
"""How long the last of what was played may take to be heard before a call is ended all the same."""


class CallError(Exception):
    """The telephone system refused what a handler asked for; the text is its reason."""


class Call:
    """One call. What plays and records is begun at once, and returns a future that may be awaited or
    cancelled.
    """

    def __init__(self, remote_uri):
        self._remote_uri = remote_uri
        self._mixer = Mixer()
        self._digits = Digits()

        self.playPCM = self._mixer.playPCM
        self.playTone = self._mixer.playTone
        self.playCustom = self._mixer.playCustom
        self.recordPCM = self._mixer.recordPCM
        self.recordCustom = self._mixer.recordCustom
        self.getDTMF = self._digits.getDTMF

    def getRemoteUri(self):
        """Who calls, as `"NAME" <sip:NUMBER@HOST>`."""
        return self._remote_uri

    async def transfer(self, number):
        """Connects the caller with a number and leaves: what the handler does after it is not heard.

        CallError where nobody has that number.
        """
        raise NotImplementedError

    async def heard(self):
        """Waits until what was played to its end has been heard too."""
        raise NotImplementedError


async def attend(handler, call):
    """Runs a handler to its end, whatever that is, and lets its last sound be heard.

    asyncio.CancelledError where the caller hung up.
    """
    try:
        await handler(call)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        print(f"Unhandled {type(error).__name__} exception in call handler: {error}", flush=True)
        traceback.print_exc()
    call._mixer.silence()
    try:
        await asyncio.wait_for(call.heard(), FAREWELL_S)
    except asyncio.TimeoutError:
        pass
