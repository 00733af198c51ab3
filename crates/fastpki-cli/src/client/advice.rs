//! What to do when a server cannot be reached or refuses.

use crate::session::Source;

/// The innermost cause of an error, which says what happened; the outermost only says what was tried.
pub(super) fn cause_of(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// What to do where there was no answer, for this cause.
pub(super) fn about_connection(error: &reqwest::Error, cause: &str) -> &'static str {
    if error.is_timeout() {
        "it takes too long to answer: is it overloaded, or is a firewall between? A change may have been made: look before you try again. FASTPKI_TIMEOUT is how many seconds to wait"
    } else if ["certificate", "UnknownIssuer", "Cert"].iter().any(|word| cause.contains(word)) {
        "is its TLS certificate from a private CA? Give that CA's root certificate with --ca-file or FASTPKI_CA_FILE"
    } else if ["InvalidContentType", "InvalidMessage", "corrupt"].iter().any(|word| cause.contains(word)) {
        "does it speak plain HTTP? Then its URL begins with http://"
    } else {
        "does it run, and is this its URL? See `fastpki config get server.url`, --server and FASTPKI_SERVER"
    }
}

/// What to do where the server does not take the token from there, or there is none.
pub(super) fn about_401(source: Option<Source>) -> &'static str {
    match source {
        Some(Source::Environment) => {
            "the server does not take the token in FASTPKI_TOKEN: it is wrong, ended or revoked"
        }
        Some(Source::File) => {
            "your session is over: run `fastpki auth login`, or `fastpki auth logout` to go on as nobody"
        }
        None => "run `fastpki auth login`, or put a token into FASTPKI_TOKEN",
    }
}

/// Where to look for what there is, for a path of the API.
pub(super) fn about_404(path: &str) -> &'static str {
    if matches!(path, "/certificates/" | "/certificates/sign-csr") {
        return "`fastpki ca list` shows the CAs that there are";
    }
    match path.trim_start_matches("/export").split('/').nth(1) {
        Some("ca" | "cas") => "`fastpki ca list` shows what there is",
        Some("certificate" | "certificates") => "`fastpki cert list` shows what there is",
        Some("organizations") => "`fastpki org list` shows what there is",
        Some("service-accounts") => "`fastpki service-account list` shows what there is",
        Some("users") => "`fastpki user list` shows what there is",
        _ => "",
    }
}
