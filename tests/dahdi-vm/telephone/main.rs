//! Plays telephones in the guest, on the FXO channels that are wired to the card's ports.
//!
//! `telephone serve` listens on port 2400; a connection is one telephone. The host sends lines
//! (`channel N` first; then `offhook`, `onhook`, `flash`, `dial STRING`, `say OCTETS` with that many
//! octets of 16-bit audio after it, `hush`); each is answered with an errno. What the telephone hears and
//! notices is sent all the time. `../src/telephone.rs` is the other end.
//!
//! `telephone contact PORT MS…` works the hook contact of a port of the fake card.

mod channel;

use channel::Channel;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Samples of a block: 20 ms.
const BLOCK: usize = 160;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve"] => serve(),
        ["contact", port, times @ ..] => work_contact(port, times),
        _ => Err(std::io::Error::new(ErrorKind::InvalidInput, "serve, or contact PORT MS…")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("telephone: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> std::io::Result<()> {
    for stream in TcpListener::bind(("0.0.0.0", 2400))?.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            // The host hangs up by closing the connection.
            let _ = live(stream);
        });
    }
    Ok(())
}

/// Closed at once, then changed after each of the times.
fn work_contact(port: &str, times: &[&str]) -> std::io::Result<()> {
    let mut due = Instant::now();
    let mut closed = true;
    let set =
        |closed: bool| std::fs::write("/dev/fakefxs", format!("hook {port} {}", u8::from(closed)));
    set(closed)?;
    for time in times {
        let ms: f64 = time.parse().map_err(|_| ErrorKind::InvalidInput)?;
        due += Duration::from_secs_f64(ms / 1000.0);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        closed = !closed;
        set(closed)?;
    }
    Ok(())
}

/// What the host has sent and has not been carried out yet, and what is still to be said.
#[derive(Default)]
struct Wishes {
    octets: Vec<u8>,
    to_say: Vec<u8>,
}

impl Wishes {
    /// A complete line, without its end.
    fn line(&mut self) -> Option<String> {
        let end = self.octets.iter().position(|&octet| octet == b'\n')?;
        let line: Vec<u8> = self.octets.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// One telephone's life.
fn live(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wishes = Wishes::default();
    let opening = loop {
        read_more(&mut stream, &mut wishes)?;
        if let Some(line) = wishes.line() {
            break line;
        }
    };
    let number = opening.strip_prefix("channel ").and_then(|n| n.parse().ok());
    let mut telephone = match number.ok_or(ErrorKind::InvalidInput.into()).and_then(Channel::open) {
        Ok(channel) => channel,
        Err(error) => return answer(&mut stream, Err(error)),
    };
    answer(&mut stream, Ok(()))?;
    loop {
        let ready = telephone.wait(&stream)?;
        if ready.host {
            read_more(&mut stream, &mut wishes)?;
            while carry_out(&mut telephone, &mut stream, &mut wishes)? {}
        }
        if ready.event {
            for event in telephone.events()? {
                send(&mut stream, b'e', &event.to_le_bytes())?;
            }
        }
        if ready.audio
            && let Some(heard) = telephone.read()?
        {
            send(&mut stream, b'a', &heard)?;
            let octets = wishes.to_say.len().min(2 * BLOCK);
            let mut block: Vec<u8> = wishes.to_say.drain(..octets).collect();
            block.resize(2 * BLOCK, 0);
            telephone.write(&block)?;
        }
    }
}

fn read_more(stream: &mut TcpStream, wishes: &mut Wishes) -> std::io::Result<()> {
    let mut chunk = [0; 16_384];
    match stream.read(&mut chunk)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        n => {
            wishes.octets.extend_from_slice(&chunk[..n]);
            Ok(())
        }
    }
}

/// Carries out the next wish, if it is there as a whole.
fn carry_out(
    telephone: &mut Channel,
    stream: &mut TcpStream,
    wishes: &mut Wishes,
) -> std::io::Result<bool> {
    let Some(line) = wishes.line() else { return Ok(false) };
    let result = match line.split_once(' ').unwrap_or((&line, "")) {
        ("offhook", _) => telephone.hook(channel::OFF_HOOK),
        ("onhook", _) => telephone.hook(channel::ON_HOOK),
        ("flash", _) => telephone.hook(channel::FLASH),
        ("dial", digits) => telephone.dial(digits),
        ("say", octets) => {
            let octets = octets.parse().map_err(|_| ErrorKind::InvalidInput)?;
            while wishes.octets.len() < octets {
                read_more(stream, wishes)?;
            }
            wishes.to_say.extend(wishes.octets.drain(..octets));
            Ok(())
        }
        ("hush", _) => {
            wishes.to_say.clear();
            Ok(())
        }
        _ => Err(ErrorKind::InvalidInput.into()),
    };
    answer(stream, result)?;
    Ok(true)
}

fn answer(stream: &mut TcpStream, result: std::io::Result<()>) -> std::io::Result<()> {
    let errno = result.err().map_or(0, |e| e.raw_os_error().unwrap_or(libc::EINVAL));
    send(stream, b'd', &errno.to_le_bytes())
}

/// Kind, time in ns, length, payload.
fn send(stream: &mut TcpStream, kind: u8, payload: &[u8]) -> std::io::Result<()> {
    let mut message = vec![kind];
    message.extend_from_slice(&channel::now_ns().to_le_bytes());
    message.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    message.extend_from_slice(payload);
    stream.write_all(&message)
}
