//! Arguments of applications and functions: what stands between commas.

/// Splits at commas outside of quotes, parentheses and brackets; quotes and a backslash before a
/// sign are taken off. `most` and what is behind it stay together in the last one.
pub fn split(data: &str, most: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut deep, mut quoted) = (0_usize, false);
    let mut signs = data.chars();
    while let Some(sign) = signs.next() {
        let separates = sign == ',' && deep == 0 && !quoted && all.len() < most;
        if separates {
            all.push(String::new());
            continue;
        }
        let Some(last) = all.last_mut() else { continue };
        match sign {
            '"' => quoted = !quoted,
            '\\' => last.extend(signs.next()),
            _ => {
                match sign {
                    '(' | '[' | '{' => deep += 1,
                    ')' | ']' | '}' => deep = deep.saturating_sub(1),
                    _ => {}
                }
                last.push(sign);
            }
        }
    }
    if all.len() == 1 && all[0].is_empty() {
        all.clear();
    }
    all
}

/// Options as `gTm(tunes)L(60000:10000)`: letters, some with an argument.
///
/// # Errors
/// Where it goes wrong.
pub fn options(text: &str) -> Result<Vec<(char, Option<String>)>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        if letter.is_whitespace() {
            continue;
        }
        let argument = match rest.strip_prefix('(') {
            None => None,
            Some(inside) => {
                let mut deep = 1_usize;
                let end = inside.char_indices().find(|(_, sign)| {
                    match sign {
                        '(' => deep += 1,
                        ')' => deep -= 1,
                        _ => {}
                    }
                    deep == 0
                });
                let (end, _) = end.ok_or_else(|| format!("`(` behind `{letter}` is not closed"))?;
                rest = &inside[end + 1..];
                Some(inside[..end].to_owned())
            }
        };
        all.push((letter, argument));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_unless_they_are_kept() {
        assert_eq!(split("", 9), Vec::<String>::new());
        assert_eq!(split("a,,b", 9), ["a", "", "b"]);
        assert_eq!(split("SIP/1&SIP/2,30,L(1,2)t", 9), ["SIP/1&SIP/2", "30", "L(1,2)t"]);
        assert_eq!(split("\"a,b\",c", 9), ["a,b", "c"]);
        assert_eq!(split("a\\,b,c,d", 2), ["a,b", "c,d"]);
    }

    #[test]
    fn options_are_letters_with_or_without_an_argument() {
        let found = options("gL(60000:1(x)00)tM(a)").unwrap();
        let expected = [('g', None), ('L', Some("60000:1(x)00")), ('t', None), ('M', Some("a"))];
        assert_eq!(found, expected.map(|(c, a)| (c, a.map(str::to_owned))));
        assert!(options("L(1").is_err());
    }
}
