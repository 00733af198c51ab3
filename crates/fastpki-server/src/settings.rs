//! What the operator has set: the environment, and `.env` under it.
//!
//! Every value is parsed once, into a type that cannot be wrong; every bad one is reported in the same run.

mod database;
mod dotenv;
mod encryption_key;
mod jwt_algorithm;
mod key_file;
mod log;
mod postgres;
mod proxies;
mod rate_limit;
mod reader;
mod scalar;
mod secret;
mod source;
pub(crate) mod tls;
mod web;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;

pub use database::{DatabaseUrl, TlsMode};
pub use jwt_algorithm::JwtAlgorithm;
pub use log::{LogFormat, LogLevel};
pub use rate_limit::{RateLimit, RateLimits};
pub use secret::Secret;
pub use tls::TlsFiles;

use reader::{Fault, Reader};
use source::Source;

/// Everything the operator can set, checked.
#[derive(Clone)]
pub struct Settings {
    /// Path under which the REST API stands, such as `/api/v1`: begins with `/`, ends without.
    pub api_prefix: String,
    /// Name shown in the API's documentation.
    pub project_name: String,
    /// Where the data is.
    pub database: DatabaseUrl,
    /// RSA bits of a CA's key where the request names none.
    pub ca_key_size: u32,
    /// RSA bits of a certificate's key where the request names none.
    pub cert_key_size: u32,
    /// Days a CA certificate lives where the request names none.
    pub ca_cert_days: u32,
    /// Days a certificate lives where the request names none.
    pub cert_days: u32,
    /// Key of the JWTs, at least 32 characters; always there with PostgreSQL.
    pub secret_key: Option<Secret>,
    /// Minutes an access token lives.
    pub access_token_minutes: u32,
    /// Minutes a refresh token lives.
    pub refresh_token_minutes: u32,
    /// How JWTs are signed.
    pub algorithm: JwtAlgorithm,
    /// How often one client address may try to sign in; all of them hold at once.
    pub auth_rate_limit: RateLimits,
    /// Key of the service-account token digests; the secret key where it is unset.
    pub service_account_pepper: Option<Secret>,
    /// Fernet keys, each the URL-safe base64 of 32 bytes: the first encrypts, all decrypt, none is "off".
    pub encryption_keys: Vec<Secret>,
    /// The file those keys came from, to be read anew when told to.
    pub encryption_key_file: Option<PathBuf>,
    /// Least severity that is logged.
    pub log_level: LogLevel,
    /// Shape of a log line.
    pub log_format: LogFormat,
    /// Origins whose pages may call the API, or `*`.
    pub cors_origins: Vec<String>,
    /// Whether anyone may create an account.
    pub allow_unauthenticated_registration: bool,
    /// Whether the API's documentation is served.
    pub enable_docs: bool,
    /// Address the server listens on.
    pub listen: SocketAddr,
    /// With what the server speaks TLS; without it, it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Peers whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Seconds that running requests have to finish once the server is told to stop.
    pub stop_seconds: u32,
    /// Base of the CRL and CA URLs written into certificates, without a trailing slash.
    pub public_url: Option<String>,
    /// What the operator should be told once at start.
    pub notes: Vec<String>,
}

/// A setting that is wrong, and how to mend it; holds no value of any setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct Problem {
    /// Name of the setting.
    pub setting: &'static str,
    /// What is wrong; how to mend it.
    pub message: String,
}

impl Settings {
    /// Reads the environment, and under it the text of a `.env` file.
    ///
    /// # Errors
    ///
    /// Every problem found.
    pub fn load(
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&str>,
    ) -> Result<Self, Vec<Problem>> {
        let source = Source::new(env, dotenv);
        let mut reader = Reader::new(&source);
        let database = database::read(&mut reader);
        let (encryption_keys, encryption_key_file) = encryption_keys(&mut reader);
        let settings = Self {
            api_prefix: reader.or("API_V1_STR", "/api/v1".into(), web::path_prefix),
            project_name: reader.or("PROJECT_NAME", "FastPKI".into(), scalar::name),
            ca_key_size: reader.or("CA_KEY_SIZE", 4096, scalar::rsa_bits),
            cert_key_size: reader.or("CERT_KEY_SIZE", 2048, scalar::rsa_bits),
            ca_cert_days: reader.or("CA_CERT_DAYS", 3650, scalar::positive),
            cert_days: reader.or("CERT_DAYS", 365, scalar::positive),
            secret_key: secret_key(&mut reader, &database),
            access_token_minutes: reader.or("ACCESS_TOKEN_EXPIRE_MINUTES", 15, scalar::positive),
            refresh_token_minutes: reader.or("REFRESH_TOKEN_EXPIRE_MINUTES", 1440, scalar::positive),
            algorithm: reader.or("ALGORITHM", JwtAlgorithm::Hs256, jwt_algorithm::parse),
            auth_rate_limit: reader.or("AUTH_RATE_LIMIT", rate_limit::DEFAULT.into(), rate_limit::parse),
            service_account_pepper: reader
                .optional("SERVICE_ACCOUNT_TOKEN_PEPPER", |text| Ok(Secret::new(text))),
            encryption_keys,
            encryption_key_file,
            log_level: reader.or("LOG_LEVEL", LogLevel::Info, LogLevel::parse),
            log_format: reader.or("LOG_FORMAT", LogFormat::Auto, LogFormat::parse),
            cors_origins: cors_origins(&mut reader),
            allow_unauthenticated_registration: reader.or(
                "ALLOW_UNAUTHENTICATED_REGISTRATION",
                false,
                scalar::switch,
            ),
            enable_docs: reader.or("ENABLE_DOCS", false, scalar::switch),
            listen: reader.or("FASTPKI_LISTEN", SocketAddr::from(([127, 0, 0, 1], 8000)), web::listen),
            tls: tls::read(&mut reader),
            trusted_proxies: trusted_proxies(&mut reader),
            stop_seconds: reader.or("FASTPKI_STOP_SECONDS", STOP_SECONDS, scalar::stop_seconds),
            public_url: public_url(&mut reader),
            notes: Vec::new(),
            database,
        };
        let notes = reader.finish()?;
        Ok(Self { notes, ..settings })
    }
}

