"""Where calls come from."""

import os
import sys


def runVoipClient(handler, port=None):
    """Runs `handler` for each call; returns when there will be no more.

    With QUECEY_VOIP_REAL in the environment calls come from the Tipring at TIPRING_URL, else from one
    telephone that is simulated here. `port` was that of SIP, which Tipring speaks itself.
    """
    if "QUECEY_VOIP_REAL" in os.environ:
        from .tipring import serve

        if port is not None:
            print("runVoipClient: no port is opened here; Tipring listens", file=sys.stderr)
    else:
        from .simulated import serve
    serve(handler)
