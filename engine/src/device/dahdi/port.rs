//! What the back end asks of the kernel about one channel, and what the kernel may answer: the
//! seam at which tests put a kernel of their own.

use std::io::Error;
use std::os::fd::RawFd;

/// `ELAST`: an event waits, and nothing is read or written before it was taken.
const ELAST: i32 = 500;

/// What a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An event waits (errno 500, `ELAST`): take it first.
    EventFirst,
    /// No block is ready, or no room for one (EAGAIN).
    NotNow,
    /// Begun, and not waited for (EINPROGRESS): of [`Port::hook`] this is success.
    InProgress,
    /// The line is in a state that forbids it for a moment, or somebody has it (EBUSY).
    Busy,
    /// The channel is gone (ENODEV, ENXIO of an open one).
    Gone,
    /// No tone zone is loaded (ENODATA).
    NoToneZone,
    /// This driver has no such thing (ENOTTY, ENOSYS, EINVAL).
    Unsupported,
    /// Not allowed (EACCES, EPERM).
    Permission,
    /// Not configured (ENXIO of one that is being opened).
    NotConfigured,
    /// Anything else.
    Other(i32),
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        match error.raw_os_error().unwrap_or(0) {
            ELAST => Self::EventFirst,
            libc::EAGAIN => Self::NotNow,
            libc::EINPROGRESS => Self::InProgress,
            libc::EBUSY => Self::Busy,
            libc::ENODEV => Self::Gone,
            libc::ENXIO => Self::NotConfigured,
            libc::ENODATA => Self::NoToneZone,
            libc::ENOTTY | libc::ENOSYS | libc::EINVAL => Self::Unsupported,
            libc::EACCES | libc::EPERM => Self::Permission,
            other => Self::Other(other),
        }
    }

    /// The channel will not come back by being asked again.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Gone | Self::NotConfigured)
    }
}

/// `DAHDI_HOOK`'s argument; the value is the header's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookOrder {
    /// `DAHDI_ONHOOK`: the line is idle. With the phone still lifted, the loop loses its battery
    /// for 500 ms.
    OnHook = 0,
    /// `DAHDI_OFFHOOK`: the line is in use.
    OffHook = 1,
    /// `DAHDI_RING`.
    Ring = 5,
    /// `DAHDI_RINGOFF`.
    RingOff = 6,
}

/// One channel, as the kernel has it. None of these waits.
pub trait Port {
    /// One block, as far as it fits: what does not fit is lost.
    ///
    /// # Errors
    /// [`Trouble::EventFirst`], [`Trouble::NotNow`], [`Trouble::Gone`].
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble>;
    /// One block.
    ///
    /// # Errors
    /// As [`Port::read`].
    fn write(&mut self, from: &[u8]) -> Result<usize, Trouble>;
    /// The next event; 0 is none.
    ///
    /// # Errors
    /// [`Trouble::Gone`].
    fn event(&mut self) -> Result<i32, Trouble>;
    /// Rings, ceases, takes or leaves the line.
    ///
    /// # Errors
    /// [`Trouble::Busy`] while the line settles, [`Trouble::InProgress`], which is success.
    fn hook(&mut self, order: HookOrder) -> Result<(), Trouble>;
    /// Loop current flows now.
    ///
    /// # Errors
    /// [`Trouble::Gone`].
    fn is_off_hook(&mut self) -> Result<bool, Trouble>;
    /// On and off in turn, ms, then 0.
    ///
    /// # Errors
    /// [`Trouble::Gone`].
    fn set_cadence(&mut self, ms: [i32; 16]) -> Result<(), Trouble>;
    /// Forgets what was not read; the next block begins now.
    ///
    /// # Errors
    /// [`Trouble::Gone`].
    fn flush_read(&mut self) -> Result<(), Trouble>;
    /// Forgets what was not played.
    ///
    /// # Errors
    /// [`Trouble::Gone`].
    fn flush_write(&mut self) -> Result<(), Trouble>;
    /// Exchanges tip and ring.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`], also while the line rings.
    fn set_polarity(&mut self, reversed: bool) -> Result<(), Trouble>;
    /// Messages that wait.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`].
    fn set_messages(&mut self, messages: u16) -> Result<(), Trouble>;
    /// Lets audio pass to a phone that lies, for this long.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`].
    fn transmit_on_hook(&mut self, ms: u16) -> Result<(), Trouble>;
    /// To wait on.
    fn descriptor(&self) -> RawFd;
}

/// What the kernel tells (`DAHDI_EVENT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Put down.
    OnHook,
    /// Lifted.
    OffHook,
    /// A flash.
    Flash,
    /// An alarm was raised (`true`) or cleared.
    Alarm(bool),
    /// A burst of ringing begins (`true`) or ends.
    Ringer(bool),
    /// The first pulse of a digit.
    PulseStart,
    /// A dialled digit, ASCII.
    PulseDigit(u8),
    /// The card is gone.
    Removed,
    /// What the phone said was not read in time.
    Overrun,
    /// There was nothing to play.
    Underrun,
    /// Of no use here.
    Other,
}

impl Event {
    /// As dahdi/user.h numbers them.
    pub fn of(number: i32) -> Self {
        const PULSE_DIGIT: i32 = 1 << 16;
        match number {
            1 => Self::OnHook,
            2 => Self::OffHook,
            3 => Self::Flash,
            4 => Self::Alarm(true),
            5 => Self::Alarm(false),
            10 => Self::Ringer(true),
            11 => Self::Ringer(false),
            14 => Self::PulseStart,
            20 => Self::Removed,
            29 => Self::Overrun,
            30 => Self::Underrun,
            digit if digit & !0xff == PULSE_DIGIT => Self::PulseDigit(digit as u8),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_meaning() {
        let of = |errno: i32| Trouble::of(&Error::from_raw_os_error(errno));
        assert_eq!(of(500), Trouble::EventFirst);
        assert_eq!(of(115), Trouble::InProgress);
        assert_eq!(of(16), Trouble::Busy);
        assert_eq!(of(61), Trouble::NoToneZone);
        assert_eq!((of(19), of(6)), (Trouble::Gone, Trouble::NotConfigured));
        assert_eq!([of(25), of(38), of(22)], [Trouble::Unsupported; 3]);
        assert_eq!(of(5), Trouble::Other(5));
        assert!(of(19).is_final() && of(6).is_final() && !of(11).is_final());
    }

    #[test]
    fn events_are_those_of_the_header() {
        assert_eq!(Event::of(0x10000 | i32::from(b'7')), Event::PulseDigit(b'7'));
        assert_eq!(Event::of(0x20000 | i32::from(b'7')), Event::Other);
        let known = [1, 2, 3, 4, 5, 10, 11, 14, 20, 29, 30].map(Event::of);
        assert!(!known.contains(&Event::Other), "{known:?}");
        assert_eq!([Event::of(0), Event::of(12), Event::of(-1)], [Event::Other; 3]);
    }
}