fn secret_key(reader: &mut Reader<'_>, database: &DatabaseUrl) -> Option<Secret> {
    const SETTING: &str = "SECRET_KEY";
    let key = reader.or(SETTING, None, |text| match text.chars().count() {
        ..32 => Err(Fault::new("shorter than 32 characters", SECRET_KEY_HINT)),
        _ => Ok(Some(Secret::new(text))),
    });
    if matches!(database, DatabaseUrl::Postgres { .. }) && reader.text(SETTING).is_none() {
        reader.problem(SETTING, Fault::new("required with PostgreSQL", SECRET_KEY_HINT));
    }
    key
}

fn encryption_keys(reader: &mut Reader<'_>) -> (Vec<Secret>, Option<PathBuf>) {
    let keys = reader.or("PRIVATE_KEY_ENCRYPTION_KEY", Vec::new(), encryption_key::parse);
    let Some(file) = reader.text(KEY_FILE) else { return (keys, None) };
    if reader.text("PRIVATE_KEY_ENCRYPTION_KEY").is_some() {
        let wrong = "set beside PRIVATE_KEY_ENCRYPTION_KEY";
        reader.problem(KEY_FILE, Fault::new(wrong, "set one of the two, with all keys in it"));
    }
    // Passed over, it would leave private keys in plaintext that its operator believes encrypted.
    if file.trim().is_empty() {
        let mend = "name a file with one key a line, or remove the setting (empty does not mean \"off\")";
        reader.problem(KEY_FILE, Fault::new("set but empty", mend));
        return (keys, None);
    }
    (reader.or(KEY_FILE, Vec::new(), |path| key_file::read(Path::new(path))), Some(file.into()))
}

/// The encryption keys that are in a file now.
///
/// # Errors
///
/// The file cannot be read, others may read it, or what is in it are no keys.
pub fn read_key_file(path: &Path) -> Result<Vec<Secret>, Problem> {
    key_file::read(path).map_err(|fault| fault.of(KEY_FILE))
}

fn cors_origins(reader: &mut Reader<'_>) -> Vec<String> {
    const SETTING: &str = "BACKEND_CORS_ORIGINS";
    let origins = reader.or(SETTING, Vec::new(), web::origins);
    if origins.iter().any(|origin| origin == "*") {
        reader.note(format!(
            "{SETTING} holds \"*\": pages of every origin may call the API, without credentials; \
             list the origins that need it"
        ));
    }
    origins
}

fn trusted_proxies(reader: &mut Reader<'_>) -> Vec<IpNet> {
    let ours = reader.optional("TRUSTED_PROXIES", proxies::parse);
    let inherited = reader.optional("FORWARDED_ALLOW_IPS", proxies::parse);
    if ours.is_some() && inherited.is_some() && ours != inherited {
        reader.note("TRUSTED_PROXIES and FORWARDED_ALLOW_IPS differ: the first is used".into());
    }
    let proxies = ours.or(inherited).unwrap_or_default();
    if proxies == proxies::everyone() {
        reader.note(
            "every peer is trusted as a proxy: whoever reaches the server directly chooses the client address \
             it sees; set TRUSTED_PROXIES to the proxy's own address"
                .into(),
        );
    }
    proxies
}

fn public_url(reader: &mut Reader<'_>) -> Option<String> {
    const SETTING: &str = "PUBLIC_URL";
    let url = reader.optional(SETTING, web::public_url);
    if reader.text(SETTING).is_none_or(|text| text.trim().is_empty()) {
        reader.note(format!(
            "{SETTING} is not set: where a CA has no crl_base_url, whoever sends a request chooses the host \
             in the CRL and CA URLs of its certificates"
        ));
    }
    url
}

/// An RSA-8192 key takes up to a minute.
const STOP_SECONDS: u32 = 60;
const KEY_FILE: &str = "PRIVATE_KEY_ENCRYPTION_KEY_FILE";
const SECRET_KEY_HINT: &str =
    "write at least 32 random characters, the same for every server, such as `openssl rand -hex 32` prints";

#[cfg(test)]
mod tests;
