-- What a user created, by whose it is: asked before an admin takes the user in. Deletions of users read it too.
CREATE INDEX fastpki_certificates_created_by_user_id ON certificates (created_by_user_id, organization_id) WHERE created_by_user_id IS NOT NULL;
