//! Who the caller is to the server: a token, and where it is from.

use std::{path::Path, time::Duration};

use base64_simd::URL_SAFE_NO_PAD;
use fastpki_types::Token;
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    config::{self, Config, DEFAULT_SERVER},
    error::Error,
};

/// Where a token is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `FASTPKI_TOKEN`.
    Environment,
    /// The configuration file.
    File,
}

/// The token in use.
pub(crate) struct Session {
    token: Zeroizing<String>,
    source: Source,
}

impl Session {
    /// The token for this server, if there is one.
    pub(crate) fn of(config: &Config, server: &str) -> Option<Self> {
        if let Some(token) = variable(TOKEN_VARIABLE) {
            return Some(Self { token: Zeroizing::new(token), source: Source::Environment });
        }
        Self::of_file(config, server)
    }

    /// The token of the file, if that is for this server.
    pub(crate) fn of_file(config: &Config, server: &str) -> Option<Self> {
        if token_server(config) != server {
            return None;
        }
        Some(Self { token: Zeroizing::new(config.get(config::TOKEN)?), source: Source::File })
    }

    /// The token, to be sent as `Authorization: Bearer`.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Where it is from.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Whether it is a service account's.
    pub(crate) fn is_service_account(&self) -> bool {
        self.token.starts_with("fpki_sa_")
    }

    /// When it ends, where it says so.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        #[derive(Deserialize)]
        struct Claims {
            exp: i64,
        }
        let claims = URL_SAFE_NO_PAD.decode_to_vec(self.token.split('.').nth(1)?).ok()?;
        Timestamp::from_second(serde_json::from_slice::<Claims>(&claims).ok()?.exp).ok()
    }
}

/// Puts a new pair of tokens into the configuration.
pub(crate) fn remember(config: &mut Config, server: &str, token: &Token) {
    config.set(config::TOKEN, token.access_token.as_str());
    match &token.refresh_token {
        Some(refresh_token) => config.set(config::REFRESH_TOKEN, refresh_token.as_str()),
        None => _ = config.unset(config::REFRESH_TOKEN),
    }
    config.set(config::TOKEN_SERVER, server);
}

/// Takes the tokens out of the configuration.
pub(crate) fn forget(config: &mut Config) {
    for key in [config::TOKEN, config::REFRESH_TOKEN, config::TOKEN_SERVER] {
        config.unset(key);
    }
}

/// The server that the file's tokens are for, if there are tokens.
pub(crate) fn signed_in_to(config: &Config) -> Option<String> {
    config.get(config::TOKEN).map(|_| token_server(config))
}

/// Remembers a server for all later commands; tokens stay with the one they are for.
pub(crate) fn settle(config: &mut Config, server: &str) {
    if let Some(current) = signed_in_to(config) {
        config.set(config::TOKEN_SERVER, current);
    }
    config.set(config::SERVER_URL, server);
}

/// The server to talk to: the option's, the environment's, the file's, the default.
pub(crate) fn server(option: Option<&str>, config: &Config) -> Result<String, Error> {
    let named = option.map(str::to_owned).or_else(|| variable(SERVER_VARIABLE));
    normal(&named.or_else(|| config.get(config::SERVER_URL)).unwrap_or_else(|| DEFAULT_SERVER.into()))
}

/// A server's URL as it is remembered and compared: without a slash at its end.
pub(crate) fn normal(url: &str) -> Result<String, Error> {
    let wrong = |why: &str| Error::Usage(format!("the server's URL '{url}' {why}: http://localhost:8000"));
    let parsed = reqwest::Url::parse(url.trim()).map_err(|_| wrong("should look like"))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(wrong("should begin with http:// or https://, like"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(Error::Usage("the server's URL should hold no password: use fastpki auth login".into()));
    }
    let url = parsed.as_str().trim_end_matches('/');
    Ok(url.strip_suffix("/api/v1").unwrap_or(url).to_owned())
}

/// Whether what is sent to this server can be read on the way.
pub(crate) fn is_in_the_clear(server: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(server) else { return false };
    let host = url.host_str().unwrap_or_default();
    let local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    url.scheme() == "http" && !local
}

/// The CA file of the option or the environment.
pub(crate) fn ca_file(option: Option<&Path>) -> Option<std::path::PathBuf> {
    option.map(Path::to_owned).or_else(|| variable(CA_FILE_VARIABLE).map(Into::into))
}

/// How long to wait for an answer, where the environment says so.
pub(crate) fn timeout() -> Result<Option<Duration>, Error> {
    let Some(text) = variable(TIMEOUT_VARIABLE) else { return Ok(None) };
    match text.trim().parse() {
        Ok(seconds @ 1..=MAX_TIMEOUT) => Ok(Some(Duration::from_secs(seconds))),
        Ok(_) | Err(_) => Err(Error::Usage(format!(
            "{TIMEOUT_VARIABLE} should be how many seconds to wait for an answer, from 1 to {MAX_TIMEOUT}"
        ))),
    }
}

fn token_server(config: &Config) -> String {
    let named = config.get(config::TOKEN_SERVER).or_else(|| config.get(config::SERVER_URL));
    let named = named.unwrap_or_else(|| DEFAULT_SERVER.into());
    normal(&named).unwrap_or(named)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

const SERVER_VARIABLE: &str = "FASTPKI_SERVER";
const TIMEOUT_VARIABLE: &str = "FASTPKI_TIMEOUT";
/// Seconds: a day.
const MAX_TIMEOUT: u64 = 86_400;
const TOKEN_VARIABLE: &str = "FASTPKI_TOKEN";
const CA_FILE_VARIABLE: &str = "FASTPKI_CA_FILE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_compared_without_slash_and_case_of_the_host() {
        assert_eq!(normal("https://PKI.example.com:443/").unwrap(), "https://pki.example.com");
        assert_eq!(normal("http://localhost:8000/api/v1/").unwrap(), "http://localhost:8000");
        assert_eq!(normal(" http://localhost:8000 ").unwrap(), "http://localhost:8000");
        for wrong in ["localhost:8000", "ftp://a", "", "https://u:p@host"] {
            assert!(normal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_remote_http_is_in_the_clear() {
        assert!(is_in_the_clear("http://pki.example.com"));
        for fine in ["https://pki.example.com", "http://localhost:1", "http://127.0.0.1", "http://[::1]:8000"]
        {
            assert!(!is_in_the_clear(fine), "{fine}");
        }
    }

    #[test]
    fn end_of_an_access_token_is_read_from_it() {
        let claims = URL_SAFE_NO_PAD.encode_to_string(br#"{"sub":"admin","exp":1700000000}"#);
        let session = |token: String| Session { token: Zeroizing::new(token), source: Source::File };
        let expected = Timestamp::from_second(1_700_000_000).ok();
        assert_eq!(session(format!("e30.{claims}.x")).expires_at(), expected);
        assert_eq!(session("fpki_sa_a.b".into()).expires_at(), None);
    }
}
