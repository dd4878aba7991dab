//! The kernel's interface, `dahdi/user.h` and `dahdi/wctdm_user.h`: numbers, structures, and the
//! calls. Nothing else of the back end is `unsafe`.
//!
//! One interface for every DAHDI from 2.11 to 3.4: the headers are the same, byte for byte.
//! Numbers are computed as the header's macros do, and compared with what a C compiler makes of
//! them (`tests/dahdi-vm/tests/machine.rs`, where the header is).
//!
//! # Real-time contract
//! The calls of [`Channel`] do not allocate. Those that [`super::port::Port`] offers do not wait on
//! a descriptor that was opened with `O_NONBLOCK`.

#![allow(unsafe_code, reason = "ioctl and poll take pointers")]

use super::port::{HookOrder, Port, Trouble};
use std::fs::File;
use std::io::{Error, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

#[cfg(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc64"
))]
compile_error!("ioctl numbers are made otherwise on this processor (asm/ioctl.h)");

/// `DAHDI_CODE`.
const TYPE: u8 = 0xDA;
/// `DAHDI_SIG_FXOKS`: an FXS port is driven with FXO signalling, kewlstart.
pub const SIGNALLING_FXOKS: i32 = 0x1020;
/// `DAHDI_ALARM_NOTOPEN`: the core sets it on a span that it disables, and clears it on one that it
/// gives a number.
const ALARM_NOTOPEN: i32 = 1 << 5;
/// `DAHDI_LAW_ALAW`, of [`Params::law`].
pub const LAW_A: i32 = 2;
/// `DAHDI_FLUSH_READ`, `DAHDI_FLUSH_WRITE`.
const FLUSH_READ: i32 = 1;
const FLUSH_WRITE: i32 = 2;

/// `_IOR`: the kernel writes a `T`.
const fn ior<T>(kind: u8, number: u8) -> u32 {
    code(2, kind, number, size_of::<T>())
}

/// `_IOW`: the kernel reads a `T`.
const fn iow<T>(kind: u8, number: u8) -> u32 {
    code(1, kind, number, size_of::<T>())
}

/// `_IOWR`: both.
const fn iowr<T>(kind: u8, number: u8) -> u32 {
    code(3, kind, number, size_of::<T>())
}

/// `_IOC` of `asm-generic/ioctl.h`.
const fn code(direction: u32, kind: u8, number: u8, size: usize) -> u32 {
    assert!(size < 1 << 14, "a size has 14 bits");
    direction << 30 | (size as u32) << 16 | (kind as u32) << 8 | number as u32
}

/// Names requests as the header does, and lists them.
macro_rules! requests {
    ($($name:ident = $code:expr;)*) => {
        $(const $name: u32 = $code;)*
        /// Every request that is made here.
        pub const REQUESTS: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
    };
}

requests! {
    DAHDI_SET_BLOCKSIZE = iow::<i32>(TYPE, 1);
    DAHDI_FLUSH = iow::<i32>(TYPE, 3);
    DAHDI_GET_PARAMS = iowr::<Params>(TYPE, 5);
    DAHDI_SET_PARAMS = iow::<Params>(TYPE, 5);
    DAHDI_HOOK = iow::<i32>(TYPE, 7);
    DAHDI_GETEVENT = ior::<i32>(TYPE, 8);
    DAHDI_SETGAINS = iow::<Gains>(TYPE, 16);
    DAHDI_SPANSTAT = iowr::<SpanInfo>(TYPE, 10);
    DAHDI_SETTONEZONE = iow::<i32>(TYPE, 22);
    DAHDI_SET_BUFINFO = iow::<BufferInfo>(TYPE, 27);
    DAHDI_ECHOCANCEL = iow::<i32>(TYPE, 33);
    DAHDI_SPECIFY = iow::<i32>(TYPE, 38);
    DAHDI_SETCADENCE = iow::<RingCadence>(TYPE, 42);
    DAHDI_ONHOOKTRANSFER = iow::<i32>(TYPE, 51);
    DAHDI_GETVERSION = ior::<VersionInfo>(TYPE, 57);
    WCTDM_GET_STATS = ior::<Stats>(TYPE, 60);
    DAHDI_SETPOLARITY = iow::<i32>(TYPE, 92);
    DAHDI_VMWI = iowr::<i32>(TYPE, 94);
    DAHDI_VMWI_CONFIG = iow::<u32>(TYPE, 95);
    DAHDI_BUFFER_EVENTS = iow::<i32>(TYPE, 105);
}

