//! `fastpki healthcheck`: whether the server on this machine is ready.

use std::{process::ExitCode, time::Duration};

use reqwest::blocking::Client;

use crate::{environment, output::print};

/// Asks the server. An error is a text for the operator.
pub(crate) fn run() -> Result<ExitCode, String> {
    let settings = environment::settings()?;
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let url = format!("{scheme}://{address}/readyz");
    let failed = |error: reqwest::Error| format!("error: {url}: {error}");
    let client = Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        // It is this machine that is asked, by its address, which stands in no certificate; nothing is sent to it.
        .tls_danger_accept_invalid_certs(true)
        .build()
        .map_err(failed)?;
    let status = client.get(&url).send().map_err(failed)?.status();
    if status.is_success() {
        return Ok(print("ready"));
    }
    Err(format!("error: {url} answers {status}: see the server's log"))
}

/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
