//! Passwords of devices that we set up: made by us, kept readable in one private file because the
//! device must be told them, and shown to nobody else.

use crate::auth::write_private;
use crate::config::Secret;
use std::collections::BTreeMap;
use std::path::Path;

/// Letters and digits that nobody confuses.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 5 bits each.
const LENGTH: usize = 24;

/// A password for each of `accounts`: the one made at an earlier start, else a new one.
///
/// # Errors
/// Those of reading and writing `device_secrets.json` in the state folder.
pub fn device_secrets(
    state_dir: &Path,
    accounts: &[String],
) -> std::io::Result<BTreeMap<String, Secret>> {
    let path = state_dir.join("device_secrets.json");
    let mut known: BTreeMap<String, String> = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(std::io::Error::other)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error),
    };
    let before = known.len();
    for account in accounts {
        if !known.contains_key(account) {
            known.insert(account.clone(), random_secret()?);
        }
    }
    if known.len() != before {
        std::fs::create_dir_all(state_dir)?;
        write_private(&path, &serde_json::to_vec(&known).map_err(std::io::Error::other)?)?;
    }
    let of = |account: &String| Some((account.clone(), Secret::of(known.get(account)?)));
    Ok(accounts.iter().filter_map(of).collect())
}

/// A password of 120 random bits.
///
/// # Errors
/// Where the system has no random numbers.
pub fn random_secret() -> std::io::Result<String> {
    let mut octets = [0_u8; LENGTH];
    getrandom::fill(&mut octets).map_err(std::io::Error::other)?;
    Ok(octets.iter().map(|octet| char::from(ALPHABET[usize::from(octet % 32)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("tipring-secrets-{}", std::process::id()));
        let accounts = ["kitchen".to_owned(), "workshop".to_owned()];
        let first = device_secrets(&folder, &accounts[..1]).unwrap();
        let both = device_secrets(&folder, &accounts).unwrap();
        assert_eq!(first["kitchen"].reveal(), both["kitchen"].reveal());
        assert_ne!(both["kitchen"].reveal(), both["workshop"].reveal());
        assert_eq!(both["workshop"].reveal().len(), LENGTH);
        let mode = std::fs::metadata(folder.join("device_secrets.json")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
