-- The released FastPKI 0.4.0 has no name for CA_UPDATE, and fails on a page of the audit log with such an entry. Those that
-- this program wrote before get a stand-in that it has; what they tell of stays, in own_action. Entries from before the
-- adoption stay as FastPKI wrote them.
UPDATE audit_logs SET own_action = COALESCE(own_action, 'CA_UPDATE'), action = 'CA_CREATE'
WHERE CAST(action AS VARCHAR) = 'CA_UPDATE' AND (own_action IS NOT NULL OR created_at > (SELECT applied_at FROM fastpki_migrations WHERE version = 2));
