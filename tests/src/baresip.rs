//! baresip (Debian's 1.0.0), driven over its control port. What it says is a WAV; what it hears is
//! recorded by its sndfile filter, as is what it really said.

use crate::process::{Folder, Process};
use crate::signal::{read_growing_wav, write_wav};
use crate::wait::{GENEROUS, until};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// A telephone to be.
#[derive(Clone, Debug)]
pub struct Telephone {
    /// SIP user and line id.
    pub user: String,
    /// Its secret; without one it does not register.
    pub password: Option<String>,
    /// `host:port` of its registrar.
    pub registrar: String,
    /// What it says in every call, from the answer on. The call ends when it is all said.
    pub says: Vec<i16>,
    /// Answers by itself.
    pub answers: bool,
    /// Codec: `PCMU` or `PCMA`.
    pub codec: String,
    /// Transport: `udp`, `tcp` or `tls`.
    pub transport: String,
    /// PEM of the only certificate that it trusts.
    pub trusts: Option<PathBuf>,
    /// Insists on SRTP with keys in the SDP, and offers rtcp-mux.
    pub encrypts: bool,
    /// Where it listens.
    pub host: IpAddr,
    /// Its account as baresip has it, instead of what the fields above say of it.
    pub account: Option<String>,
}

impl Telephone {
    /// One that registers at `registrar` with the demonstration secret and does not answer by
    /// itself.
    pub fn new(user: &str, registrar: &str, says: Vec<i16>) -> Self {
        Self {
            user: user.into(),
            password: Some("secret".into()),
            registrar: registrar.into(),
            says,
            answers: false,
            codec: "PCMU".into(),
            transport: "udp".into(),
            trusts: None,
            encrypts: false,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            account: None,
        }
    }
}

#[derive(Debug, Default)]
struct Heard {
    messages: Vec<(Instant, Value)>,
    cursor: usize,
}

/// A running baresip.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    control: TcpStream,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    folder: Folder,
    /// Its SIP port.
    pub port: u16,
}

impl Baresip {
    /// Starts it and, where it has a password, waits until it is registered.
    ///
    /// # Panics
    /// If it does not start or register within a minute.
    #[track_caller]
    pub fn start(telephone: &Telephone) -> Self {
        let phone = Self::start_unregistered(telephone);
        if telephone.password.is_some() {
            // The event may come before its control port is connected; the log keeps it.
            crate::wait::until_true("its registration", GENEROUS, || {
                phone.log().contains("[1 binding]")
            });
        }
        phone
    }

    /// Starts it and does not wait for its registration.
    ///
    /// # Panics
    /// If it does not start within a minute.
    #[track_caller]
    pub fn start_unregistered(telephone: &Telephone) -> Self {
        let folder = Folder::new(&telephone.user);
        let port = crate::system::free_port(telephone.host);
        let control_port = crate::system::free_port(telephone.host);
        // Below the ports that the system under test is given.
        let rtp = 8100 + port.saturating_sub(20_000) / 4 * 6;
        let host = telephone.host;
        std::fs::create_dir_all(folder.file("heard")).expect("folder");
        write_wav(&folder.file("says.wav"), &telephone.says);
        let mut config = String::new();
        for line in [
            "poll_method epoll".to_owned(),
            format!("sip_listen {host}:{port}"),
            format!("net_interface {host}"),
            "call_local_timeout 120".to_owned(),
            "call_max_calls 4".to_owned(),
            "audio_buffer 20-160".to_owned(),
            "audio_player aubridge,ear".to_owned(),
            format!("audio_source aufile,{}", folder.file("says.wav").display()),
            "audio_alert aubridge,bell".to_owned(),
            "ausrc_srate 8000".to_owned(),
            "auplay_srate 8000".to_owned(),
            "ausrc_channels 1".to_owned(),
            "auplay_channels 1".to_owned(),
            "audio_txmode thread".to_owned(),
            format!("rtp_ports {rtp}-{}", rtp + 5),
            format!("rtcp_mux {}", if telephone.encrypts { "yes" } else { "no" }),
            "jitter_buffer_delay 2-10".to_owned(),
            format!("module_path {}", modules().display()),
            "module g711.so".to_owned(),
            "module sndfile.so".to_owned(),
            "module aufile.so".to_owned(),
            "module aubridge.so".to_owned(),
            "module srtp.so".to_owned(),
            "module_tmp account.so".to_owned(),
            "module_app menu.so".to_owned(),
            "module_app ctrl_tcp.so".to_owned(),
            format!("ctrl_tcp_listen {host}:{control_port}"),
            format!("snd_path {}", folder.file("heard").display()),
        ] {
            writeln!(config, "{line}").expect("in memory");
        }
        if let Some(certificate) = &telephone.trusts {
            writeln!(config, "sip_cafile {}", certificate.display()).expect("in memory");
        }
        std::fs::write(folder.file("config"), config).expect("written");
        let registration = telephone
            .password
            .as_ref()
            .map_or("regint=0".into(), |p| format!("auth_pass={p};regint=600"));
        let as_told = || {
            format!(
                "<sip:{}@{};transport={}>;{registration};answermode={};audio_codecs={}/8000/1{}\n",
                telephone.user,
                telephone.registrar,
                telephone.transport,
                if telephone.answers { "auto" } else { "manual" },
                telephone.codec,
                if telephone.encrypts { ";mediaenc=srtp-mand" } else { "" },
            )
        };
        let account = telephone.account.clone().unwrap_or_else(as_told);
        std::fs::write(folder.file("accounts"), account).expect("written");
        std::fs::write(folder.file("contacts"), "").expect("written");
        let mut command = Command::new("baresip");
        command.arg("-f").arg(folder.path());
        let process = Process::start(&mut command, &folder.file("log"));
        let control = until("baresip's control port", GENEROUS, || {
            TcpStream::connect((host, control_port)).ok()
        });
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let (theirs, reader) = (heard.clone(), control.try_clone().expect("socket"));
        std::thread::spawn(move || read_netstrings(reader, &theirs));
        Self { process, control, heard, folder, port }
    }

