//! TLS of the server's own: its certificate and key, read again whenever they change.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum_server::tls_rustls::RustlsConfig;
use fastpki_host::{HostError, open_input, open_key};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use zeroize::Zeroizing;

use crate::settings::{
    Problem, TlsFiles,
    tls::{CERTIFICATE, KEY},
};

/// What the server shows to its clients, from files that it follows.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    pub(crate) config: RustlsConfig,
    /// How the files were when they were last read.
    read: Arc<Mutex<Option<Stamp>>>,
}

/// How the two files are: when they changed, how long they are, which they are.
type Stamp = [(i64, i64, u64, u64); 2];

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them, and what to do.
    pub fn load(files: &TlsFiles) -> Result<Self, Problem> {
        let stamp = stamp(files);
        let config = RustlsConfig::from_config(read(files)?);
        Ok(Self { files: files.clone(), config, read: Arc::new(Mutex::new(stamp)) })
    }

    /// Reads the files again. What is wrong is logged, and what was in use stays.
    pub fn reload(&self) {
        let stamp = stamp(&self.files);
        match read(&self.files) {
            Ok(config) => {
                self.config.reload_from_config(config);
                tracing::info!(file = %self.files.certificate.display(), "the TLS certificate and its key were read again");
            }
            Err(problem) => {
                tracing::error!(%problem, "the TLS certificate and its key stay as they were");
            }
        }
        self.set_stamp(stamp);
    }

    /// Reads the files again whenever they have changed, and for a moment have not changed further.
    pub(crate) async fn follow(self) {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        let mut last = None;
        loop {
            interval.tick().await;
            // One of the two may be missing for a moment.
            let Some(now) = stamp(&self.files) else { continue };
            let is_read = *self.read.lock().unwrap_or_else(PoisonError::into_inner) == Some(now);
            if !is_read && last == Some(now) {
                self.reload();
            }
            last = Some(now);
        }
    }

    fn set_stamp(&self, stamp: Option<Stamp>) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
    }
}

fn stamp(files: &TlsFiles) -> Option<Stamp> {
    let one = |path: &Path| {
        let file = fs::metadata(path).ok()?;
        Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
    };
    Some([one(&files.certificate)?, one(&files.key)?])
}

fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, Problem> {
    let certificates = certificates(&files.certificate)?;
    let key = key(&files.key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pair = CertifiedKey::from_der(certificates, key, &provider).map_err(|error| {
        let mend = "name the certificate, then those above it, and the key that belongs to it";
        problem(KEY, &files.key, &format!("does not go with {}: {error}", files.certificate.display()), mend)
    })?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem { setting: CERTIFICATE, message: error.to_string() })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let mend = "write the server's certificate as PEM, and behind it those of the CAs up to the root";
    let file = open_input(path).map_err(|error| refused(CERTIFICATE, path, error))?;
    let text = text(CERTIFICATE, path, file)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(problem(CERTIFICATE, path, "holds no certificate", mend))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(problem(CERTIFICATE, path, &format!("is not PEM: {error}"), mend)),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    let file = open_key(path).map_err(|error| refused(KEY, path, error))?;
    let metadata = file.metadata().map_err(|error| unreadable(KEY, path, &error))?;
    if metadata.mode() & OPEN_TO_OTHERS != 0 {
        let mend = format!("run `chmod 600 {}`; 640 will do too", path.display());
        return Err(problem(KEY, path, "may be read, or changed, by others than its owner", &mend));
    }
    let text = text(KEY, path, file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let mend = "write the key as PEM, without a passphrase: `openssl pkey` does";
        problem(KEY, path, &format!("holds no private key: {error}"), mend)
    })
}

fn text(setting: &'static str, path: &Path, file: File) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let read = || {
        // Room for all of it: growing would leave copies behind.
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        file.take(LONGEST as u64 + 1).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| unreadable(setting, path, &error))?;
    if text.len() > LONGEST {
        return Err(problem(setting, path, &format!("is larger than {LONGEST} bytes"), "name another file"));
    }
    Ok(text)
}

fn refused(setting: &'static str, path: &Path, error: HostError) -> Problem {
    match error {
        HostError::Io { source, .. } => unreadable(setting, path, &source),
        other => Problem { setting, message: other.to_string() },
    }
}

fn unreadable(setting: &'static str, path: &Path, error: &io::Error) -> Problem {
    problem(setting, path, &format!("cannot be read: {error}"), "name a file that this user can read")
}

fn problem(setting: &'static str, path: &Path, wrong: &str, mend: &str) -> Problem {
    Problem { setting, message: format!("{} {wrong}; {mend}", path.display()) }
}

/// Time between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Reading and writing by others, writing by the group: a group may read, as mounted secrets often ask for.
const OPEN_TO_OTHERS: u32 = 0o027;
/// Bytes of a file: a chain of RSA-8192 certificates has a tenth.
const LONGEST: usize = 256 * 1024;
