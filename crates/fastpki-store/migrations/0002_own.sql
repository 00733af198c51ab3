-- What this program keeps beside the tables of FastPKI 0.4.0. Nothing of those is renamed, retyped or dropped.

-- Highest id that each table has handed out: SQLite would give a deleted row's id to the next one.
sqlite: CREATE TABLE fastpki_ids (table_name VARCHAR NOT NULL PRIMARY KEY, last_id INTEGER NOT NULL);

-- Every serial number a CA has signed, over certificates and sub-CAs. A table of its own, because an
-- adopted database may hold a serial number twice.
CREATE TABLE fastpki_serials (
    issuer_id INTEGER NOT NULL,
    serial_number VARCHAR NOT NULL,
    PRIMARY KEY (issuer_id, serial_number)
) {without_rowid};
INSERT INTO fastpki_serials (issuer_id, serial_number)
SELECT DISTINCT issuer_id, serial_number FROM certificates WHERE issuer_id IS NOT NULL;

-- The latest CRL of each CA: reserved is the highest number given out, number that of the CRL that is
-- recorded; it covers every entry up to last_entry_id.
CREATE TABLE fastpki_crls (
    ca_id INTEGER NOT NULL PRIMARY KEY,
    reserved BIGINT NOT NULL,
    number BIGINT NOT NULL DEFAULT 0,
    last_entry_id INTEGER,
    this_update {timestamp},
    next_update {timestamp},
    der {blob}
);

-- Family of the key: rsa, ec, ed25519. Null in adopted rows: the certificate says it.
ALTER TABLE certificate_authorities ADD COLUMN key_type VARCHAR;
ALTER TABLE certificates ADD COLUMN key_type VARCHAR;

-- Ids of actors and organizations that were deleted since, and actions that FastPKI 0.4.0 has no name for.
ALTER TABLE audit_logs ADD COLUMN original_user_id INTEGER;
ALTER TABLE audit_logs ADD COLUMN original_service_account_id INTEGER;
ALTER TABLE audit_logs ADD COLUMN original_organization_id INTEGER;
ALTER TABLE audit_logs ADD COLUMN own_action VARCHAR;

postgres: ALTER TYPE certificatetype ADD VALUE IF NOT EXISTS 'DUAL_PURPOSE';

CREATE INDEX fastpki_certificates_issuer_id ON certificates (issuer_id);
CREATE INDEX fastpki_certificates_organization_id ON certificates (organization_id);
CREATE INDEX fastpki_certificates_renewed_from_id ON certificates (renewed_from_id) WHERE renewed_from_id IS NOT NULL;
CREATE INDEX fastpki_crl_entries_ca_id ON crl_entries (ca_id, id);
CREATE INDEX fastpki_certificate_authorities_parent_ca_id ON certificate_authorities (parent_ca_id) WHERE parent_ca_id IS NOT NULL;
