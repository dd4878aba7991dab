//! Scripts of this machine. They are not started here, but by whoever listens at a socket: the unit
//! `tipring-agi@.service`, as a user of their own, within limits. Its first line from us names the
//! script and its arguments, separated by the octet 31; its answer is `started` or `not found`.

use super::connection::{Connection, Heard};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// For connection and answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest name.
const NAME_MAX: usize = 100;
/// Longest order, octets.
const ORDER_MAX: usize = 4096;
const SEPARATOR: char = '\u{1f}';

/// Why a script was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// It is no name of a file, or has too many arguments.
    Name,
    /// There is none of that name.
    Missing,
    /// Nobody starts scripts there, or too many run.
    Refused,
}

/// Has a script started.
///
/// # Errors
/// [`NotStarted`].
pub async fn start(
    socket: &Path,
    script: &str,
    arguments: &[String],
) -> Result<Connection, NotStarted> {
    let order = order(script, arguments).ok_or(NotStarted::Name)?;
    let started = async {
        let stream = UnixStream::connect(socket).await.map_err(|_| NotStarted::Refused)?;
        let mut connection = Connection::new(stream);
        connection.write(&order).await.map_err(|_| NotStarted::Refused)?;
        match connection.next().await {
            Heard::Line(line) if line == "started" => Ok(connection),
            Heard::Line(line) if line == "not found" => Err(NotStarted::Missing),
            _ => Err(NotStarted::Refused),
        }
    };
    tokio::time::timeout(PATIENCE, started).await.unwrap_or(Err(NotStarted::Refused))
}

/// `None` for what is no file of the folder, and for what would be too long.
fn order(script: &str, arguments: &[String]) -> Option<String> {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "._-".contains(sign);
    let name = !script.is_empty()
        && script.len() <= NAME_MAX
        && !script.starts_with(['.', '-'])
        && script.chars().all(plain);
    let mut order = script.to_owned();
    for argument in arguments {
        order.push(SEPARATOR);
        order.extend(argument.chars().map(|sign| if sign.is_control() { ' ' } else { sign }));
    }
    order.push('\n');
    (name && order.len() <= ORDER_MAX).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_line_and_names_a_file_of_the_folder() {
        let words = ["one".to_owned(), String::new(), "a\nb\u{1f}c".to_owned()];
        assert_eq!(order("hello.py", &words).unwrap(), "hello.py\u{1f}one\u{1f}\u{1f}a b c\n");
        assert_eq!(order("hello", &[]).unwrap(), "hello\n");
        for wrong in ["", ".", "..", "../x", "/bin/sh", "a/b", ".hidden", "-x", "a b", "a\nb"] {
            assert_eq!(order(wrong, &[]), None, "{wrong}");
        }
        assert_eq!(order("x", &["y".repeat(5000)]), None);
        assert_eq!(order(&"x".repeat(101), &[]), None);
    }
}
