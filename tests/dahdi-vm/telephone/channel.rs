//! An FXO channel of DAHDI: what is asked of the kernel. Not the engine's code: a test that used
//! it would share its mistakes.

#![expect(unsafe_code, reason = "ioctls of DAHDI")]

use crate::BLOCK;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::{Error, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

// dahdi/user.h, with the numbers of x86-64 and arm64.
const SPECIFY: libc::c_ulong = 0x4004_da26;
const SET_BUFINFO: libc::c_ulong = 0x4018_da1b;
const SETLINEAR: libc::c_ulong = 0x4004_da28;
const FLUSH: libc::c_ulong = 0x4004_da03;
const FLUSH_ALL: i32 = 7;
const GETEVENT: libc::c_ulong = 0x8004_da08;
const HOOK: libc::c_ulong = 0x4004_da07;
const DIAL: libc::c_ulong = 0x4104_da1f;
const DIAL_REPLACE: i32 = 2;
const DIAL_COMPLETE: i32 = 9;
/// An event is to be taken before audio.
const ELAST: i32 = 500;

/// `DAHDI_ONHOOK`.
pub(crate) const ON_HOOK: i32 = 0;
/// `DAHDI_OFFHOOK`.
pub(crate) const OFF_HOOK: i32 = 1;
/// `DAHDI_FLASH`.
pub(crate) const FLASH: i32 = 3;

/// `struct dahdi_bufferinfo`: policies immediate, 8 buffers, since emulated time is uneven.
const BUFFERS: [i32; 6] = [0, 0, 8, BLOCK as i32, 0, 0];
/// Blocks that are written ahead of what is read.
const AHEAD: usize = 3;

/// See the module.
pub(crate) struct Channel {
    file: File,
    /// The kernel sends digits; a write would cut them off.
    dialling: bool,
}

/// What there is to do.
pub(crate) struct Ready {
    pub(crate) host: bool,
    pub(crate) event: bool,
    pub(crate) audio: bool,
}

impl Channel {
    pub(crate) fn open(number: i32) -> std::io::Result<Self> {
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/dahdi/channel")?;
        let mut channel = Self { file, dialling: false };
        channel.ioctl(SPECIFY, &mut [number])?;
        channel.ioctl(SET_BUFINFO, &mut BUFFERS.clone())?;
        channel.ioctl(SETLINEAR, &mut [1])?;
        channel.ioctl(FLUSH, &mut [FLUSH_ALL])?;
        for _ in 0..AHEAD {
            channel.write(&[0; 2 * BLOCK])?;
        }
        Ok(channel)
    }

    fn ioctl(&self, request: libc::c_ulong, argument: &mut [i32]) -> std::io::Result<()> {
        // SAFETY: each request above reads or writes at most the structure that is passed for it.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), request, argument.as_mut_ptr()) };
        if result == -1 { Err(Error::last_os_error()) } else { Ok(()) }
    }

    /// Until the host says something, or the channel has something.
    pub(crate) fn wait(&self, host: &TcpStream) -> std::io::Result<Ready> {
        let (input, event) = (PollFlags::POLLIN, PollFlags::POLLPRI);
        let mut fds =
            [PollFd::new(host.as_fd(), input), PollFd::new(self.file.as_fd(), input | event)];
        poll(&mut fds, PollTimeout::NONE)?;
        let has = |fd: &PollFd, what| fd.revents().is_some_and(|r| r.intersects(what));
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        Ok(Ready {
            host: has(&fds[0], input | gone),
            event: has(&fds[1], event | gone),
            audio: has(&fds[1], input),
        })
    }

    /// Takes all events.
    pub(crate) fn events(&mut self) -> std::io::Result<Vec<i32>> {
        let mut events = Vec::new();
        loop {
            let mut event = [0];
            self.ioctl(GETEVENT, &mut event)?;
            match event[0] {
                0 => return Ok(events),
                event => {
                    self.dialling &= event != DIAL_COMPLETE;
                    events.push(event);
                }
            }
        }
    }

    /// A block, unless there is none or an event comes first.
    pub(crate) fn read(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut block = vec![0; 2 * BLOCK];
        match self.file.read(&mut block) {
            Ok(octets) => {
                block.truncate(octets);
                Ok(Some(block))
            }
            Err(error) if passing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A block, where there is room and the kernel does not speak itself.
    pub(crate) fn write(&mut self, block: &[u8]) -> std::io::Result<()> {
        if self.dialling {
            return Ok(());
        }
        match self.file.write(block) {
            Err(error) if !passing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// A non-blocking channel answers EINPROGRESS to what takes time: that is success.
    pub(crate) fn hook(&self, hook: i32) -> std::io::Result<()> {
        match self.ioctl(HOOK, &mut [hook]) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(()),
            result => result,
        }
    }

    /// `struct dahdi_dialoperation`: the operation, and 256 octets of a C string.
    pub(crate) fn dial(&mut self, digits: &str) -> std::io::Result<()> {
        let mut operation = [0; 65];
        operation[0] = DIAL_REPLACE;
        for (index, octet) in digits.bytes().take(255).enumerate() {
            operation[1 + index / 4] |= i32::from(octet) << (index % 4 * 8);
        }
        self.ioctl(DIAL, &mut operation)?;
        self.dialling = true;
        Ok(())
    }
}

fn passing(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(ELAST | libc::EAGAIN))
}

/// CLOCK_MONOTONIC.
pub(crate) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC always exists");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}
