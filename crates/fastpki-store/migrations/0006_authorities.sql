-- The name that a CA's public addresses are made from, where it was renamed since: certificates name those addresses.
ALTER TABLE certificate_authorities ADD COLUMN published_name VARCHAR;
-- The subject as RFC 5280 compares it, without case and blanks. Null in rows from before, until the next start.
ALTER TABLE certificate_authorities ADD COLUMN subject_key VARCHAR;
