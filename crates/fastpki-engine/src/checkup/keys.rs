//! How private keys lie, and whether they can be read.

use std::sync::Arc;

use fastpki_store::{Seal, Store};

use super::Finding;
use crate::Error;

pub(super) async fn check(
    store: &Store,
    seal: &Arc<Seal>,
    all: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Error> {
    let survey = if all {
        store.survey_keys(seal, &Arc::default()).await?
    } else {
        store.survey_newest_keys(seal, SAMPLE).await?
    };
    let (count, plaintext) = store.count_keys().await?;
    let tried = survey.total().count();
    findings.push(if survey.unreadable.count > 0 {
        Finding::error("private keys", survey.unreadable.to_string())
    } else if tried == count {
        Finding::ok("private keys", format!("all {count} can be read"))
    } else {
        let text = format!("the newest {tried} of {count} can be read; --all-keys tries all of them");
        Finding::ok("private keys", text)
    });
    findings.push(match (plaintext, seal.first()) {
        (0, Some(first)) => Finding::ok("encryption at rest", format!("none lies in plaintext; new ones lie under {first}")),
        (_, Some(_)) => {
            let text = format!("{plaintext} of {count} private keys lie in plaintext: the next start, or `fastpki keys encrypt`, encrypts them");
            Finding::warning("encryption at rest", text)
        }
        (_, None) => {
            let text = format!("no encryption key is set, and {plaintext} of {count} private keys lie in plaintext: make one with `fastpki keys generate`, and set PRIVATE_KEY_ENCRYPTION_KEY_FILE");
            Finding::warning("encryption at rest", text)
        }
    });
    if store.traces().await?.is_some() {
        let text =
            "traces of private keys as they lay before are left: run `fastpki keys wipe` when users can wait";
        findings.push(Finding::warning("encryption at rest", text));
    }
    Ok(())
}

/// Ids of each table whose private keys are tried: some milliseconds.
const SAMPLE: i64 = 250;
