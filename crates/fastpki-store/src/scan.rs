//! The scan at start: every encrypted private key must be readable, and once a key is set, no private
//! key stays in plaintext.

use fastpki_types::{CaId, CertificateId, Timestamp};

use crate::{
    Store,
    db::Value,
    error::StoreError,
    seal::{KeyOwner, Seal, SealedKey},
};

/// What the scan found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Private keys that were encrypted already, all of them readable.
    pub readable: u64,
    /// Private keys that were in plaintext and are encrypted now.
    pub encrypted: u64,
}

#[derive(Clone, Copy)]
enum KeyTable {
    Authorities,
    Certificates,
}

/// A stored private key and the row it is in.
struct Stored {
    id: i32,
    name: String,
    key: SealedKey,
}

impl Store {
    /// Reads every encrypted private key; when all can be read and keys are set, encrypts the others.
    /// Fails on the first that cannot be read, before anything is changed.
    pub async fn scan_keys(&self, seal: &Seal, now: Timestamp) -> Result<ScanReport, StoreError> {
        let mut report = ScanReport::default();
        for table in [KeyTable::Authorities, KeyTable::Certificates] {
            let mut after = 0;
            loop {
                let page = self.stored_keys(table, after, false, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.id;
                for stored in page.iter().filter(|stored| stored.key.is_encrypted()) {
                    seal.open(&stored.key, || table.owner(stored))?;
                    report.readable += 1;
                }
            }
        }
        if seal.encrypts() {
            for table in [KeyTable::Authorities, KeyTable::Certificates] {
                report.encrypted += self.encrypt_table(table, seal, now).await?;
            }
            // Until then the file itself still has what was in plaintext; an earlier start may have been cut short
            // before it.
            self.db.checkpoint().await?;
        }
        Ok(report)
    }

    /// Tries one encrypted private key of a CA: whether the keys at hand are the right ones.
    pub async fn try_a_key(&self, seal: &Seal) -> Result<(), StoreError> {
        let page = self.stored_keys(KeyTable::Authorities, 0, false, 1).await?;
        for stored in &page {
            seal.open(&stored.key, || KeyTable::Authorities.owner(stored))?;
        }
        Ok(())
    }

    async fn encrypt_table(&self, table: KeyTable, seal: &Seal, now: Timestamp) -> Result<u64, StoreError> {
        let mut encrypted = 0;
        let mut after = 0;
        loop {
            let page = self.stored_keys(table, after, true, PAGE).await?;
            let Some(last) = page.last() else { return Ok(encrypted) };
            after = last.id;
            let mut changes: Vec<[Value; 3]> = Vec::with_capacity(page.len());
            for stored in &page {
                let plaintext = seal.open(&stored.key, || table.owner(stored))?;
                let sealed = seal.seal(&plaintext, now);
                changes.push([stored.id.into(), stored.key.as_column().into(), sealed.as_column().into()]);
            }
            encrypted += self
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        let mut changed = 0;
                        for values in &changes {
                            changed += tx.execute(table.replace_sql(), values).await?;
                        }
                        Ok(changed)
                    })
                })
                .await?;
        }
    }

    async fn stored_keys(
        &self,
        table: KeyTable,
        after: i32,
        plaintext: bool,
        limit: i64,
    ) -> Result<Vec<Stored>, StoreError> {
        let sql = table.page_sql(plaintext);
        self.db
            .scan(move |tx| {
                Box::pin(async move {
                    let rows = tx.rows(sql, &[after.into(), limit.into()]).await?;
                    rows.into_iter()
                        .map(|mut row| {
                            let (id, name) = (row.next()?, row.next()?);
                            Ok(Stored { id, name, key: SealedKey::from_column(row.next()?) })
                        })
                        .collect()
                })
            })
            .await
    }
}

impl KeyTable {
    fn owner(self, stored: &Stored) -> KeyOwner {
        match self {
            Self::Authorities => KeyOwner::Ca(CaId(stored.id), stored.name.clone()),
            Self::Certificates => KeyOwner::Certificate(CertificateId(stored.id), stored.name.clone()),
        }
    }

    fn page_sql(self, plaintext: bool) -> &'static str {
        match (self, plaintext) {
            (Self::Authorities, false) => {
                "/* authority_keys */
                 SELECT id, name, private_key FROM certificate_authorities WHERE id > $1 ORDER BY id LIMIT $2"
            }
            (Self::Authorities, true) => {
                "/* plaintext_authority_keys */
                 SELECT id, name, private_key FROM certificate_authorities
                 WHERE id > $1 AND private_key LIKE '-----BEGIN%' ORDER BY id LIMIT $2"
            }
            (Self::Certificates, false) => {
                "/* certificate_keys */
                 SELECT id, common_name, private_key FROM certificates
                 WHERE id > $1 AND private_key IS NOT NULL ORDER BY id LIMIT $2"
            }
            (Self::Certificates, true) => {
                "/* plaintext_certificate_keys */
                 SELECT id, common_name, private_key FROM certificates
                 WHERE id > $1 AND private_key LIKE '-----BEGIN%' ORDER BY id LIMIT $2"
            }
        }
    }

    /// Replaces a key only if it is still the one that was read.
    fn replace_sql(self) -> &'static str {
        match self {
            Self::Authorities => {
                "/* replace_authority_key */
                 UPDATE certificate_authorities SET private_key = $3 WHERE id = $1 AND private_key = $2"
            }
            Self::Certificates => {
                "/* replace_certificate_key */
                 UPDATE certificates SET private_key = $3 WHERE id = $1 AND private_key = $2"
            }
        }
    }
}

/// Rows that are read at once, and that one transaction rewrites: about 4 MB.
const PAGE: i64 = 1000;
