import voip

say = voip.TTStoPCM

async def tree(call):
    call.playPCM(say("Your password, please."))
    if await call.getDTMF(4) != "1234":
        return await call.playPCM(say("That is wrong."))
    call.playPCM(say("Press 1 for the workshop, 2 to hang up."))
    if await call.getDTMF(filter="12") == "1":
        await call.transfer("102")

voip.runVoipClient(tree)
