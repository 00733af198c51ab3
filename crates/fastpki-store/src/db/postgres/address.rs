//! Where a PostgreSQL server is, and how long to wait for it.

use std::{str::FromStr, time::Duration};

use tokio_postgres::Config;
use zeroize::Zeroizing;

use crate::{db::REQUEST_LIMIT, error::StoreError};

/// A PostgreSQL URL, read.
pub(crate) struct Address {
    /// How to connect.
    pub(crate) config: Config,
    /// How long a unit of work may take that a request waits for: `command_timeout`, as asyncpg calls it.
    pub(crate) limit: Duration,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = |error: &dyn std::fmt::Display| {
            StoreError::Unusable(format!("DATABASE_URL cannot be read: {error}"))
        };
        let (url, limit) = take_limit(url);
        let limit = match limit {
            Some(text) => text
                .parse()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .ok_or_else(|| wrong(&"command_timeout is no number of seconds"))?,
            None => REQUEST_LIMIT,
        };
        let mut config = Config::from_str(&url).map_err(|error| wrong(&error))?;
        notice_lost_server(&mut config, &url);
        Ok(Self { config, limit })
    }
}

/// The URL without `command_timeout`, which the driver does not know, and its value.
fn take_limit(url: &str) -> (Zeroizing<String>, Option<&str>) {
    let Some((address, query)) = url.split_once('?') else { return (Zeroizing::new(url.to_owned()), None) };
    let limit = query.split('&').find_map(|pair| pair.strip_prefix(LIMIT));
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(LIMIT)).collect();
    (Zeroizing::new(format!("{address}?{}", rest.join("&"))), limit)
}

/// Has the system notice within a minute that nothing answers any more, unless the URL says otherwise: without, it
/// takes two hours.
fn notice_lost_server(config: &mut Config, url: &str) {
    if !url.contains("keepalives_idle=") {
        config.keepalives_idle(Duration::from_secs(30));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(Duration::from_secs(10));
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(3);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
}

const LIMIT: &str = "command_timeout=";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_server_is_noticed_within_a_minute_unless_told_otherwise() {
        let config = Address::parse("postgresql://u@h/d?sslmode=disable").unwrap().config;
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(30));
        assert_eq!(config.get_keepalives_interval(), Some(Duration::from_secs(10)));
        assert_eq!(config.get_keepalives_retries(), Some(3));
        assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(30)));
        let told = "postgresql://u@h/d?keepalives_idle=7&keepalives_retries=8&tcp_user_timeout=9";
        let config = Address::parse(told).unwrap().config;
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(7));
        assert_eq!(config.get_keepalives_retries(), Some(8));
        assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(9)));
    }

    #[test]
    fn time_limit_is_a_requests_unless_told_otherwise() {
        let limit = |url: &str| Address::parse(url).map(|address| address.limit);
        assert_eq!(limit("postgresql://u@h/d").unwrap(), REQUEST_LIMIT);
        assert_eq!(limit("postgresql://u@h/d?command_timeout=2.5").unwrap(), Duration::from_millis(2500));
        let among = "postgresql://u@h/d?sslmode=disable&command_timeout=7&connect_timeout=3";
        assert_eq!(limit(among).unwrap(), Duration::from_secs(7));
        for wrong in ["-1", "soon", ""] {
            assert!(limit(&format!("postgresql://u@h/d?command_timeout={wrong}")).is_err(), "{wrong}");
        }
    }
}
