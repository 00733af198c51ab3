//! What the tests of keys have in common: two keys, and a server that issued.

use serde_json::Value;

use crate::program::{Client, Server, Site};

/// What a server issued, and who may export it.
pub(crate) struct Issued {
    pub(crate) client: Client,
    ca: Value,
    pub(crate) certificates: Vec<Value>,
}

impl Issued {
    /// Makes the first user, a CA and certificates, with a server that is then stopped.
    pub(crate) async fn first(site: &Site, settings: &[(&str, &str)], count: usize) -> Self {
        let server = site.serve(settings);
        let client = Client::first(&server.base_url).await;
        let ca = client.create_ca().await;
        let ca = client.get(&format!("/cas/{ca}/private-key")).await;
        let mut issued = Self { client, ca, certificates: Vec::new() };
        issued.more(&server, count).await;
        server.stop();
        issued
    }

    pub(crate) async fn more(&mut self, server: &Server, count: usize) {
        let client = self.client.of(server);
        for _ in 0..count {
            self.certificates.push(client.issue(1).await.expect("an answer"));
        }
    }

    /// As they were answered: the CA's, and those of the certificates by id.
    pub(crate) fn private_keys(&self) -> Vec<String> {
        let all = [&self.ca].into_iter().chain(&self.certificates);
        all.map(|issued| issued["private_key"].as_str().expect("a key").to_owned()).collect()
    }

    /// The server gives every private key back as it was answered.
    pub(crate) async fn are_exported(&self, server: &Server) {
        let client = self.client.of(server);
        let ca = client.get("/cas/1/private-key").await;
        assert_eq!(ca["private_key"], self.ca["private_key"]);
        for expected in &self.certificates {
            let found = client.get(&format!("/certificates/{}/private-key", expected["id"])).await;
            assert_eq!(found["private_key"], expected["private_key"]);
        }
    }
}

pub(crate) fn under(keys: &str) -> [(&str, &str); 1] {
    [("PRIVATE_KEY_ENCRYPTION_KEY", keys)]
}

/// The private keys as they are stored: the CA's, and those of the certificates by id.
pub(crate) async fn stored(site: &Site) -> Vec<String> {
    let mut keys = site.database.peek("SELECT private_key FROM certificate_authorities").await;
    let sql = "SELECT private_key FROM certificates WHERE private_key IS NOT NULL ORDER BY id";
    keys.extend(site.database.peek(sql).await);
    keys
}

/// Stores another private key beside a certificate, as somebody would who does not know of fingerprints.
pub(crate) async fn store(site: &Site, id: usize, key: &str) {
    let set = format!("private_key = '{key}', encryption_key_fingerprint = NULL");
    site.database.script(&format!("UPDATE certificates SET {set} WHERE id = {id}")).await;
}

pub(crate) const OLD: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
pub(crate) const NEW: &str = "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=";
/// The first encrypts.
pub(crate) const BOTH: &str =
    "6gZJ-vonVUSftEBVF5e-9k4WO3iuk1jxekieyNW7EW8=,cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
/// By Python: `hmac.digest(key, b"FastPKI encryption key fingerprint", "sha256")[:8].hex()`.
pub(crate) const OLD_FINGERPRINT: &str = "97d59baec788db1b";
pub(crate) const NEW_FINGERPRINT: &str = "0c5e55acd946cf43";