/// `DAHDI_VMWI_LREV`: a lamp is lit by line reversal, which every FXS driver has.
const VMWI_LINE_REVERSAL: u32 = 1;

/// `struct dahdi_params`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Number of the channel; 0 is the one that is open.
    pub channel: i32,
    /// Number of its span.
    pub span: i32,
    /// Position in the span, from 1.
    pub position: i32,
    /// `DAHDI_SIG_*`; 0 is not configured.
    pub signalling: i32,
    signalling_capable: i32,
    /// Not 0: loop current flows, debounced by the card alone.
    pub off_hook: i32,
    receive_bits: i32,
    transmit_bits: i32,
    transmit_hook: i32,
    receive_hook: i32,
    /// 1 µ-law, 2 A-law.
    pub law: i32,
    idle_bits: i32,
    name: [u8; 40],
    prewink_ms: i32,
    preflash_ms: i32,
    wink_ms: i32,
    flash_ms: i32,
    start_ms: i32,
    receive_wink_ms: i32,
    receive_flash_ms: i32,
    debounce_ms: i32,
    pulse_break_ms: i32,
    pulse_make_ms: i32,
    pulse_after_ms: i32,
    /// `DAHDI_ALARM_*`.
    pub alarms: u32,
}

/// `struct dahdi_spaninfo`. The header packs it.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct SpanInfo {
    /// Number of the span; 0 is that of the channel.
    pub span: i32,
    name: [u8; 20],
    description: [u8; 40],
    /// `DAHDI_ALARM_*`.
    pub alarms: i32,
    levels: [i32; 2],
    counts: [i32; 10],
    sync_source: i32,
    /// Channels that are configured.
    pub configured: i32,
    /// Channels.
    pub channels: i32,
    /// Spans of the whole machine.
    pub spans: i32,
    line_build_out: i32,
    line_config: i32,
    line_build_out_name: [u8; 40],
    location: [u8; 40],
    manufacturer: [u8; 40],
    device_type: [u8; 40],
    irq: i32,
    line_compatible: i32,
    span_type: [u8; 6],
}

/// `struct dahdi_bufferinfo`.
#[repr(C)]
#[derive(Clone, Copy)]
struct BufferInfo {
    /// 0: what was written is played at once.
    transmit_policy: i32,
    receive_policy: i32,
    buffers: i32,
    octets: i32,
    read_buffers: i32,
    write_buffers: i32,
}

/// `struct dahdi_ring_cadence`: on and off in turn, ms; what is left is 0.
#[repr(C)]
#[derive(Clone, Copy)]
struct RingCadence {
    ms: [i32; 16],
}

/// `struct dahdi_versioninfo`.
#[repr(C)]
#[derive(Clone, Copy)]
struct VersionInfo {
    version: [u8; 80],
    echo_canceller: [u8; 80],
}

/// `struct wctdm_stats`, mV.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tip wire.
    pub tip: i32,
    /// Ring wire.
    pub ring: i32,
    /// Battery.
    pub battery: i32,
}

/// `struct dahdi_gains`: what stands in place of each octet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gains {
    /// 0 is the channel that is open.
    channel: i32,
    from_phone: [u8; 256],
    to_phone: [u8; 256],
}

const _: () = {
    assert!(size_of::<Params>() == 136 && size_of::<SpanInfo>() == 314);
    assert!(size_of::<BufferInfo>() == 24 && size_of::<RingCadence>() == 64);
    assert!(size_of::<VersionInfo>() == 160 && size_of::<Stats>() == 12);
    assert!(size_of::<Gains>() == 516);
    assert!(std::mem::offset_of!(Params, signalling) == 12);
    assert!(std::mem::offset_of!(Params, off_hook) == 20);
    assert!(std::mem::offset_of!(Params, law) == 40);
    assert!(std::mem::offset_of!(Params, name) == 48);
    assert!(std::mem::offset_of!(Params, prewink_ms) == 88);
    assert!(std::mem::offset_of!(Params, receive_flash_ms) == 112);
    assert!(std::mem::offset_of!(Params, debounce_ms) == 116);
    assert!(std::mem::offset_of!(Params, pulse_after_ms) == 128);
    assert!(std::mem::offset_of!(Params, alarms) == 132);
    assert!(std::mem::offset_of!(SpanInfo, description) == 24);
    assert!(std::mem::offset_of!(SpanInfo, alarms) == 64);
    assert!(std::mem::offset_of!(SpanInfo, configured) == 120);
    assert!(std::mem::offset_of!(SpanInfo, channels) == 124);
    assert!(std::mem::offset_of!(SpanInfo, spans) == 128);
    assert!(std::mem::offset_of!(SpanInfo, location) == 180);
    assert!(std::mem::offset_of!(SpanInfo, manufacturer) == 220);
    assert!(std::mem::offset_of!(SpanInfo, device_type) == 260);
    assert!(std::mem::offset_of!(SpanInfo, irq) == 300);
    assert!(std::mem::offset_of!(SpanInfo, span_type) == 308);
};

