//! What is in the files of a CA.

use std::{
    fs::{self, File as Handle},
    io::Read,
    path::Path,
};

use fastpki_x509::import::{File, Inputs, Plan};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::places::Places;
use crate::{error::Error, progress::Progress};

/// A file that was read. Wiped, for it may be a key.
pub(super) struct Loaded {
    /// How it is called.
    pub(super) name: String,
    /// What is in it.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl Loaded {
    /// The file as it is planned with.
    pub(super) fn file(&self) -> File<'_> {
        File { name: &self.name, bytes: &self.bytes }
    }
}

/// All files of a CA.
pub(super) struct Contents {
    pub(super) cert: Loaded,
    pub(super) key: Loaded,
    pub(super) certs: Vec<Loaded>,
    pub(super) keys: Vec<Loaded>,
    pub(super) index: Option<String>,
    pub(super) crl: Option<Loaded>,
    crl_number: Option<String>,
    /// Files that could not be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
    /// Whether it was a folder, where a record of revocations is to be expected.
    pub(super) is_folder: bool,
}

impl Contents {
    /// Reads all; the private keys of what the CA issued only where they are wanted.
    pub(super) fn read(places: Places, with_keys: bool) -> Result<Self, Error> {
        let mut reader =
            Reader { places: &places, room: MAX_IN_ALL, unreadable: Vec::new(), progress: None, done: 0 };
        let cert = reader.needed(&places.cert, MAX_FILE)?;
        let key = reader.needed(&places.key, MAX_FILE)?;
        let text = |loaded: Loaded| String::from_utf8_lossy(&loaded.bytes).into_owned();
        let index = places.index.as_deref().map(|path| reader.needed(path, MAX_INDEX)).transpose()?.map(text);
        let crl_number =
            places.crl_number.as_deref().map(|path| reader.needed(path, MAX_FILE)).transpose()?.map(text);
        let crls: Result<Vec<_>, _> = places.crls.iter().map(|path| reader.needed(path, MAX_INDEX)).collect();
        let key_places = if with_keys { &places.keys[..] } else { &[] };
        reader.progress = Some(Progress::counting("reading files", places.certs.len() + key_places.len()));
        let certs = reader.those_readable(&places.certs)?;
        let keys = reader.those_readable(key_places)?;
        let crl = newest(crls?, &cert);
        let unreadable = reader.unreadable;
        Ok(Self {
            cert,
            key,
            certs,
            keys,
            index,
            crl,
            crl_number,
            unreadable,
            is_folder: places.folder.is_some(),
        })
    }

    /// Makes a plan of it.
    pub(super) fn inputs(&self, now: Timestamp, plan: impl FnOnce(&Inputs<'_>) -> Plan) -> Plan {
        let certificates: Vec<_> = self.certs.iter().map(Loaded::file).collect();
        let keys: Vec<_> = self.keys.iter().map(Loaded::file).collect();
        let _progress = Progress::waiting("checking keys and signatures");
        plan(&Inputs {
            ca_certificate: self.cert.file(),
            ca_key: Some(self.key.file()),
            passphrase: None,
            certificates: &certificates,
            keys: &keys,
            index: self.index.as_deref(),
            crl: self.crl.as_ref().map(Loaded::file),
            crl_number: self.crl_number.as_deref(),
            now,
        })
    }
}

struct Reader<'a> {
    places: &'a Places,
    /// Bytes that may still be read.
    room: u64,
    unreadable: Vec<(String, String)>,
    progress: Option<Progress>,
    done: usize,
}

impl Reader<'_> {
    /// A file without which nothing can be said.
    fn needed(&mut self, path: &Path, limit: u64) -> Result<Loaded, Error> {
        let bytes = self.bytes(path, limit).map_err(|cause| Error::file(path, cause))?;
        Ok(Loaded { name: self.places.name(path), bytes })
    }

    /// Files of which some may be left out.
    fn those_readable(&mut self, paths: &[std::path::PathBuf]) -> Result<Vec<Loaded>, Error> {
        let mut loaded = Vec::with_capacity(paths.len());
        for path in paths {
            let name = self.places.name(path);
            match self.bytes(path, MAX_FILE) {
                Ok(bytes) => loaded.push(Loaded { name, bytes }),
                Err(cause) => self.unreadable.push((name, cause)),
            }
            if self.room == 0 {
                return Err(Error::Failed(format!(
                    "there are more than {MAX_IN_ALL} bytes: import in parts, with --certs"
                )));
            }
            self.done += 1;
            self.progress.iter().for_each(|progress| progress.reached(self.done));
        }
        Ok(loaded)
    }

    fn bytes(&mut self, path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
        let about = fs::metadata(path).map_err(|error| error.to_string())?;
        // As long as it will be: a vector that grows leaves copies of keys behind. A pipe does not say how long it is.
        let expected = if about.is_file() { about.len().min(limit) } else { MAX_FILE };
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(expected).unwrap_or(0) + 1));
        let file = Handle::open(path).map_err(|error| error.to_string())?;
        let size = file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())? as u64;
        if size > limit {
            return Err(format!("it is larger than {limit} bytes, so it is nothing that is expected here"));
        }
        self.room = self.room.saturating_sub(size);
        Ok(bytes)
    }
}

/// The newest list of this CA, or else the first, about which the plan then says what is wrong.
fn newest(lists: Vec<Loaded>, cert: &Loaded) -> Option<Loaded> {
    let issuer = cert.file().certificate().ok();
    let issued = |list: &Loaded| {
        let (list, issuer) = (list.file().list().ok()?, issuer.as_ref()?);
        list.is_issued_by(issuer).ok().map(|()| list.this_update())
    };
    // The first of those that are equally new, such as when none is the CA's.
    lists.into_iter().rev().max_by_key(issued)
}

/// A certificate with a thousand alternative names, and all of it in words before it.
const MAX_FILE: u64 = 256 * 1024;
/// An index or a list of some two million certificates.
const MAX_INDEX: u64 = 256_000_000;
/// All certificates and keys together: 200,000 of 5 KB.
const MAX_IN_ALL: u64 = 1 << 30;
