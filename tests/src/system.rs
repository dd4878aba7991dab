//! The running system: both real binaries on ports, a socket and a state folder of their own.

use crate::process::{Folder, Process};
use crate::rest::Rest;
use crate::socket::Socket;
use crate::wait::{GENEROUS, until_true};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};

/// How a system is to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `engine.yml`, or none.
    pub engine_yaml: Option<String>,
    /// `apid.yml`, or none: the demonstration configuration.
    pub apid_yaml: Option<String>,
    /// Environment of both.
    pub environment: Vec<(String, String)>,
    /// Arguments of `tipring-apid token create`, one list a token.
    pub tokens: Vec<Vec<String>>,
    /// Address of HTTP, WebSocket and SIP.
    pub host: IpAddr,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            engine_yaml: None,
            apid_yaml: None,
            environment: Vec::new(),
            tokens: Vec::new(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }
}

/// Ports that were free a moment ago.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// HTTP.
    pub http: u16,
    /// The second WebSocket port.
    pub websocket: u16,
    /// SIP, UDP and TCP.
    pub sip: u16,
    /// AMI.
    pub ami: u16,
    /// The inbound call handler.
    pub handler: u16,
    /// First of 400 for RTP.
    pub rtp: u16,
}

/// A port that is free for UDP and TCP on `host`, from below the range the kernel hands out.
///
/// # Panics
/// If there is none.
pub fn free_port(host: IpAddr) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..4000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let mix = (std::process::id() as u16).wrapping_mul(37).wrapping_add(step.wrapping_mul(4));
        // Every fourth, so that a phone which also takes the next port finds it free.
        let port = 20_000 + (mix % 2000) * 4;
        if TcpListener::bind((host, port)).is_ok()
            && TcpListener::bind((host, port + 1)).is_ok()
            && UdpSocket::bind((host, port)).is_ok()
        {
            return port;
        }
    }
    panic!("no free port on {host}");
}

impl Ports {
    fn find(host: IpAddr) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let block = std::process::id() as u16 % 7 + NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            http: free_port(host),
            websocket: free_port(host),
            sip: free_port(host),
            ami: free_port(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            handler: free_port(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            rtp: 28_400 + block % 10 * 400,
        }
    }
}

/// A running system. Everything ends when it is dropped.
#[derive(Debug)]
pub struct System {
    /// The engine, unless a test killed it.
    pub engine: Option<Process>,
    /// apid, unless a test killed it.
    pub apid: Option<Process>,
    /// Where it listens.
    pub ports: Ports,
    /// Its files: socket, state, configuration, logs, and those of its phones.
    pub folder: Folder,
    /// The tokens that were asked for, in order.
    pub tokens: Vec<String>,
    setup: Setup,
}

impl System {
    /// Both processes with the demonstration configuration, ready.
    #[track_caller]
    pub fn demonstration() -> Self {
        Self::start(Setup::default())
    }

    /// Both processes, ready.
    ///
    /// # Panics
    /// If they do not become ready within a minute.
    #[track_caller]
    pub fn start(setup: Setup) -> Self {
        let mut system = Self::prepare(setup);
        system.start_engine();
        system.start_apid();
        system.ready();
        system.hooks_known();
        system
    }

    /// A contact is judged for a moment before its line's hook is known. Whoever may not see the
    /// lines does not wait for it.
    fn hooks_known(&self) {
        let rest = self.rest();
        until_true("the hooks of simulated lines", GENEROUS, || {
            rest.try_get("/v1/lines").is_some_and(|answer| {
                let known = |line: &Value| line["kind"] != "sim" || line["hook"] != "unknown";
                answer.status != 200
                    || answer.json()["lines"].as_array().is_some_and(|all| all.iter().all(known))
            })
        });
    }

