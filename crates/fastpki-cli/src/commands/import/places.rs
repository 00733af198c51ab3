//! Where the files of a CA lie that another program kept.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// Files that somebody named, in place of those that are found.
pub(super) struct Named {
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// Files and folders.
    pub(super) certs: Vec<PathBuf>,
    pub(super) crl: Option<PathBuf>,
}

/// The files of a CA.
pub(super) struct Places {
    /// The folder that names are told from; none where files were named one by one.
    pub(super) folder: Option<PathBuf>,
    /// The CA's certificate.
    pub(super) cert: PathBuf,
    /// The CA's private key.
    pub(super) key: PathBuf,
    /// What it issued, and files that may be something else.
    pub(super) certs: Vec<PathBuf>,
    /// Private keys of what it issued.
    pub(super) keys: Vec<PathBuf>,
    /// `index.txt`.
    pub(super) index: Option<PathBuf>,
    /// CRLs, of which the newest counts.
    pub(super) crls: Vec<PathBuf>,
    /// `crlnumber`.
    pub(super) crl_number: Option<PathBuf>,
}

impl Places {
    /// A folder of Easy-RSA 3, or the `pki` in it.
    pub(super) fn easy_rsa(folder: &Path, named: Named) -> Result<Self, Error> {
        let inner = folder.join("pki");
        let folder = if inner.is_dir() { &inner } else { folder };
        let program = "Easy-RSA 3";
        let cert = one(folder, named.cert, &["ca.crt"], "--cert", program)?;
        let key = one(folder, named.key, &["private/ca.key"], "--key", program)?;
        Self {
            certs: certificates(folder, named.certs, &EASY_RSA_CERTIFICATES)?,
            keys: keys(folder, &EASY_RSA_KEYS, &key)?,
            index: existing(folder.join("index.txt")),
            crls: named.crl.map_or_else(|| existing(folder.join("crl.pem")), Some).into_iter().collect(),
            crl_number: existing(folder.join("crlnumber")),
            folder: Some(folder.to_owned()),
            cert,
            key,
        }
        .checked()
    }

    /// A folder of `openssl ca`.
    pub(super) fn openssl_ca(folder: &Path, named: Named) -> Result<Self, Error> {
        let inner = folder.join("demoCA");
        let folder = if inner.is_dir() { &inner } else { folder };
        let program = "openssl ca";
        let cert = one(folder, named.cert, &OPENSSL_CERTIFICATE, "--cert", program)?;
        let key = one(folder, named.key, &OPENSSL_KEY, "--key", program)?;
        // Easy-RSA 2 has everything in one folder.
        let flat = !folder.join("newcerts").is_dir() && !folder.join("certs").is_dir();
        let (certs, key_folder): (&[&str], _) =
            if flat { (&["."], ".") } else { (&["newcerts", "certs"], "private") };
        let crls = match named.crl {
            Some(crl) => vec![crl],
            None => {
                let found = existing(folder.join("crl.pem")).into_iter();
                found.chain(files(&folder.join("crl"), &["pem", "crl", "der"])?).collect()
            }
        };
        Self {
            certs: certificates(folder, named.certs, certs)?,
            keys: keys(folder, &[key_folder], &key)?,
            index: existing(folder.join("index.txt")),
            crls,
            crl_number: existing(folder.join("crlnumber")),
            folder: Some(folder.to_owned()),
            cert,
            key,
        }
        .checked()
    }

    /// Files that were named one by one.
    pub(super) fn alone(named: Named) -> Result<Self, Error> {
        let missing = |option: &str| Error::Usage(format!("{option} is missing"));
        Self {
            folder: None,
            cert: named.cert.ok_or_else(|| missing("--cert"))?,
            key: named.key.ok_or_else(|| missing("--key"))?,
            certs: certificates(Path::new("."), named.certs, &[])?,
            keys: Vec::new(),
            index: None,
            crls: named.crl.into_iter().collect(),
            crl_number: None,
        }
        .checked()
    }

    /// How a file is called when something is told about it.
    pub(super) fn name(&self, path: &Path) -> String {
        let within = self.folder.as_ref().and_then(|folder| path.strip_prefix(folder).ok());
        within.unwrap_or(path).display().to_string()
    }

    fn checked(self) -> Result<Self, Error> {
        if self.certs.len().max(self.keys.len()) > MAX_FILES {
            let text = format!("there are more than {MAX_FILES} files: import them in parts, with --certs");
            return Err(Error::Failed(text));
        }
        Ok(self)
    }
}

/// The file that was named, or the first of these that is there.
fn one(
    folder: &Path,
    named: Option<PathBuf>,
    usual: &[&str],
    option: &str,
    program: &str,
) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        let within = folder.join(&path);
        return Ok(if within.is_file() { within } else { path });
    }
    if !folder.is_dir() {
        return Err(Error::file(folder, "there is no such folder"));
    }
    let found = usual.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let places = usual.join(", ");
        Error::file(
            folder,
            format!("there is no {places}: is this a CA of {program}? If so, name the file with {option}"),
        )
    })
}

/// The certificates in what was named, or else in these folders.
fn certificates(folder: &Path, named: Vec<PathBuf>, usual: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    if named.is_empty() {
        for name in usual {
            found.extend(files(&folder.join(name), &CERTIFICATE_ENDINGS)?);
        }
    }
    for path in named {
        let within = folder.join(&path);
        let path = if within.exists() { within } else { path };
        if path.is_dir() { found.extend(files(&path, &CERTIFICATE_ENDINGS)?) } else { found.push(path) }
    }
    Ok(found)
}

fn keys(folder: &Path, folders: &[&str], of_the_ca: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for name in folders {
        let endings: &[&str] = if *name == "." { &["key"] } else { &["key", "pem"] };
        found.extend(files(&folder.join(name), endings)?);
    }
    found.retain(|path| path != of_the_ca);
    Ok(found)
}

/// The files of a folder with these endings, by name; none where there is no such folder.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = |error| Error::file(folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let fits =
            path.extension().is_some_and(|it| endings.iter().any(|ending| it.eq_ignore_ascii_case(ending)));
        // Follows links; pipes and the like are no files.
        if fits && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

/// Where Easy-RSA 3.0 to 3.2 put certificates; those with telling names first, for the same are there twice.
const EASY_RSA_CERTIFICATES: [&str; 6] = [
    "issued",
    "revoked/certs_by_serial",
    "renewed/issued",
    "renewed/certs_by_serial",
    "expired",
    "certs_by_serial",
];
const EASY_RSA_KEYS: [&str; 4] =
    ["private", "revoked/private_by_serial", "renewed/private", "renewed/private_by_serial"];
const OPENSSL_CERTIFICATE: [&str; 7] =
    ["cacert.pem", "ca.crt", "ca.pem", "ca.cert.pem", "certs/ca.cert.pem", "certs/ca.crt", "certs/ca.pem"];
const OPENSSL_KEY: [&str; 6] =
    ["private/cakey.pem", "private/ca.key", "private/ca.key.pem", "private/ca.pem", "cakey.pem", "ca.key"];
const CERTIFICATE_ENDINGS: [&str; 4] = ["crt", "pem", "cer", "der"];
/// Files of a kind: four requests' worth.
const MAX_FILES: usize = 200_000;
