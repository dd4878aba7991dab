//! The applications of a plan by their names.

/// What can be done. Names are compared without regard to capitals.
pub const APPLICATIONS: &[&str] = &[
    "AGI",
    "Answer",
    "Background",
    "Busy",
    "ConfBridge",
    "Congestion",
    "Dial",
    "Echo",
    "Gosub",
    "GosubIf",
    "Goto",
    "GotoIf",
    "GotoIfTime",
    "Hangup",
    "Milliwatt",
    "MusicOnHold",
    "NoOp",
    "Playback",
    "PlayTones",
    "Progress",
    "Read",
    "Record",
    "Return",
    "Ringing",
    "SayAlpha",
    "SayDigits",
    "SayNumber",
    "SayUnixTime",
    "SendDTMF",
    "Set",
    "StackPop",
    "StopPlayTones",
    "Verbose",
    "Wait",
    "WaitExten",
];

/// What is known and refused, and why.
pub const REFUSED: &[(&str, &str)] = &[
    ("System", "programs of this machine are not run from a dial plan"),
    ("TrySystem", "programs of this machine are not run from a dial plan"),
    ("MeetMe", "use ConfBridge, which took its place"),
    ("Voicemail", "voicemail is not built yet"),
    ("VoiceMailMain", "voicemail is not built yet"),
    ("Queue", "queues are not built yet"),
    ("EAGI", "audio on a further descriptor is for local scripts, which are not run"),
    ("DeadAGI", "use AGI, which knows by itself whether its channel has hung up"),
    ("Macro", "use Gosub, which took its place"),
];

/// The application of that name.
///
/// # Errors
/// Why it is none.
pub(super) fn application(name: &str) -> Result<&'static str, String> {
    let same = |known: &str| known.eq_ignore_ascii_case(name);
    if let Some(known) = APPLICATIONS.iter().find(|known| same(known)) {
        return Ok(known);
    }
    match REFUSED.iter().find(|(known, _)| same(known)) {
        Some((known, reason)) => Err(format!("{known} is refused: {reason}")),
        None => Err(format!("`{name}` is no application; there are {}", APPLICATIONS.join(", "))),
    }
}
