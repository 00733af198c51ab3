-- What a user created, by whose it is: asked before an admin takes the user in. Deletions of users read it too.
CREATE INDEX fastpki_certificates_created_by_user_id ON certificates (created_by_user_id, organization_id) WHERE created_by_user_id IS NOT NULL;
-- The organization in which alone a user's password is good, since an admin of it set it. Null is everywhere.
ALTER TABLE users ADD COLUMN password_of_organization_id INTEGER;
-- What a username looks like, as it is written and in small letters: no new one looks the same. Null in rows that
-- FastPKI 0.4 wrote, until the next start.
ALTER TABLE users ADD COLUMN name_skeleton VARCHAR;
ALTER TABLE users ADD COLUMN small_name_skeleton VARCHAR;
CREATE INDEX fastpki_users_name_skeleton ON users (name_skeleton);
CREATE INDEX fastpki_users_small_name_skeleton ON users (small_name_skeleton);
