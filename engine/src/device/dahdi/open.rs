//! Opens a channel and sets it up, or says precisely why not. Ordinary threads only: the kernel
//! allocates, and may wait for the card.

use super::Opened;
use super::inventory::Address;
use super::ioctl::{Channel, Control, Gains, LAW_A, Params, SIGNALLING_FXOKS};
use super::port::Trouble;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tipring_shm_proto::command::Law;
use tipring_shm_proto::line_table::{DahdiFault, DahdiRow, LineVolts};
use tipring_shm_proto::units::Text32;

/// Where the kernel's nodes are.
pub const NODES: &str = "/dev/dahdi";

/// How channels are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Blocks of 20 ms that the kernel holds each way: 2 on hardware, 8 where it is emulated.
    pub buffers: u8,
    /// Longest flash, ms; a hang-up is known so much later (`rxflashtime`).
    pub flash_ms: u16,
    /// The kernel's gains; `None` leaves all as loud as it is.
    pub gains: Option<LawGains>,
}

/// Gains of a channel, whichever law it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LawGains {
    /// µ-law.
    pub mu: Gains,
    /// A-law.
    pub a: Gains,
}

/// Why a channel is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenError {
    /// What is wrong.
    pub fault: DahdiFault,
    /// What the kernel said, where that tells more.
    pub trouble: Option<Trouble>,
}

impl OpenError {
    const fn of(fault: DahdiFault) -> Self {
        Self { fault, trouble: None }
    }

    /// Of SPECIFY: EINVAL is no such channel, ENXIO one that is not configured.
    fn specify(trouble: Trouble) -> Self {
        let fault = match trouble {
            Trouble::Unsupported => DahdiFault::NoChannel,
            Trouble::NotConfigured => DahdiFault::NotConfigured,
            Trouble::Busy => DahdiFault::Busy,
            Trouble::Permission => DahdiFault::Permission,
            Trouble::Gone => DahdiFault::Removed,
            _ => DahdiFault::Kernel,
        };
        Self { fault, trouble: Some(trouble) }
    }

    /// Of what is asked of an open channel.
    fn setup(trouble: Trouble) -> Self {
        let fault = match trouble {
            Trouble::NoToneZone => DahdiFault::NoToneZone,
            Trouble::Gone | Trouble::NotConfigured => DahdiFault::Removed,
            _ => DahdiFault::Kernel,
        };
        Self { fault, trouble: Some(trouble) }
    }
}

