//! Asks adapters for the hook states of their ports, so that a handset that was lifted without a
//! call is known. SIP does not tell.

use super::settings::Device;
use super::snmp;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// Port of SNMP.
const PORT: u16 = 161;
/// Between two questions to one port of a device.
const INTERVAL: Duration = Duration::from_secs(5);
/// An answer takes no longer on a local network.
const LIMIT: Duration = Duration::from_secs(1);

/// What a port said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookSeen {
    /// The handset is lifted.
    pub off: bool,
    /// When it said so.
    pub at: Instant,
}

/// What ports said last, by account.
#[derive(Clone, Debug, Default)]
pub struct Hooks(Arc<Mutex<HashMap<String, HookSeen>>>);

impl Hooks {
    /// What the port of this account said last.
    pub fn of(&self, account: &str) -> Option<HookSeen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(account).copied()
    }

    /// Asks every device that has an address and a community, until the runtime ends.
    pub fn follow(&self, devices: &[Device]) {
        for device in devices {
            let (Some(address), Some(community)) = (device.address, &device.snmp_community) else {
                continue;
            };
            let accounts = device.ports.iter().map(|port| port.user.clone()).collect();
            let to = SocketAddr::new(address, PORT);
            let community = community.reveal().to_owned();
            tokio::spawn(self.clone().ask(to, community, accounts));
        }
    }

    async fn ask(self, to: SocketAddr, community: String, accounts: Vec<String>) {
        let mut request = 0_u16;
        loop {
            for (at, account) in accounts.iter().enumerate() {
                request = request.wrapping_add(1);
                let seen = ask_once(to, &community, request, at as u8 + 1).await;
                if let Some(off) = seen {
                    let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                    all.insert(account.clone(), HookSeen { off, at: Instant::now() });
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

async fn ask_once(to: SocketAddr, community: &str, request: u16, port: u8) -> Option<bool> {
    let any: SocketAddr =
        if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(to).await.ok()?;
    socket.send(&snmp::question(community, request, port)).await.ok()?;
    let mut answer = [0; 512];
    let length = tokio::time::timeout(LIMIT, socket.recv(&mut answer)).await.ok()?.ok()?;
    snmp::answer(&answer[..length], request, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that says what its handset does.
    #[tokio::test]
    async fn a_device_is_asked_and_believed() {
        let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = device.local_addr().unwrap();
        let asked = tokio::spawn(ask_once(to, "public", 9, 1));
        let mut question = [0; 512];
        let (length, from) = device.recv_from(&mut question).await.unwrap();
        assert_eq!(question[..length], snmp::question("public", 9, 1));
        let answer = snmp::tests::reply(9, 1, "Off Hook");
        device.send_to(&answer, from).await.unwrap();
        assert_eq!(asked.await.unwrap(), Some(true));
    }
}
