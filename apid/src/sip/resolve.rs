//! Where a domain's SIP servers are: SRV (RFC 3263 §4.2), else its own addresses. By the system's
//! name servers.

use super::message::Transport;
use super::trunk::Server;
use super::trunk::servers::{Service, in_order};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use std::net::{IpAddr, SocketAddr};

/// Addresses kept of one look-up.
const MOST: usize = 16;

/// Looks names up.
pub(super) struct Names(Option<TokioResolver>);

impl Names {
    /// As the system does, or by these name servers; `None` looks nothing up.
    pub(super) fn new(name_servers: Option<&[SocketAddr]>) -> Self {
        let Some(name_servers) = name_servers else { return Self(None) };
        if name_servers.is_empty() {
            let system =
                TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build);
            return Self(system.inspect_err(|error| tracing::warn!(%error, "no names")).ok());
        }
        let servers = name_servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            config
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let provider = TokioRuntimeProvider::default();
        Self(TokioResolver::builder_with_config(config, provider).build().ok())
    }

    /// Servers in the order in which to try them, those of one family only.
    pub(super) async fn find(
        &self,
        server: &Server,
        transport: Transport,
        ipv4: bool,
    ) -> Result<Vec<SocketAddr>, String> {
        let usual_port = if transport == Transport::Tls { 5061 } else { 5060 };
        let port = server.port.unwrap_or(usual_port);
        let mut found = Vec::new();
        if let Ok(address) = server.host.parse::<IpAddr>() {
            found.push(SocketAddr::new(address, port));
        } else if server.port.is_some() {
            found = self.addresses(&server.host, port).await?;
        } else {
            let services = self.services(&server.host, transport).await;
            for service in &services {
                // One that has no address is no reason to forget the others.
                found.extend(
                    self.addresses(&service.target, service.port).await.unwrap_or_default(),
                );
            }
            if services.is_empty() {
                found = self.addresses(&server.host, port).await?;
            }
        }
        found.retain(|address| address.is_ipv4() == ipv4);
        found.truncate(MOST);
        if found.is_empty() {
            let family = if ipv4 { "IPv4" } else { "IPv6" };
            return Err(format!("{} has no {family} address", server.host));
        }
        Ok(found)
    }

    async fn services(&self, domain: &str, transport: Transport) -> Vec<Service> {
        let service = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            _ => "_sips._tcp",
        };
        let Some(resolver) = &self.0 else { return Vec::new() };
        // A final dot: no domain of the system's is tried behind it.
        let name = format!("{service}.{}.", domain.trim_end_matches('.'));
        let Ok(answer) = resolver.srv_lookup(name).await else { return Vec::new() };
        let of = |record: &hickory_resolver::proto::rr::Record| match &record.data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii(),
            }),
            _ => None,
        };
        let services = answer.answers().iter().filter_map(of).collect();
        in_order(services, || getrandom::u64().unwrap_or_default())
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let resolver = self.0.as_ref().ok_or("the system has no name servers")?;
        let found = resolver.lookup_ip(host).await.map_err(|error| format!("{host}: {error}"))?;
        Ok(found.iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}
