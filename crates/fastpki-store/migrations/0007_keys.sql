-- Public keys that are not certified, each by its fingerprint: see PublicKey::fingerprint in fastpki-x509.

-- Those of certificates that were revoked because somebody else may have the private key. For everybody (-1), or for one
-- organization (0: what belongs to none), where its word is all that connects it with the key.
CREATE TABLE fastpki_compromised_keys (
    key_fingerprint VARCHAR NOT NULL,
    organization_id INTEGER NOT NULL,
    noted_at {timestamp} NOT NULL,
    PRIMARY KEY (key_fingerprint, organization_id)
) {without_rowid};

-- Whether another program issued a certificate: then nobody has shown this one that they have its private key.
ALTER TABLE certificates ADD COLUMN is_imported BOOLEAN DEFAULT false NOT NULL;
-- Up to which id a table has been looked through, by what for: each start goes on from there.
CREATE TABLE fastpki_marks (name VARCHAR NOT NULL PRIMARY KEY, last_id INTEGER NOT NULL) {without_rowid};

-- Those of CAs, with the serial numbers of their certificates. Null in rows that FastPKI 0.4 wrote, until the next start.
ALTER TABLE certificate_authorities ADD COLUMN key_fingerprint VARCHAR;
ALTER TABLE certificate_authorities ADD COLUMN serial_number VARCHAR;
CREATE INDEX fastpki_certificate_authorities_key_fingerprint ON certificate_authorities (key_fingerprint);

-- When a token was revoked. Null where FastPKI 0.4 revoked it, until the next sweep.
ALTER TABLE service_account_tokens ADD COLUMN revoked_at {timestamp};

-- Deleting a service account looks for what it created.
CREATE INDEX fastpki_certificates_created_by_service_account_id ON certificates (created_by_service_account_id) WHERE created_by_service_account_id IS NOT NULL;
