//! When a device may fetch its file: only while an administrator has opened a window for it, a few
//! times, with a password that was made for this window. Its address proves nothing.

use std::collections::HashMap;
use subtle::ConstantTimeEq as _;

/// Wrong passwords that close a window.
const MAX_WRONG: u32 = 10;

/// An open window, as the administrator is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Password for HTTP Basic; the user name is the MAC. Also a part of the path.
    pub password: String,
    /// End, ms since 1970.
    pub until_ms: u64,
    /// Fetches left.
    pub fetches: u32,
}

/// How a fetch shows that it may.
#[derive(Clone, Copy, Debug)]
pub enum Fetch<'a> {
    /// HTTP Basic: user name and password.
    Basic(&'a str, &'a str),
    /// The password stands in the path.
    Path(&'a str),
}

/// Why a device gets nothing. Whoever asks is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No window is open.
    Closed,
    /// The password is another.
    WrongPassword,
}

#[derive(Debug)]
struct Window {
    opened: Opened,
    wrong: u32,
}

/// All windows, by MAC.
#[derive(Debug, Default)]
pub struct Windows(HashMap<String, Window>);

impl Windows {
    /// Opens a window; an earlier one of the same device is closed.
    pub fn open(&mut self, mac: &str, opened: Opened) {
        self.0.insert(mac.to_owned(), Window { opened, wrong: 0 });
    }

    /// Closes a window; returns whether there was one.
    pub fn close(&mut self, mac: &str) -> bool {
        self.0.remove(mac).is_some()
    }

    /// The window of a device: its end and the fetches left.
    pub fn of(&self, mac: &str, now_ms: u64) -> Option<(u64, u32)> {
        let window = self.0.get(mac).filter(|window| window.opened.until_ms > now_ms)?;
        Some((window.opened.until_ms, window.opened.fetches))
    }

    /// A device asks for its file. Uses up one fetch.
    ///
    /// # Errors
    /// See [`Denied`].
    pub fn fetch(&mut self, mac: &str, by: Fetch<'_>, now_ms: u64) -> Result<(), Denied> {
        let window = self.0.get_mut(mac).filter(|window| window.opened.until_ms > now_ms);
        let window = window.ok_or(Denied::Closed)?;
        let (user_right, given) = match by {
            Fetch::Basic(user, password) => (user.eq_ignore_ascii_case(mac), password),
            Fetch::Path(password) => (true, password),
        };
        let right: bool = window.opened.password.as_bytes().ct_eq(given.as_bytes()).into();
        if !right || !user_right {
            window.wrong += 1;
            if window.wrong >= MAX_WRONG {
                self.0.remove(mac);
            }
            return Err(Denied::WrongPassword);
        }
        window.opened.fetches -= 1;
        if window.opened.fetches == 0 {
            self.0.remove(mac);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: &str = "c074ad112233";

    fn windows() -> Windows {
        let mut windows = Windows::default();
        let password = "right".to_owned();
        windows.open(MAC, Opened { password, until_ms: 1000, fetches: 2 });
        windows
    }

    #[test]
    fn a_few_times_within_a_while_with_the_password() {
        let mut w = windows();
        assert_eq!(w.fetch("c074ad000000", Fetch::Path("right"), 0), Err(Denied::Closed));
        assert_eq!(w.fetch(MAC, Fetch::Basic("C074AD112233", "right"), 0), Ok(()));
        assert_eq!(w.of(MAC, 0), Some((1000, 1)));
        assert_eq!(w.fetch(MAC, Fetch::Basic("admin", "right"), 0), Err(Denied::WrongPassword));
        assert_eq!(w.fetch(MAC, Fetch::Path("right"), 999), Ok(()));
        assert_eq!(w.fetch(MAC, Fetch::Path("right"), 999), Err(Denied::Closed), "used up");
        assert_eq!(windows().fetch(MAC, Fetch::Path("right"), 1000), Err(Denied::Closed), "over");
        let mut w = windows();
        assert!(w.close(MAC) && !w.close(MAC));
    }

    #[test]
    fn guessing_closes_it() {
        let mut w = windows();
        for _ in 0..MAX_WRONG {
            assert_eq!(w.fetch(MAC, Fetch::Path("wrong"), 0), Err(Denied::WrongPassword));
        }
        assert_eq!(w.fetch(MAC, Fetch::Path("right"), 0), Err(Denied::Closed));
    }
}
