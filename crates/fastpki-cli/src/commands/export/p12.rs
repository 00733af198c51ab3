//! PKCS#12 files, made on this host.

use std::{fs, path::Path};

use fastpki_x509::{Certificate, PrivateKey, pkcs12};
use zeroize::Zeroizing;

use crate::{ask, client::Client, error::Error, pki};

/// A certificate, its private key and its issuers, under a password.
pub(super) fn seal(
    client: &Client,
    id: i32,
    key_file: Option<&Path>,
    password_file: Option<&Path>,
) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::Pki { what: format!("certificate {id}"), cause };
    let chain = client.get(&format!("/export/certificate/{id}/chain"), &[])?.text;
    let mut chain =
        pki::certificates(&chain).iter().map(|pem| Certificate::from_pem(pem)).collect::<Result<Vec<_>, _>>();
    let chain = chain.as_mut().map_err(|cause| failed(cause.clone()))?;
    let Some((certificate, issuers)) = chain.split_first() else {
        return Err(Error::Failed(format!("certificate {id} has no chain")));
    };
    let password =
        password_file.map_or_else(|| ask::new_password("Password of the PKCS#12 file"), pki::first_line)?;
    let key = PrivateKey::from_pem(&key_pem(client, id, key_file)?).map_err(failed)?;
    let names = certificate.subject().common_names();
    let friendly_name = names.first().map(String::as_str);
    let bundle = pkcs12::Bundle { certificate, key: &key, chain: issuers, friendly_name };
    pkcs12::seal(&bundle, password.expose(), &pki::randomness()?).map_err(failed)
}

fn key_pem(client: &Client, id: i32, file: Option<&Path>) -> Result<Zeroizing<String>, Error> {
    if let Some(path) = file {
        return fs::read_to_string(path).map(Zeroizing::new).map_err(|error| Error::file(path, error));
    }
    match client.get(&format!("/export/certificate/{id}/private-key"), &[]) {
        Ok(answer) => Ok(answer.text),
        Err(error) if error.is_not_found() => Err(Error::Failed(format!(
            "{error}\nif you have the private key yourself, give it with --key FILE"
        ))),
        Err(error) => Err(error),
    }
}
