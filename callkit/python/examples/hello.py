"""Says hello and hangs up."""

import voip

HELLO = voip.TTStoPCM("Hello! This is a computer, speaking to you by telephone.")


async def handler(call):
    print("call from", call.getRemoteUri())
    await call.playPCM(HELLO)


if __name__ == "__main__":
    voip.runVoipClient(handler)
