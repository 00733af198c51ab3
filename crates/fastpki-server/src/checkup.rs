//! What is well with the settings, and with the files that they name.

use std::path::Path;

use fastpki_engine::{Finding, Level, check_private_file, check_space};

use crate::{
    settings::{DatabaseUrl, Problem, Settings},
    start::secret_key_file,
    tls::Tls,
};

/// Each problem of settings that the server does not start with.
pub fn check_problems(problems: &[Problem]) -> Vec<Finding> {
    problems.iter().map(|problem| Finding::error("settings", problem.to_string())).collect()
}

/// Looks at settings that are right by themselves, and at the files that they name.
pub fn check_settings(settings: &Settings) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "each can be read")];
    findings.extend(settings.notes.iter().map(|note| Finding::warning("settings", note)));
    check_addresses(settings, &mut findings);
    // It need not hold secrets.
    let dotenv = check_private_file("file .env", Path::new(".env"), true);
    findings.extend(dotenv.map(|finding| Finding { level: finding.level.min(Level::Warning), ..finding }));
    // Mounted secrets are often a group's.
    let of_group = [
        ("encryption key file", settings.encryption_key_file.as_ref()),
        ("TLS key file", settings.tls.as_ref().map(|files| &files.key)),
    ];
    for (subject, path) in of_group {
        findings.extend(path.and_then(|path| check_private_file(subject, path, true)));
    }
    if let DatabaseUrl::Sqlite { path } = &settings.database {
        findings.extend(check_private_file("database file", path, false));
        if settings.secret_key.is_none() {
            findings.extend(check_private_file("secret key file", &secret_key_file(path), false));
        }
        findings.push(check_space(path));
    }
    findings
}

/// Whether who is reached, and how, goes together.
fn check_addresses(settings: &Settings, findings: &mut Vec<Finding>) {
    if let Some(url) = &settings.public_url {
        let is_local = ["//localhost", "//127.", "//[::1]"].iter().any(|host| url.contains(host));
        findings.push(if is_local {
            let text = format!("{url} goes into certificates, and only this machine finds it: name a host that all of their users reach");
            Finding::warning("PUBLIC_URL", text)
        } else {
            Finding::ok("PUBLIC_URL", url)
        });
    }
    if let Some(files) = &settings.tls {
        findings.push(match Tls::load(files) {
            Ok(_) => Finding::ok("TLS", "certificate and key can be read, and go together"),
            Err(problem) => Finding::error("TLS", problem.to_string()),
        });
    }
    let listens_to_all = !settings.listen.ip().is_loopback() && settings.tls.is_none();
    if listens_to_all && settings.trusted_proxies.is_empty() {
        let text = format!(
            "the server listens on {} in plain HTTP, and no proxy is trusted: passwords and private keys cross the network unencrypted; put a proxy with TLS before it and set TRUSTED_PROXIES, or set FASTPKI_TLS_CERT_FILE",
            settings.listen
        );
        findings.push(Finding::warning("TLS", text));
    }
    let is_https = settings.public_url.as_ref().is_some_and(|url| url.starts_with("https:"));
    let behind_proxy = is_https && settings.tls.is_none();
    if behind_proxy && settings.trusted_proxies.is_empty() {
        let text = "not set, though PUBLIC_URL is https: if a proxy stands before the server, all clients count as one for the limit of sign-ins; name the proxy's address";
        findings.push(Finding::warning("TRUSTED_PROXIES", text));
    }
}