impl Params {
    /// Of this channel, to be asked of `/dev/dahdi/ctl`; 0 is the one that is open.
    pub fn of(channel: u16) -> Self {
        // SAFETY: integers and octets, for all of which 0 is a value.
        let mut params: Self = unsafe { std::mem::zeroed() };
        params.channel = i32::from(channel);
        params
    }

    /// The same with another longest flash (`rxflashtime`).
    #[must_use]
    pub fn with_flash_ms(self, ms: u16) -> Self {
        Self { receive_flash_ms: i32::from(ms), ..self }
    }
}

impl Gains {
    /// Of the channel that is open: what stands in place of each octet that the phone says, and of each
    /// that it hears.
    pub const fn new(from_phone: [u8; 256], to_phone: [u8; 256]) -> Self {
        Self { channel: 0, from_phone, to_phone }
    }
}

impl SpanInfo {
    /// Of this span; 0 is that of the channel.
    pub fn of(span: u16) -> Self {
        // SAFETY: integers and octets, for all of which 0 is a value.
        let mut info: Self = unsafe { std::mem::zeroed() };
        info.span = i32::from(span);
        info
    }

    /// Its name, as its driver gives it.
    pub fn name(&self) -> String {
        text(&self.name)
    }

    /// The card.
    pub fn device_type(&self) -> String {
        text(&self.device_type)
    }

    /// What the span is.
    pub fn description(&self) -> String {
        text(&self.description)
    }
}

/// What stands before the first 0; the kernel's names are ASCII.
fn text(octets: &[u8]) -> String {
    let end = octets.iter().position(|octet| *octet == 0).unwrap_or(octets.len());
    String::from_utf8_lossy(&octets[..end]).into_owned()
}

/// Hands `argument` to the kernel, which may change it.
fn call<T: Copy>(file: &File, number: u32, argument: &mut T) -> Result<(), Trouble> {
    let pointer: *mut T = argument;
    // SAFETY: the number says the size of `T` (see `ior`, `iow`, `iowr`), which is plain data of
    // the kernel's layout (see the assertions above), ours alone for the time of the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), number.into(), pointer) };
    if result < 0 { Err(Trouble::of(&Error::last_os_error())) } else { Ok(()) }
}

fn set(file: &File, number: u32, value: i32) -> Result<(), Trouble> {
    let mut value = value;
    call(file, number, &mut value)
}

/// `/dev/dahdi/ctl`: what is known of channels without opening them.
#[derive(Debug)]
pub struct Control(pub File);

impl Control {
    /// `DAHDI_GETVERSION`.
    ///
    /// # Errors
    /// A kernel that does not know it is none of ours.
    pub fn version(&self) -> Result<String, Trouble> {
        let mut info = VersionInfo { version: [0; 80], echo_canceller: [0; 80] };
        call(&self.0, DAHDI_GETVERSION, &mut info)?;
        Ok(text(&info.version))
    }

    /// `DAHDI_GET_PARAMS` of a channel.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`] where there is no such channel.
    pub fn params(&self, channel: u16) -> Result<Params, Trouble> {
        let mut params = Params::of(channel);
        call(&self.0, DAHDI_GET_PARAMS, &mut params)?;
        Ok(params)
    }

    /// The card of this channel is being taken away. The kernel says so a second before the channel
    /// is gone (`disable_span`), and lets it be opened all the while.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`] where there is no such channel.
    pub fn is_leaving(&self, channel: u16) -> Result<bool, Trouble> {
        let params = self.params(channel)?;
        let mut info = SpanInfo::of(u16::try_from(params.span).unwrap_or(0));
        call(&self.0, DAHDI_SPANSTAT, &mut info)?;
        Ok(info.alarms & ALARM_NOTOPEN != 0)
    }
}

/// One channel of a card: the descriptor of `/dev/dahdi/channel`, specified.
#[derive(Debug)]
pub struct Channel(File);

