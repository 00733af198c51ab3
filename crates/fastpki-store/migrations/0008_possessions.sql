-- What a user created, by whose it is: asked before an admin takes the user in. Deletions of users read it too.
CREATE INDEX fastpki_certificates_created_by_user_id ON certificates (created_by_user_id, organization_id) WHERE created_by_user_id IS NOT NULL;
-- The organization in which alone a user's password is good, since an admin of it set it. Null is everywhere.
ALTER TABLE users ADD COLUMN password_of_organization_id INTEGER;
