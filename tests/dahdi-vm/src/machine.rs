//! The virtual machine: started, told what to run, and ended with the test.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tipring_tests::process::{Folder, Process};
use tipring_tests::system::{free_port, repository};

/// Where the guest's root shell listens.
const SHELL_PORT: u16 = 2323;
/// How long a machine may take to answer: it may have to boot on a busy host.
const BOOT_PATIENCE: Duration = Duration::from_mins(3);
/// How long one command may take in the guest.
const COMMAND_PATIENCE: Duration = Duration::from_mins(2);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running machine; ended when dropped.
#[derive(Debug)]
pub struct Machine {
    shell: Mutex<Shell>,
    shell_port: u16,
    forwards: Vec<(u16, u16)>,
    folder: Folder,
    _process: Process,
}

impl Machine {
    /// A machine that has just booted, nothing of Tipring in it.
    #[track_caller]
    pub fn boot() -> Self {
        Self::boot_with(&[])
    }

    /// One whose TCP `ports` can be reached from the host; [`Self::address`] says where.
    ///
    /// # Panics
    /// If it was not built or does not start.
    #[track_caller]
    pub fn boot_with(ports: &[u16]) -> Self {
        Self::start(ports, None)
    }

    /// Like [`Self::boot_with`], its second network card joined to the host's interface `tap`.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn boot_on_lan(ports: &[u16], tap: &str) -> Self {
        Self::start(ports, Some(tap))
    }

    #[track_caller]
    fn start(ports: &[u16], tap: Option<&str>) -> Self {
        assert!(image().join(".image").exists(), "no virtual machine: make test-dahdi builds it");
        let folder = Folder::new("vm");
        let share = folder.file("share");
        std::fs::create_dir_all(&share).expect("a folder to share");
        let mut command = Command::new(repository().join("tests/dahdi-vm/run"));
        command.arg("--share").arg(&share).arg("--log").arg(folder.file("console.log"));
        let forwards: Vec<(u16, u16)> = [SHELL_PORT, crate::telephone::PORT]
            .iter()
            .chain(ports)
            .map(|&guest| forward(guest))
            .collect();
        for (host, guest) in &forwards {
            command.arg("--forward").arg(format!("tcp:127.0.0.1:{host}-:{guest}"));
        }
        if let Some(tap) = tap {
            command.args(["--tap", tap]);
        }
        let mut process = Process::start(&mut command, &folder.file("qemu.log"));
        let shell_port = forwards[0].0;
        let begin = Instant::now();
        let shell = loop {
            if let Some(shell) = Shell::try_open(shell_port) {
                break shell;
            }
            assert!(process.runs(), "the machine ended: {}", process.log());
            assert!(begin.elapsed() < BOOT_PATIENCE, "the machine does not answer");
        };
        let shell = Mutex::new(shell);
        let machine = Self { shell, shell_port, forwards, folder, _process: process };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        machine.run(&format!(
            "date -s @{now} && mkdir -p /host && \
             mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,access=any host /host"
        ));
        machine
    }

    /// Runs `command` in a shell of the guest, as root, and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        let (status, output) = self.try_run(command);
        assert!(status == 0, "{command}\nended with status {status}:\n{output}");
        output
    }

    /// Its exit status and what it printed.
    ///
    /// # Panics
    /// If the machine does not answer any more.
    #[track_caller]
    pub fn try_run(&self, command: &str) -> (i32, String) {
        self.shell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).run(command)
    }

    /// Asks again and again until `command` succeeds.
    ///
    /// # Panics
    /// If it does not within `limit`.
    #[track_caller]
    pub fn wait_for(&self, what: &str, limit: Duration, command: &str) -> String {
        let begin = Instant::now();
        loop {
            let (status, output) = self.try_run(command);
            if status == 0 {
                return output;
            }
            let waited = begin.elapsed();
            assert!(waited < limit, "waited {waited:?} in vain for {what}: {command}\n{output}");
        }
    }

    /// A shell of its own, for a thread that is not to wait for the others' commands.
    ///
    /// # Panics
    /// If the machine does not answer.
    #[track_caller]
    pub fn shell(&self) -> Shell {
        Shell::try_open(self.shell_port).expect("the machine answers")
    }

    /// `host:port` by which a forwarded port of the guest is reached.
    ///
    /// # Panics
    /// If it is not forwarded.
    pub fn address(&self, guest_port: u16) -> String {
        let found = self.forwards.iter().find(|(_, guest)| *guest == guest_port);
        let (host, _) = found.unwrap_or_else(|| panic!("port {guest_port} is not forwarded"));
        format!("127.0.0.1:{host}")
    }

    /// The folder that the guest sees as `/host`.
    pub fn share(&self) -> PathBuf {
        self.folder.file("share")
    }

    /// Gives the guest a file of the host, as `/host/{name}`.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn lend(&self, file: &Path, name: &str) {
        let to = self.share().join(name);
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).expect("a folder in the share");
        }
        std::fs::copy(file, to).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    }

    /// Writes a file in the guest.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        assert!(!text.contains("END-OF-FILE"), "the text's own end");
        self.run(&format!(
            "mkdir -p \"$(dirname {path})\" && cat >{path} <<'END-OF-FILE'\n{text}\nEND-OF-FILE"
        ));
    }

    /// What a unit wrote to the journal since the boot.
    #[track_caller]
    pub fn journal(&self, unit: &str) -> String {
        self.run(&format!("journalctl -b -u {unit} -o short-monotonic --no-pager"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(mut shell) = self.shell.try_lock()
            && let Ok((_, text)) = shell.ask("journalctl -b -o short-monotonic --no-pager -n 60")
        {
            eprintln!("──── the end of the guest's journal\n{text}");
        }
    }
}

/// A root shell of the guest.
#[derive(Debug)]
pub struct Shell(TcpStream);

impl Shell {
    /// The emulator takes a connection before the guest does: only an answer proves a shell.
    fn try_open(port: u16) -> Option<Self> {
        let stream = TcpStream::connect((LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.set_nodelay(true).ok()?;
        let mut shell = Self(stream);
        let answers = shell.ask("true").is_ok();
        if !answers {
            std::thread::sleep(Duration::from_millis(100));
            return None;
        }
        shell.0.set_read_timeout(Some(COMMAND_PATIENCE)).ok()?;
        Some(shell)
    }

    /// Exit status and output of one command.
    ///
    /// # Panics
    /// If the machine does not answer any more.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> (i32, String) {
        self.ask(command).unwrap_or_else(|e| panic!("{command}\ngot no answer: {e}"))
    }

    fn ask(&mut self, command: &str) -> std::io::Result<(i32, String)> {
        self.0.write_all(format!("{command}\0").as_bytes())?;
        let mut answer = Vec::new();
        let mut chunk = [0; 16_384];
        // Output, NUL, status, NUL: see guest/usr/local/sbin/vm-shell.
        while answer.split(|&octet| octet == 0).count() < 3 {
            match self.0.read(&mut chunk)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => answer.extend_from_slice(&chunk[..n]),
            }
        }
        let text = String::from_utf8_lossy(&answer);
        let mut parts = text.split('\0');
        let output = parts.next().unwrap_or_default().trim_end().to_owned();
        let status = parts.next().and_then(|s| s.parse().ok()).unwrap_or(-1);
        Ok((status, output))
    }
}

/// A free port of the host for one of the guest.
fn forward(guest: u16) -> (u16, u16) {
    (free_port(LOCALHOST), guest)
}

/// Where the built machine is.
pub fn image() -> PathBuf {
    std::env::var_os("TIPRING_DAHDI_VM").map_or_else(
        || {
            let target = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| repository().join("target"), PathBuf::from);
            target.join("dahdi-vm")
        },
        PathBuf::from,
    )
}
