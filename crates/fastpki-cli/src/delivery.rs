//! What `--out-dir` writes: a certificate with its chain and its key, all or none.

use std::path::{Path, PathBuf};

use clap::Args;
use fastpki_types::PrivateKeyPem;
use fastpki_x509::key_fits_certificate;
use serde::Deserialize;

use crate::{
    client::{Answer, Client},
    error::Error,
    files::{self, Draft, Mode},
    output, pki,
};

/// Where to write a new certificate.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutDir {
    /// Write the result into this folder, all files or none: NAME.crt (the certificate), NAME.key (its private key,
    /// readable for you alone, where there is one), chain.pem (its issuers up to the root), fullchain.pem (the
    /// certificate and its issuers).
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// NAME of these files. [default: the common name, '*' as '_wildcard']
    #[arg(long, value_name = "NAME", requires = "out_dir", value_parser = name)]
    out_name: Option<String>,
}

/// A folder that can be written to, before anything is issued for it.
pub(crate) struct Delivery {
    folder: PathBuf,
    name: Option<String>,
}

/// A new certificate as it was answered.
#[derive(Deserialize)]
struct Issued {
    id: i64,
    common_name: String,
    certificate: String,
    #[serde(default)]
    private_key: Option<PrivateKeyPem>,
}

impl OutDir {
    /// Makes sure of the folder, where one is named.
    pub(crate) fn prepare(self) -> Result<Option<Delivery>, Error> {
        let Some(folder) = self.out_dir else { return Ok(None) };
        files::writable_folder(&folder)?;
        Ok(Some(Delivery { folder, name: self.out_name }))
    }
}

impl Delivery {
    /// Refuses to go on where a key is in the place of the new one.
    pub(crate) fn spare_key(&self, common_name: &str, force: bool) -> Result<(), Error> {
        let path = self.folder.join(format!("{}.key", self.name(common_name)?));
        if !force && path.exists() {
            return Err(Error::file(
                path,
                "there is a key already: choose another --out-name, or replace it with --force",
            ));
        }
        Ok(())
    }

    /// Writes an answer, with a key that was made here or else the one in the answer; the names of the files.
    pub(crate) fn write(
        &self,
        client: &Client,
        answer: &Answer,
        own: Option<&PrivateKeyPem>,
    ) -> Result<(), Error> {
        let issued: Issued = answer.parse()?;
        let written = self.write_issued(client, &issued, own.or(issued.private_key.as_ref()));
        let written = written.map_err(|error| {
            let id = issued.id;
            Error::Failed(format!(
                "certificate {id} was issued, but not written: {error}\nfetch it: fastpki export cert {id}"
            ))
        })?;
        let names: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        output::note(&format!("written: {}", names.join(", ")));
        Ok(())
    }

    fn write_issued(
        &self,
        client: &Client,
        issued: &Issued,
        key: Option<&PrivateKeyPem>,
    ) -> Result<Vec<PathBuf>, Error> {
        let what = || format!("certificate {}", issued.id);
        let fits = key.map(|key| key_fits_certificate(key.expose(), &issued.certificate)).transpose();
        if fits.map_err(|cause| Error::Pki { what: what(), cause })? == Some(false) {
            return Err(Error::Failed(format!("the private key is not that of {}", what())));
        }
        let name = self.name(&issued.common_name)?;
        let fullchain = client.get(&format!("/export/certificate/{}/chain", issued.id), &[])?.text;
        let blocks = pki::certificates(&fullchain);
        let (leaf, chain) =
            blocks.split_first().ok_or_else(|| Error::Failed(format!("{} has no chain", what())))?;
        let chain = chain.concat();
        let mut drafts = vec![
            public(format!("{name}.crt"), leaf),
            public("chain.pem".into(), &chain),
            public("fullchain.pem".into(), &fullchain),
        ];
        drafts.extend(key.map(|key| Draft {
            name: format!("{name}.key"),
            content: key.expose().as_bytes(),
            mode: Mode::Private,
        }));
        files::write_all(&self.folder, &drafts)
    }

    fn name(&self, common_name: &str) -> Result<String, Error> {
        let name = self.name.clone().or_else(|| files::safe_name(common_name));
        name.ok_or_else(|| Error::Usage("no file can be called like this: give --out-name".into()))
    }
}

/// Reads the name of a file.
fn name(text: &str) -> Result<String, String> {
    match files::safe_name(text) {
        Some(name) if name == text && Path::new(text).components().count() == 1 => Ok(name),
        _ => Err("should be a plain name of a file, without folder and ending".into()),
    }
}

fn public(name: String, content: &str) -> Draft<'_> {
    Draft { name, content: content.as_bytes(), mode: Mode::Public }
}
