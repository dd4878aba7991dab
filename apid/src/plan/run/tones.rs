//! Tones as Asterisk's PlayTones and indications.conf write them.

/// Time of a tone that names none: it goes on, ms.
const ON_AND_ON_MS: &str = "600000";

/// A name, or a list `[!]HZ[+HZ|*HZ][/MS],…`, in words of our own, and whether it is played once only. A
/// tone without a time goes on until it is stopped, so that those after it are never heard. Those with `!`
/// are played once.
///
/// # Errors
/// Where some are to be played once and others over and over.
pub(super) fn read(text: &str) -> Result<(String, bool), String> {
    let text = text.trim();
    let by_name = match text {
        "ring" => Some("ringback"),
        "info" => Some("special_information"),
        name if name.starts_with(char::is_alphabetic) => Some(name),
        _ => None,
    };
    if let Some(name) = by_name {
        return Ok((name.to_owned(), false));
    }
    let mut steps = Vec::new();
    let (mut once, mut looped) = (false, false);
    for step in text.split([',', '|']).map(str::trim) {
        let sound = step.strip_prefix('!');
        once |= sound.is_some();
        looped |= sound.is_none();
        let sound = sound.unwrap_or(step);
        if sound.contains('/') {
            steps.push(sound.to_owned());
        } else {
            steps.push(format!("{sound}/{ON_AND_ON_MS}"));
            break;
        }
    }
    if once && looped {
        return Err(format!("PlayTones({text}): `!` before some tones only is not supported"));
    }
    Ok((steps.join(","), once))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn lists_of_asterisk_are_read() {
        let table = [
            ("busy", "busy", false),
            ("ring", "ringback", false),
            ("620", "620/600000", false),
            ("!350+440", "350+440/600000", true),
            ("480+620/500,0/500", "480+620/500,0/500", false),
            ("425*24/400 | 0/400", "425*24/400,0/400", false),
            ("!950/330,!1400/330,!1800/330,!0", "950/330,1400/330,1800/330,0/600000", true),
            ("440,480/100", "440/600000", false),
        ];
        for (text, ours, once) in table {
            assert_eq!(read(text), Ok((ours.to_owned(), once)), "{text}");
        }
        assert!(read("!350/100,440/1000").is_err());
    }
}