    /// Sends a command of its menu.
    pub fn command(&self, name: &str, parameters: &str) {
        let text = json!({"command": name, "params": parameters, "token": name}).to_string();
        let _ = (&self.control).write_all(format!("{}:{text},", text.len()).as_bytes());
    }

    /// Dials a number at its registrar, or a whole SIP address.
    pub fn dial(&self, number: &str) {
        self.command("dial", number);
    }

    /// Answers.
    pub fn answer(&self) {
        self.command("accept", "");
    }

    /// Hangs up or refuses.
    pub fn hang_up(&self) {
        self.command("hangup", "");
    }

    /// Presses keys, by RFC 4733.
    pub fn press(&self, digits: &str) {
        self.command("sndcode", digits);
    }

    /// Waits for a message of the control port, among those after the one found last.
    ///
    /// # Panics
    /// If it does not come within a minute.
    #[track_caller]
    pub fn expect(&self, what: &str, fits: impl Fn(&Value) -> bool) -> (Instant, Value) {
        let begin = Instant::now();
        let (mutex, changed) = &*self.heard;
        let mut heard = mutex.lock().expect("the reader does not panic");
        loop {
            let cursor = heard.cursor;
            if let Some(found) = heard.messages[cursor..].iter().position(|(_, m)| fits(m)) {
                heard.cursor = cursor + found + 1;
                return heard.messages[cursor + found].clone();
            }
            let Some(left) = GENEROUS.checked_sub(begin.elapsed()) else {
                let came: Vec<String> =
                    heard.messages[cursor..].iter().map(|(_, m)| m.to_string()).collect();
                drop(heard);
                panic!("no {what}; came:\n{}\n{}", came.join("\n"), self.process.log());
            };
            heard = changed.wait_timeout(heard, left).expect("the reader does not panic").0;
        }
    }

    /// Waits for its call event of this type, such as `CALL_ESTABLISHED`.
    #[track_caller]
    pub fn expect_event(&self, kind: &str) -> Instant {
        self.expect(kind, |m| m["type"] == kind).0
    }

    /// What it has heard in its latest call so far. Written in blocks, so up to half a second
    /// behind until the call ends.
    pub fn heard(&self) -> Vec<i16> {
        self.recording("-dec.wav").map(|path| read_growing_wav(&path)).unwrap_or_default()
    }

    /// What it has said in its latest call so far.
    pub fn said(&self) -> Vec<i16> {
        self.recording("-enc.wav").map(|path| read_growing_wav(&path)).unwrap_or_default()
    }

    /// Waits until its recording is so long.
    ///
    /// # Panics
    /// If it does not grow to that in a minute beyond its own duration.
    #[track_caller]
    pub fn heard_of(&self, ms: usize) -> Vec<i16> {
        let limit = GENEROUS + std::time::Duration::from_millis(ms as u64);
        until(&format!("{ms} ms in the recording"), limit, || {
            let heard = self.heard();
            (heard.len() >= crate::signal::samples(ms)).then_some(heard)
        })
    }

    fn recording(&self, end: &str) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.file("heard"))
            .ok()?
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|path| path.to_string_lossy().ends_with(end))
            .collect();
        files.sort();
        files.pop()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Kills it, as a phone dies whose power is cut.
    pub fn cut_power(&mut self) {
        self.process.kill();
    }
}

fn modules() -> PathBuf {
    let by_architecture = format!("/usr/lib/{}-linux-gnu/baresip/modules", std::env::consts::ARCH);
    ["/usr/lib/baresip/modules", &by_architecture, "/usr/local/lib/baresip/modules"]
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .unwrap_or_else(|| "/usr/lib/baresip/modules".into())
}

fn read_netstrings(mut stream: TcpStream, heard: &(Mutex<Heard>, Condvar)) {
    let mut buffer = Vec::new();
    let mut block = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut block) {
        buffer.extend_from_slice(&block[..count]);
        while let Some((message, used)) = netstring(&buffer) {
            let value = serde_json::from_slice(message).unwrap_or(Value::Null);
            heard.0.lock().expect("nobody panics with it").messages.push((Instant::now(), value));
            heard.1.notify_all();
            buffer.drain(..used);
        }
    }
}

/// The first netstring of `buffer`, and how much of it that is.
fn netstring(buffer: &[u8]) -> Option<(&[u8], usize)> {
    let colon = buffer.iter().position(|&b| b == b':')?;
    let length: usize = std::str::from_utf8(&buffer[..colon]).ok()?.trim().parse().ok()?;
    let message = buffer.get(colon + 1..colon + 1 + length)?;
    buffer.get(colon + 1 + length)?;
    Some((message, colon + 2 + length))
}
