-- Under which key each private key lies, by that key's fingerprint: null in plaintext, and where FastPKI 0.4 wrote it.
ALTER TABLE certificate_authorities ADD COLUMN encryption_key_fingerprint VARCHAR;
ALTER TABLE certificates ADD COLUMN encryption_key_fingerprint VARCHAR;

-- PostgreSQL samples values for its planner: private keys would stay in its statistics.
postgres: ALTER TABLE certificate_authorities ALTER COLUMN private_key SET STATISTICS 0;
postgres: ALTER TABLE certificates ALTER COLUMN private_key SET STATISTICS 0;

-- What remains to be done, each by its name, until it is done.
CREATE TABLE fastpki_pending (name VARCHAR NOT NULL PRIMARY KEY);
-- Programs before this one left traces of plaintext keys in unused parts of the database.
INSERT INTO fastpki_pending (name) SELECT 'wipe_plaintext' WHERE EXISTS (SELECT id FROM certificate_authorities);
