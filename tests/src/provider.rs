//! A provider: Debian's kamailio as registrar and proxy, and dnsmasq for its domain.

use crate::process::{Folder, Process};
use crate::system::{free_port, repository};
use crate::wait::{GENEROUS, until_true};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::Command;

/// Password of everybody there.
pub const PASSWORD: &str = "wonderland";
/// Its domain: two servers by SRV, the first of which answers 503 to everything.
pub const DOMAIN: &str = "provider.test";

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    proxy: Process,
    _names: Process,
    _folder: Folder,
    /// Where it serves.
    pub port: u16,
    /// Where its name server is.
    pub names_port: u16,
}

impl Provider {
    /// Both of its processes, ready.
    #[track_caller]
    pub fn start() -> Self {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let folder = Folder::new("provider");
        let (port, spare, names_port) = (free_port(here), free_port(here), free_port(here));
        let config = std::fs::read_to_string(repository().join("tests/sip/provider.cfg"));
        let config = config
            .expect("the provider's configuration")
            .replace("MODULES", &modules())
            .replace("SPARE", &spare.to_string())
            .replace("PORT", &port.to_string())
            .replace("PASSWORD", PASSWORD);
        let file = folder.file("kamailio.cfg");
        std::fs::write(&file, config).expect("written");
        let mut proxy = Command::new(program("kamailio"));
        proxy.args(["-DD", "-E", "-m", "16", "-M", "4", "-f"]).arg(&file);
        proxy.args(["-Y", &folder.path().to_string_lossy()]);
        let proxy = Process::start(&mut proxy, &folder.file("kamailio.log"));
        let mut names = Command::new(program("dnsmasq"));
        names.args(["--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--no-hosts"]);
        names.args([
            "--no-resolv",
            "--bind-interfaces",
            "--listen-address=127.0.0.1",
            "--user=root",
        ]);
        names.arg(format!("--port={names_port}"));
        for (server, port, priority) in [("busy", spare, 10), ("here", port, 20)] {
            let service = format!("_sip._udp.{DOMAIN},{server}.{DOMAIN},{port},{priority},1");
            names.arg(format!("--srv-host={service}"));
            names.arg(format!("--host-record={server}.{DOMAIN},127.0.0.1"));
        }
        let names = Process::start(&mut names, &folder.file("dnsmasq.log"));
        let provider = Self { proxy, _names: names, _folder: folder, port, names_port };
        until_true("the provider", GENEROUS, || provider.answers());
        provider
    }

    fn answers(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let from = socket.local_addr().expect("its address");
        let options = format!(
            "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK1;rport\r\n\
             From: <sip:x@x>;tag=1\r\nTo: <sip:x@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
             Max-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
        );
        let _ = socket.set_read_timeout(Some(std::time::Duration::from_millis(200)));
        let sent = socket.send_to(options.as_bytes(), ("127.0.0.1", self.port));
        sent.is_ok() && socket.recv(&mut [0; 2048]).is_ok()
    }

    /// `host:port` of its registrar, for telephones that look no names up.
    pub fn registrar(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it said of the requests that it had.
    pub fn log(&self) -> String {
        self.proxy.log()
    }

    /// Waits until it has said so.
    #[track_caller]
    pub fn notes(&self, what: &str) {
        until_true(&format!("`{what}` at the provider"), GENEROUS, || self.log().contains(what));
    }
}

impl Drop for Provider {
    /// Its processes end with the first of them only if that one is asked.
    fn drop(&mut self) {
        let _ = self.proxy.stop(GENEROUS);
    }
}

/// Debian has both where only administrators look.
fn program(name: &str) -> String {
    let there = format!("/usr/sbin/{name}");
    if std::path::Path::new(&there).exists() { there } else { name.to_owned() }
}

fn modules() -> String {
    format!("/usr/lib/{}-linux-gnu/kamailio/modules", std::env::consts::ARCH)
}
