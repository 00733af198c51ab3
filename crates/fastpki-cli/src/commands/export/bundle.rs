//! The CAs that the caller's organization trusts.

use std::collections::{BTreeMap, BTreeSet};

use fastpki_x509::Certificate;
use serde::Deserialize;

use crate::{client::Client, error::Error};

#[derive(Deserialize)]
struct Ca {
    id: Option<i64>,
    #[serde(default)]
    parent_ca_id: Option<i64>,
    certificate: String,
}

/// The root certificates above all CAs that the caller sees, and with `all` the other CAs' too, each once.
pub(super) fn certificates(client: &Client, all: bool) -> Result<String, Error> {
    let visible: Vec<Ca> = client.get("/cas/", &[])?.parse()?;
    let ids: BTreeSet<i64> = visible.iter().filter_map(|ca| ca.id).collect();
    let mut bundle = BTreeMap::new();
    // Above these are CAs of others, which only the chain shows.
    let below_others: Vec<i64> = visible
        .iter()
        .filter(|ca| ca.parent_ca_id.is_some_and(|parent| !ids.contains(&parent)))
        .filter_map(|ca| ca.id)
        .collect();
    add(&mut bundle, visible, all)?;
    for id in below_others {
        let chain: Vec<Ca> = client.get(&format!("/cas/{id}/chain"), &[])?.parse()?;
        add(&mut bundle, chain, all)?;
    }
    if bundle.is_empty() {
        return Err(Error::Failed("there is no CA that you may see".into()));
    }
    Ok(bundle.into_values().map(|(_, pem)| pem).collect())
}

/// By their bytes, so that each is there once whatever its id.
fn add(bundle: &mut BTreeMap<Vec<u8>, (Option<i64>, String)>, cas: Vec<Ca>, all: bool) -> Result<(), Error> {
    for ca in cas {
        let failed = |cause| Error::Pki { what: format!("CA {}", ca.id.unwrap_or_default()), cause };
        let certificate = Certificate::from_pem(&ca.certificate).map_err(failed)?;
        if all || certificate.is_issued_by(&certificate).is_ok() {
            bundle.entry(certificate.der().to_vec()).or_insert((ca.id, certificate.to_pem()));
        }
    }
    Ok(())
}