impl Channel {
    /// `DAHDI_SPECIFY`: makes an open `/dev/dahdi/channel` this channel.
    ///
    /// # Errors
    /// As the kernel says: no such channel, not configured, in use.
    pub fn specify(file: File, channel: u16) -> Result<Self, Trouble> {
        set(&file, DAHDI_SPECIFY, i32::from(channel))?;
        Ok(Self(file))
    }

    /// Another descriptor of the same channel, which stays open until both are closed.
    ///
    /// # Errors
    /// No descriptor is free.
    pub fn duplicate(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// `DAHDI_GET_PARAMS`.
    ///
    /// # Errors
    /// The channel is gone.
    pub fn params(&self) -> Result<Params, Trouble> {
        let mut params = Params::of(0);
        call(&self.0, DAHDI_GET_PARAMS, &mut params)?;
        Ok(params)
    }

    /// `DAHDI_SET_PARAMS`: of these the kernel takes the times.
    ///
    /// # Errors
    /// The channel is gone.
    pub fn set_params(&self, params: &Params) -> Result<(), Trouble> {
        call(&self.0, DAHDI_SET_PARAMS, &mut { *params })
    }

    /// `DAHDI_SPANSTAT`.
    ///
    /// # Errors
    /// The channel is gone.
    pub fn span(&self) -> Result<SpanInfo, Trouble> {
        let mut info = SpanInfo::of(0);
        call(&self.0, DAHDI_SPANSTAT, &mut info)?;
        Ok(info)
    }

    /// `WCTDM_GET_STATS`. The driver may wait for its card.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`] where the driver has none.
    pub fn stats(&self) -> Result<Stats, Trouble> {
        let mut stats = Stats::default();
        call(&self.0, WCTDM_GET_STATS, &mut stats)?;
        Ok(stats)
    }

    /// `DAHDI_SETTONEZONE` to the default one, which a channel has anyway: asking for the number
    /// of its zone would not tell none from the first.
    ///
    /// # Errors
    /// [`Trouble::NoToneZone`] where none is loaded.
    pub fn need_tone_zone(&self) -> Result<(), Trouble> {
        set(&self.0, DAHDI_SETTONEZONE, -1)
    }

    /// Blocks of 160 samples, so many each way; what was written is played at once.
    ///
    /// # Errors
    /// No memory, or the channel is gone.
    pub fn set_buffers(&self, buffers: u8) -> Result<(), Trouble> {
        set(&self.0, DAHDI_SET_BLOCKSIZE, super::BLOCK as i32)?;
        let mut info = BufferInfo {
            transmit_policy: 0,
            receive_policy: 0,
            buffers: i32::from(buffers),
            octets: super::BLOCK as i32,
            read_buffers: 0,
            write_buffers: 0,
        };
        call(&self.0, DAHDI_SET_BUFINFO, &mut info)
    }

    /// `DAHDI_BUFFER_EVENTS`: overruns and underruns are told.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`] where the kernel is older.
    pub fn tell_overruns(&self) -> Result<(), Trouble> {
        set(&self.0, DAHDI_BUFFER_EVENTS, 1)
    }

    /// `DAHDI_ECHOCANCEL` with no taps: the kernel's echo canceller is off.
    ///
    /// # Errors
    /// The channel is gone.
    pub fn no_echo_canceller(&self) -> Result<(), Trouble> {
        set(&self.0, DAHDI_ECHOCANCEL, 0)
    }

    /// `DAHDI_VMWI_CONFIG`: lamps are lit by line reversal.
    ///
    /// # Errors
    /// [`Trouble::Unsupported`] where the driver has no lamps.
    pub fn lamp_by_reversal(&self) -> Result<(), Trouble> {
        let mut kind = VMWI_LINE_REVERSAL;
        call(&self.0, DAHDI_VMWI_CONFIG, &mut kind)
    }

    /// `DAHDI_SETGAINS`: the kernel's own gains, which every driver has. Not `DAHDI_SET_HWGAIN`: of an
    /// FXS port all drivers ignore it, and say that it is done.
    ///
    /// # Errors
    /// No memory, or the channel is gone.
    pub fn set_gains(&self, gains: &Gains) -> Result<(), Trouble> {
        call(&self.0, DAHDI_SETGAINS, &mut { *gains })
    }
}

impl Port for Channel {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Trouble> {
        self.0.read(into).map_err(|e| Trouble::of(&e))
    }

    fn write(&mut self, from: &[u8]) -> Result<usize, Trouble> {
        self.0.write(from).map_err(|e| Trouble::of(&e))
    }

