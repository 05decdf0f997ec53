//! `healthcheck`: asks the service on this machine whether it is ready, for container images that
//! have neither shell nor curl.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};

/// Longer than a healthy service takes to answer, and shorter than a container engine waits.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the service at an address whether it is ready.
///
/// # Errors
/// When it does not answer, or is not ready.
pub fn run(listen: SocketAddr, out: &mut dyn Write) -> anyhow::Result<()> {
    let address = reachable(listen);
    let url = format!("http://{address}/readyz");
    let client = reqwest::blocking::Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .build()?;
    let response = client
        .get(&url)
        .send()
        .with_context(|| format!("no answer from {url}"))?;
    if !response.status().is_success() {
        bail!(
            "{url} returned {}: {}",
            response.status(),
            response.text().unwrap_or_default()
        );
    }
    writeln!(out, "{url} is ready")?;
    Ok(())
}

/// The address on which to reach a service that listens on `listen`: loopback, if it listens on every
/// address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