    /// Files and tokens, but no process yet.
    ///
    /// # Panics
    /// If a file cannot be written or a token not be created.
    pub fn prepare(setup: Setup) -> Self {
        let folder = Folder::new("system");
        std::fs::create_dir_all(folder.file("state")).expect("state folder");
        let ports = Ports::find(setup.host);
        for (name, text) in [("engine.yml", &setup.engine_yaml), ("apid.yml", &setup.apid_yaml)] {
            if let Some(text) = text {
                std::fs::write(folder.file(name), text).expect("configuration written");
            }
        }
        let mut system =
            Self { engine: None, apid: None, ports, folder, tokens: Vec::new(), setup };
        for arguments in system.setup.tokens.clone() {
            let mut command = system.apid_command();
            let output = command.args(["token", "create"]).args(&arguments).output();
            let output = output.expect("tipring-apid runs");
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "token create {arguments:?}: {text}{errors}");
            let token = text.split_whitespace().last().expect("a token is printed");
            system.tokens.push(token.to_owned());
        }
        system
    }

    fn environment(&self, command: &mut Command) {
        let Ports { http, websocket, sip, ami, handler, rtp } = self.ports;
        command
            .env("API_HOST", self.setup.host.to_string())
            .env("API_PORT", http.to_string())
            .env("WS_PORT", websocket.to_string())
            .env("SIP_SERVER_HOST", self.setup.host.to_string())
            .env("SIP_SERVER_PORT", sip.to_string())
            .env("AMI_PORT", ami.to_string())
            .env("HANDLER_PORT", handler.to_string())
            .env("RTP_PORT_MIN", rtp.to_string())
            .env("RTP_PORT_MAX", (rtp + 399).to_string())
            .envs(self.setup.environment.iter().map(|(k, v)| (k, v)));
    }

    /// The engine's Unix socket.
    pub fn socket_path(&self) -> PathBuf {
        self.folder.file("engine.sock")
    }

    fn apid_command(&self) -> Command {
        let mut command = Command::new(program("tipring-apid"));
        self.environment(&mut command);
        if self.setup.apid_yaml.is_some() {
            command.arg("--config").arg(self.folder.file("apid.yml"));
        }
        command.arg("--socket").arg(self.socket_path());
        command.arg("--state-dir").arg(self.folder.file("state"));
        command
    }

    /// Starts the engine, or a next one.
    pub fn start_engine(&mut self) {
        let mut command = Command::new(program("tipring-engine"));
        self.environment(&mut command);
        if self.setup.engine_yaml.is_some() {
            command.arg("--config").arg(self.folder.file("engine.yml"));
        }
        command.arg("--socket").arg(self.socket_path());
        self.engine = Some(Process::start(&mut command, &self.folder.file("engine.log")));
    }

    /// Starts apid, or a next one.
    pub fn start_apid(&mut self) {
        let mut command = self.apid_command();
        self.apid = Some(Process::start(&mut command, &self.folder.file("apid.log")));
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Panics
    /// If a process ends or a minute passes before.
    #[track_caller]
    pub fn ready(&mut self) {
        let rest = self.rest();
        until_true("readyz", GENEROUS, || {
            for process in [&mut self.engine, &mut self.apid].into_iter().flatten() {
                assert!(process.runs(), "ended before it was ready:\n{}", process.log());
            }
            rest.try_get("/readyz").is_some_and(|a| a.status == 200)
        });
    }

    /// `host:port` of HTTP.
    pub fn address(&self) -> String {
        SocketAddr::new(self.setup.host, self.ports.http).to_string()
    }

    /// `host:port` of SIP.
    pub fn sip_address(&self) -> String {
        SocketAddr::new(self.setup.host, self.ports.sip).to_string()
    }

    /// A client of the REST interface, with the first token where there are any.
    pub fn rest(&self) -> Rest {
        Rest::new(&self.address(), self.tokens.first().map(String::as_str))
    }

    /// A WebSocket on the first port, with the first token where there are any.
    #[track_caller]
    pub fn socket(&self, path: &str) -> Socket {
        Socket::open(&self.address(), path, self.tokens.first().map(String::as_str))
    }
}

/// Where the binary is: in `TIPRING_BIN_DIR`, or beside the test's own build.
///
/// # Panics
/// If it was not built.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("TIPRING_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().expect("path of this test");
            let deps = test.parent().expect("deps folder");
            deps.parent().expect("profile folder").to_owned()
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build -p tipring-engine -p tipring-apid -p tipring-cli",
        path.display()
    );
    path
}

/// The root of this repository.
///
/// # Panics
/// Never: this package stands in it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in the repository")
}