    fn event(&mut self) -> Result<i32, Trouble> {
        let mut event = 0;
        call(&self.0, DAHDI_GETEVENT, &mut event)?;
        Ok(event)
    }

    fn hook(&mut self, order: HookOrder) -> Result<(), Trouble> {
        set(&self.0, DAHDI_HOOK, order as i32)
    }

    fn is_off_hook(&mut self) -> Result<bool, Trouble> {
        Ok(self.params()?.off_hook != 0)
    }

    fn set_cadence(&mut self, ms: [i32; 16]) -> Result<(), Trouble> {
        call(&self.0, DAHDI_SETCADENCE, &mut RingCadence { ms })
    }

    fn flush_read(&mut self) -> Result<(), Trouble> {
        set(&self.0, DAHDI_FLUSH, FLUSH_READ)
    }

    fn flush_write(&mut self) -> Result<(), Trouble> {
        set(&self.0, DAHDI_FLUSH, FLUSH_WRITE)
    }

    fn set_polarity(&mut self, reversed: bool) -> Result<(), Trouble> {
        set(&self.0, DAHDI_SETPOLARITY, i32::from(reversed))
    }

    fn set_messages(&mut self, messages: u16) -> Result<(), Trouble> {
        set(&self.0, DAHDI_VMWI, i32::from(messages))
    }

    fn transmit_on_hook(&mut self, ms: u16) -> Result<(), Trouble> {
        set(&self.0, DAHDI_ONHOOKTRANSFER, i32::from(ms))
    }

    fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Waits until something is ready on one of `entries`, or for `ms`. An entry with a negative
/// descriptor is left out. An interrupted wait is one that ended early, with nothing ready.
pub fn wait(entries: &mut [libc::pollfd], ms: u16) {
    // SAFETY: pointer and length are those of a slice that is ours alone for the time of the call.
    let ready =
        unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, ms.into()) };
    if ready < 0 {
        // Nothing may be read from what a failed call left.
        for entry in entries {
            entry.revents = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a C compiler makes them of `dahdi/user.h` and `dahdi/wctdm_user.h`, on x86-64.
    #[test]
    fn numbers_are_those_of_the_header() {
        let numbers = [
            ("DAHDI_SET_BLOCKSIZE", 0x4004_da01),
            ("DAHDI_FLUSH", 0x4004_da03),
            ("DAHDI_GET_PARAMS", 0xc088_da05),
            ("DAHDI_SET_PARAMS", 0x4088_da05),
            ("DAHDI_HOOK", 0x4004_da07),
            ("DAHDI_GETEVENT", 0x8004_da08),
            ("DAHDI_SETGAINS", 0x4204_da10),
            ("DAHDI_SPANSTAT", 0xc13a_da0a),
            ("DAHDI_SETTONEZONE", 0x4004_da16),
            ("DAHDI_SET_BUFINFO", 0x4018_da1b),
            ("DAHDI_ECHOCANCEL", 0x4004_da21),
            ("DAHDI_SPECIFY", 0x4004_da26),
            ("DAHDI_SETCADENCE", 0x4040_da2a),
            ("DAHDI_ONHOOKTRANSFER", 0x4004_da33),
            ("DAHDI_GETVERSION", 0x80a0_da39),
            ("WCTDM_GET_STATS", 0x800c_da3c),
            ("DAHDI_SETPOLARITY", 0x4004_da5c),
            ("DAHDI_VMWI", 0xc004_da5e),
            ("DAHDI_VMWI_CONFIG", 0x4004_da5f),
            ("DAHDI_BUFFER_EVENTS", 0x4004_da69),
        ];
        assert_eq!(REQUESTS, numbers);
    }

    #[test]
    fn a_descriptor_that_is_none_of_dahdi_is_refused() {
        let file = File::open("/dev/null").unwrap();
        let channel = Channel::specify(file.try_clone().unwrap(), 1);
        assert_eq!(channel.err(), Some(Trouble::Unsupported));
        assert_eq!(Control(file).version(), Err(Trouble::Unsupported));
    }

    #[test]
    fn waiting_leaves_out_what_is_not_there() {
        let mut entries = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }];
        wait(&mut entries, 0);
        assert_eq!(entries[0].revents, 0);
    }

    #[test]
    fn texts_end_at_their_first_zero() {
        assert_eq!(text(b"WCTDM/0\0junk"), "WCTDM/0");
        assert_eq!(text(b"full"), "full");
    }
}
