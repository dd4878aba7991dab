//! How apid gets both segments: over a Unix stream socket, which then stays open for the life of
//! the attachment. Its closing is how each side learns that the other one is gone.
//!
//! 1. apid sends 16 bytes: magic, its layout version, zero.
//! 2. The engine checks the version and who is there (SO_PEERCRED), and answers 40 bytes: magic,
//!    verdict, its layout version, generation, dimensions, attachment; with verdict 0 also both
//!    descriptors (SCM_RIGHTS), uplink first.
//!
//! Either side sets its deadline as socket timeouts before it calls; every message is one system
//! call, and a part of one is an error, so that a peer cannot hold the other for longer.
#![allow(unsafe_code, reason = "descriptors out of a control message are owned once")]

use crate::engine_map::AttachError;
use crate::layout::{Attachment, Dimensions, LAYOUT_VERSION};
use crate::units::Generation;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg, sockopt,
};
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// First word of either message: `TIPRHAND` in memory.
pub const HANDSHAKE_MAGIC: u64 = u64::from_le_bytes(*b"TIPRHAND");
/// Bytes of apid's message.
pub const GREETING_BYTES: usize = 16;
/// Bytes of the engine's message.
pub const REPLY_BYTES: usize = 40;

/// Who is at the other end of a socket, by the kernel's word (SO_PEERCRED, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Process, when it connected.
    pub pid: i32,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What the engine says with the descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Which start of the engine.
    pub generation: Generation,
    /// How much of everything.
    pub dimensions: Dimensions,
    /// Which attachment.
    pub attachment: Attachment,
}

/// Why the engine does not attach an apid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The layout versions differ.
    Version,
    /// That user may not.
    User,
    /// An apid is attached: one at a time.
    Busy,
    /// The engine is starting or ending.
    NotReady,
}

impl Refused {
    const fn code(self) -> u32 {
        match self {
            Self::Version => 1,
            Self::User => 2,
            Self::Busy => 3,
            Self::NotReady => 4,
        }
    }

    const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Version),
            2 => Some(Self::User),
            3 => Some(Self::Busy),
            4 => Some(Self::NotReady),
            _ => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "layout versions differ",
            Self::User => "this user may not attach",
            Self::Busy => "an apid is attached already",
            Self::NotReady => "the engine is not ready",
        })
    }
}

/// Who is at the other end.
///
/// # Errors
/// The system's.
pub fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = nix::sys::socket::getsockopt(stream, sockopt::PeerCredentials)?;
    Ok(Peer { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() })
}

/// Engine: reads apid's greeting; tells its layout version, which [`refuse`] is for if it is not
/// [`LAYOUT_VERSION`]. Descriptors a peer sends along are closed by the kernel.
///
/// # Errors
/// `InvalidData` if it is no greeting, else the system's (`WouldBlock` after the read timeout).
pub fn greeting(mut stream: &UnixStream) -> io::Result<u32> {
    let mut bytes = [0; GREETING_BYTES];
    let read = stream.read(&mut bytes)?;
    let (magic, rest) = bytes.split_at(8);
    if read != GREETING_BYTES || magic != HANDSHAKE_MAGIC.to_le_bytes() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a greeting of tipring-apid"));
    }
    Ok(word32(rest, 0))
}

/// Engine: attaches the peer.
///
/// # Errors
/// The system's.
pub fn offer(stream: &UnixStream, hello: &Hello, fds: [BorrowedFd<'_>; 2]) -> io::Result<()> {
    let raw = fds.map(|fd| fd.as_raw_fd());
    send(stream, &reply(0, hello), &[ControlMessage::ScmRights(&raw)])
}

/// Engine: turns the peer away.
///
/// # Errors
/// The system's.
pub fn refuse(stream: &UnixStream, reason: Refused) -> io::Result<()> {
    let nothing = Hello {
        generation: Generation(0),
        dimensions: Dimensions { loops: 0, lines: 0 },
        attachment: Attachment(0),
    };
    send(stream, &reply(reason.code(), &nothing), &[])
}

/// Apid: greets, and waits for the engine's answer until the stream's read timeout.
///
/// # Errors
/// [`AttachError::Refused`], [`AttachError::Version`], [`AttachError::NotAnEngine`] or the
/// system's.
pub fn accept(mut stream: &UnixStream) -> Result<(Hello, [OwnedFd; 2]), AttachError> {
    let mut greeting = [0; GREETING_BYTES];
    greeting[..8].copy_from_slice(&HANDSHAKE_MAGIC.to_le_bytes());
    greeting[8..12].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    stream.write_all(&greeting)?;

    let mut bytes = [0; REPLY_BYTES];
    let (read, fds) = receive(stream, &mut bytes)?;
    if read != REPLY_BYTES || bytes[..8] != HANDSHAKE_MAGIC.to_le_bytes() {
        return Err(AttachError::NotAnEngine);
    }
    let version = word32(&bytes, 12);
    match word32(&bytes, 8) {
        0 if version == LAYOUT_VERSION => {}
        code => {
            return Err(match Refused::from_code(code) {
                _ if version != LAYOUT_VERSION => AttachError::Version(version),
                Some(reason) => AttachError::Refused(reason),
                None => AttachError::NotAnEngine,
            });
        }
    }
    let fds = <[OwnedFd; 2]>::try_from(fds).map_err(|_| AttachError::NotAnEngine)?;
    let dimensions = Dimensions::from_word(word64(&bytes, 24)).ok_or(AttachError::Inconsistent)?;
    let hello = Hello {
        generation: Generation(word64(&bytes, 16)),
        dimensions,
        attachment: Attachment(word32(&bytes, 32)),
    };
    Ok((hello, fds))
}

fn reply(verdict: u32, hello: &Hello) -> [u8; REPLY_BYTES] {
    let mut bytes = [0; REPLY_BYTES];
    bytes[..8].copy_from_slice(&HANDSHAKE_MAGIC.to_le_bytes());
    bytes[8..12].copy_from_slice(&verdict.to_le_bytes());
    bytes[12..16].copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&hello.generation.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&hello.dimensions.to_word().to_le_bytes());
    bytes[32..36].copy_from_slice(&hello.attachment.0.to_le_bytes());
    bytes
}

/// Sends all of `bytes` at once.
fn send(stream: &UnixStream, bytes: &[u8], control: &[ControlMessage<'_>]) -> io::Result<()> {
    let parts = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    let sent = sendmsg::<UnixAddr>(stream.as_raw_fd(), &parts, control, flags, None)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// One message, and the descriptors that came with it: at most two, the kernel closes others.
fn receive(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut parts = [IoSliceMut::new(bytes)];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just installed these descriptors for this message; they are
            // in this one list, taken once, so each gets one owner.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, fds))
}

fn word32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn word64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