/// In words, with what mends it.
pub fn describe(fault: DahdiFault) -> &'static str {
    match fault {
        DahdiFault::NoDriver => "DAHDI is not loaded: there is no /dev/dahdi/channel",
        DahdiFault::Permission => {
            "/dev/dahdi/channel may not be opened: the engine's user must be in its group"
        }
        DahdiFault::Version => "the kernel's DAHDI does not say its version: it is none of ours",
        DahdiFault::NoChannel => "there is no such channel or card: is it plugged in?",
        DahdiFault::NotConfigured => "the channel is not configured: run dahdi_cfg",
        DahdiFault::WrongSignalling => {
            "the channel is not signalled as fxoks: set it in /etc/dahdi/system.conf, run dahdi_cfg"
        }
        DahdiFault::NoToneZone => {
            "no tone zone is loaded: set loadzone and defaultzone in /etc/dahdi/system.conf, run \
             dahdi_cfg"
        }
        DahdiFault::Busy => "another program holds the channel",
        DahdiFault::Removed => "the card is gone",
        DahdiFault::Kernel => "the kernel refuses the channel",
    }
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(describe(self.fault))?;
        match self.trouble {
            Some(Trouble::Other(errno)) => {
                write!(f, " ({})", std::io::Error::from_raw_os_error(errno))
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for OpenError {}

/// `/dev/dahdi/ctl`, for reading, after a look at the version.
///
/// # Errors
/// `NoDriver`, `Permission`, `Version`.
pub fn control(nodes: &Path) -> Result<Control, OpenError> {
    let file = node(&nodes.join("ctl"), OpenOptions::new().read(true))?;
    let control = Control(file);
    control.version().map_err(|_| OpenError::of(DahdiFault::Version))?;
    Ok(control)
}

fn node(path: &Path, options: &OpenOptions) -> Result<File, OpenError> {
    options.open(path).map_err(|error| {
        let fault = match error.kind() {
            ErrorKind::NotFound => DahdiFault::NoDriver,
            ErrorKind::PermissionDenied => DahdiFault::Permission,
            // A node whose driver has left.
            _ if error.raw_os_error() == Some(libc::ENXIO) => DahdiFault::NoDriver,
            _ if error.raw_os_error() == Some(libc::ENODEV) => DahdiFault::NoDriver,
            _ => DahdiFault::Kernel,
        };
        OpenError { fault, trouble: Some(Trouble::of(&error)) }
    })
}

/// A channel that is set up: one descriptor for its frame loop, one for those who watch over it.
#[derive(Debug)]
pub struct OpenChannel {
    /// For the frame loop.
    pub opened: Opened,
    /// For the supervisor, which may wait for the card.
    pub watched: Watched,
}

/// Opens `number` through `NODES/channel`, which works whatever became of the links that udev
/// makes, and sets it up.
///
/// # Errors
/// See [`DahdiFault`].
pub fn open(nodes: &Path, number: u16, setup: &Setup) -> Result<OpenChannel, OpenError> {
    let path: PathBuf = nodes.join("channel");
    // Audio goes both ways: less than read and write does not work. A blocking read would not be
    // woken by an event.
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let file = node(&path, &options)?;
    let channel = Channel::specify(file, number).map_err(OpenError::specify)?;
    let params = channel.params().map_err(OpenError::setup)?;
    if params.signalling != SIGNALLING_FXOKS {
        return Err(OpenError::of(DahdiFault::WrongSignalling));
    }
    channel.need_tone_zone().map_err(OpenError::setup)?;
    set_up(&channel, params, setup).map_err(OpenError::setup)?;
    // The hook is looked at last: what changes from here on is told.
    let params = channel.params().map_err(OpenError::setup)?;
    let watched =
        channel.duplicate().map(Watched).map_err(|_| OpenError::of(DahdiFault::Kernel))?;
    let opened = Opened {
        port: channel,
        law: law_of(params),
        buffers: setup.buffers,
        flash_ms: setup.flash_ms,
        lifted: params.off_hook != 0,
    };
    Ok(OpenChannel { opened, watched })
}

fn law_of(params: Params) -> Law {
    if params.law == LAW_A { Law::A } else { Law::Mu }
}

/// What must be so, and what a driver may lack.
fn set_up(channel: &Channel, params: Params, setup: &Setup) -> Result<(), Trouble> {
    channel.set_buffers(setup.buffers)?;
    channel.set_params(&params.with_flash_ms(setup.flash_ms))?;
    if let Some(LawGains { mu, a }) = &setup.gains {
        channel.set_gains(if law_of(params) == Law::A { a } else { mu })?;
    }
    let lacking =
        [channel.tell_overruns(), channel.no_echo_canceller(), channel.lamp_by_reversal()];
    let lost = lacking.into_iter().find(|result| matches!(result, Err(t) if t.is_final()));
    lost.unwrap_or(Ok(()))
}

/// The supervisor's descriptor of an open channel.
#[derive(Debug)]
pub struct Watched(Channel);

impl Watched {
    /// What `dahdi_scan` would say of it now, and its voltages; `None` once it is gone. The
    /// driver may wait for its card.
    pub fn look(&self) -> Option<DahdiRow> {
        let params = self.0.params().ok()?;
        let span = self.0.span().ok()?;
        let volts = self.0.stats().ok();
        let number = |n: i32| u16::try_from(n).unwrap_or(0);
        Some(DahdiRow {
            channel: number(params.channel),
            span: number(params.span),
            position: number(params.position),
            signalling: params.signalling as u32,
            law: law_of(params),
            span_alarms: span.alarms as u32,
            channel_alarms: params.alarms,
            span_name: Text32::new(&span.name()),
            card: Text32::new(&span.device_type()),
            volts: volts.map(|v| LineVolts { tip: v.tip, ring: v.ring, battery: v.battery }),
            fault: None,
        })
    }
}

/// A name for an address in messages: `channel 3`, `port 2 of card 1234`.
pub fn name(address: &Address) -> String {
    match address {
        Address::Channel(number) => format!("channel {number}"),
        Address::Port { card, port } => format!("port {port} of card {card}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: Setup = Setup { buffers: 2, flash_ms: 1000, gains: None };

    #[test]
    fn what_is_wrong_is_said() {
        let missing = open(Path::new("/nonexistent"), 1, &SETUP).err().unwrap();
        assert_eq!(missing.fault, DahdiFault::NoDriver);
        assert_eq!(control(Path::new("/nonexistent")).err().unwrap().fault, DahdiFault::NoDriver);
        // A node that is none of DAHDI's.
        let dir = std::env::temp_dir().join(format!("tipring-nodes-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["channel", "ctl"] {
            let _ = std::os::unix::fs::symlink("/dev/null", dir.join(name));
        }
        assert_eq!(open(&dir, 1, &SETUP).err().unwrap().fault, DahdiFault::NoChannel);
        assert_eq!(control(&dir).err().unwrap().fault, DahdiFault::Version);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_kernels_words_have_their_cause() {
        let of = |trouble| OpenError::specify(trouble).fault;
        assert_eq!(of(Trouble::Unsupported), DahdiFault::NoChannel);
        assert_eq!(of(Trouble::NotConfigured), DahdiFault::NotConfigured);
        assert_eq!(of(Trouble::Busy), DahdiFault::Busy);
        assert_eq!(OpenError::setup(Trouble::NoToneZone).fault, DahdiFault::NoToneZone);
        let other = OpenError::specify(Trouble::Other(libc::EIO)).to_string();
        assert!(other.contains("refuses") && other.contains("error"), "{other}");
    }
}
