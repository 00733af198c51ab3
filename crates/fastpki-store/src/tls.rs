//! Encrypted connections to PostgreSQL, with libpq's levels of distrust.

use std::{fs::File, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{config::TlsMode, error::StoreError};

/// What makes connections at this level.
pub(crate) fn connector(mode: TlsMode, root_cert: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Database(error.to_string()))?;
    let config = match mode {
        TlsMode::VerifyFull => builder.with_root_certificates(roots(root_cert)?),
        TlsMode::VerifyCa => {
            let roots = Arc::new(roots(root_cert)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|error| StoreError::Unusable(format!("sslrootcert: {error}")))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName { chain, provider }))
        }
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone { provider }))
        }
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// The certificates to trust: those of a PEM file, or the system's.
fn roots(file: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let unusable = |reason: String| StoreError::Unusable(format!("DATABASE_URL: sslrootcert: {reason}"));
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let named = |error: &dyn std::fmt::Display| unusable(format!("{}: {error}", file.display()));
            let opened = open_roots(file)?;
            for certificate in CertificateDer::pem_reader_iter(opened) {
                let certificate = certificate.map_err(|error| named(&error))?;
                roots.add(certificate).map_err(|error| named(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(unusable("there is no certificate to trust: name a PEM file".into()));
    }
    Ok(roots)
}

/// Opens the file of certificates to trust, if it is one: a pipe would be waited for.
pub(crate) fn open_roots(file: &Path) -> Result<File, StoreError> {
    fastpki_host::open_input(file)
        .map_err(|error| StoreError::Unusable(format!("DATABASE_URL: sslrootcert: {error}")))
}

/// libpq's "verify-ca": the chain must lead to a trusted root, whatever name the certificate carries.
#[derive(Debug)]
struct AnyName {
    chain: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

/// libpq's "prefer" and "require": whoever answers.
#[derive(Debug)]
struct Anyone {
    provider: Arc<CryptoProvider>,
}

impl AnyName {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chain.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }
}

impl Anyone {
    fn verify(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
}

/// Handshake signatures are checked at every level; only the certificate's origin differs.
macro_rules! server_cert_verifier {
    ($($verifier:ident)*) => {$(
        impl ServerCertVerifier for $verifier {
            fn verify_server_cert(
                &self,
                end_entity: &CertificateDer<'_>,
                intermediates: &[CertificateDer<'_>],
                name: &ServerName<'_>,
                ocsp: &[u8],
                now: UnixTime,
            ) -> Result<ServerCertVerified, Error> {
                self.verify(end_entity, intermediates, name, ocsp, now)
            }

            fn verify_tls12_signature(
                &self,
                message: &[u8],
                certificate: &CertificateDer<'_>,
                signature: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                let algorithms = &self.provider.signature_verification_algorithms;
                verify_tls12_signature(message, certificate, signature, algorithms)
            }

            fn verify_tls13_signature(
                &self,
                message: &[u8],
                certificate: &CertificateDer<'_>,
                signature: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, Error> {
                let algorithms = &self.provider.signature_verification_algorithms;
                verify_tls13_signature(message, certificate, signature, algorithms)
            }

            fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
                self.provider.signature_verification_algorithms.supported_schemes()
            }
        }
    )*};
}

server_cert_verifier! { AnyName Anyone }

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("roots.pem");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = roots(Some(&pipe)).unwrap_err().to_string();
        assert!(error.contains("sslrootcert") && error.contains("is not a regular file"), "{error}");
    }
}
