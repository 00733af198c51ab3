-- The tables of FastPKI 0.4.0, as its own migrations leave them.
-- {id}, {timestamp}, {json} and the enumerations stand for each database's type;
-- a line that begins with a database's name and a colon is for that database alone.

postgres: CREATE TYPE userrole AS ENUM ('SUPERUSER', 'ADMIN', 'USER');
postgres: CREATE TYPE certificatetype AS ENUM ('CA', 'SERVER', 'CLIENT', 'DUAL_PURPOSE');
postgres: CREATE TYPE certificatestatus AS ENUM ('VALID', 'REVOKED', 'EXPIRED');
postgres: CREATE TYPE auditaction AS ENUM ('CA_CREATE', 'CA_DELETE', 'CA_EXPORT_PRIVATE_KEY', 'CERT_CREATE', 'CERT_REVOKE', 'CERT_EXPORT_PRIVATE_KEY', 'LOGIN_SUCCESS', 'LOGIN_FAILURE', 'USER_CREATE', 'USER_UPDATE', 'ORG_CREATE', 'ORG_DELETE', 'ORG_ADD_USER', 'ORG_REMOVE_USER', 'CA_UPDATE', 'SERVICE_ACCOUNT_CREATE', 'SERVICE_ACCOUNT_UPDATE', 'SERVICE_ACCOUNT_DELETE', 'SERVICE_ACCOUNT_TOKEN_CREATE', 'SERVICE_ACCOUNT_TOKEN_REVOKE');

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
-- The revision of the release. FastPKI's main branch, two commits later, knows the way from there; the release knows no other.
INSERT INTO alembic_version (version_num) VALUES ('c7d99ce53025');

CREATE TABLE organizations (
    id {id},
    name VARCHAR NOT NULL,
    description VARCHAR,
    created_at {timestamp} NOT NULL,
    updated_at {timestamp} NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_organizations_name ON organizations (name);

CREATE TABLE users (
    id {id},
    username VARCHAR NOT NULL,
    email VARCHAR NOT NULL,
    hashed_password VARCHAR NOT NULL,
    role {role} NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at {timestamp} NOT NULL,
    updated_at {timestamp} NOT NULL,
    organization_id INTEGER,
    can_create_ca BOOLEAN DEFAULT false NOT NULL,
    can_create_cert BOOLEAN DEFAULT false NOT NULL,
    can_revoke_cert BOOLEAN DEFAULT false NOT NULL,
    can_export_private_key BOOLEAN DEFAULT false NOT NULL,
    can_delete_ca BOOLEAN DEFAULT false NOT NULL,
    tokens_invalidated_at {timestamp},
    PRIMARY KEY (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX ix_users_username ON users (username);
CREATE UNIQUE INDEX ix_users_email ON users (email);

CREATE TABLE blocklisted_tokens (
    id {id},
    jti VARCHAR NOT NULL,
    exp {timestamp} NOT NULL,
    created_at {timestamp} NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_blocklisted_tokens_jti ON blocklisted_tokens (jti);

CREATE TABLE refresh_tokens (
    id {id},
    token_hash VARCHAR NOT NULL,
    user_id INTEGER NOT NULL,
    expires_at {timestamp} NOT NULL,
    revoked BOOLEAN NOT NULL,
    created_at {timestamp} NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE UNIQUE INDEX ix_refresh_tokens_token_hash ON refresh_tokens (token_hash);
CREATE INDEX ix_refresh_tokens_user_id ON refresh_tokens (user_id);

CREATE TABLE service_accounts (
    id {id},
    name VARCHAR NOT NULL,
    description VARCHAR,
    created_at {timestamp} NOT NULL,
    updated_at {timestamp} NOT NULL,
    disabled_at {timestamp},
    can_create_ca BOOLEAN NOT NULL,
    can_create_cert BOOLEAN NOT NULL,
    can_revoke_cert BOOLEAN NOT NULL,
    can_export_private_key BOOLEAN NOT NULL,
    can_delete_ca BOOLEAN NOT NULL,
    organization_id INTEGER NOT NULL,
    created_by_user_id INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY (created_by_user_id) REFERENCES users (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT uq_service_account_org_name UNIQUE (organization_id, name)
);
CREATE INDEX ix_service_accounts_name ON service_accounts (name);
CREATE INDEX ix_service_accounts_organization_id ON service_accounts (organization_id);

CREATE TABLE service_account_tokens (
    id {id},
    service_account_id INTEGER NOT NULL,
    public_id VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    pepper_version INTEGER NOT NULL,
    name VARCHAR,
    created_at {timestamp} NOT NULL,
    last_used_at {timestamp},
    expires_at {timestamp},
    revoked BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (service_account_id) REFERENCES service_accounts (id)
);
CREATE UNIQUE INDEX ix_service_account_tokens_public_id ON service_account_tokens (public_id);
CREATE INDEX ix_service_account_tokens_service_account_id ON service_account_tokens (service_account_id);

CREATE TABLE issuance_policies (
    id {id},
    service_account_id INTEGER NOT NULL,
    cn_patterns {json},
    san_dns_patterns {json},
    san_ip_cidrs {json},
    san_email_domains {json},
    allowed_ca_ids {json},
    allowed_certificate_types {json},
    max_validity_days INTEGER NOT NULL,
    created_at {timestamp} NOT NULL,
    updated_at {timestamp} NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (service_account_id) REFERENCES service_accounts (id)
);
CREATE UNIQUE INDEX ix_issuance_policies_service_account_id ON issuance_policies (service_account_id);

CREATE TABLE certificate_authorities (
    name VARCHAR NOT NULL,
    description VARCHAR,
    subject_dn VARCHAR NOT NULL,
    key_size INTEGER NOT NULL,
    valid_days INTEGER NOT NULL,
    id {id},
    created_at {timestamp} NOT NULL,
    updated_at {timestamp} NOT NULL,
    private_key VARCHAR NOT NULL,
    certificate VARCHAR NOT NULL,
    organization_id INTEGER,
    created_by_user_id INTEGER,
    parent_ca_id INTEGER,
    path_length INTEGER,
    allow_leaf_certs BOOLEAN DEFAULT true NOT NULL,
    crl_base_url VARCHAR,
    created_by_service_account_id INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT fk_ca_parent_ca_id FOREIGN KEY (parent_ca_id) REFERENCES certificate_authorities (id),
    CONSTRAINT fk_ca_organization_id FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_ca_created_by_user_id FOREIGN KEY (created_by_user_id) REFERENCES users (id),
    CONSTRAINT fk_ca_created_by_service_account_id FOREIGN KEY (created_by_service_account_id) REFERENCES service_accounts (id)
);
CREATE INDEX ix_certificate_authorities_name ON certificate_authorities (name);

CREATE TABLE certificates (
    common_name VARCHAR NOT NULL,
    subject_dn VARCHAR NOT NULL,
    certificate_type {certificate_type} NOT NULL,
    key_size INTEGER NOT NULL,
    valid_days INTEGER NOT NULL,
    status {status} NOT NULL,
    id {id},
    created_at {timestamp} NOT NULL,
    updated_at {timestamp} NOT NULL,
    private_key VARCHAR,
    certificate VARCHAR NOT NULL,
    serial_number VARCHAR NOT NULL,
    not_before {timestamp} NOT NULL,
    not_after {timestamp} NOT NULL,
    revoked_at {timestamp},
    issuer_id INTEGER,
    organization_id INTEGER,
    created_by_user_id INTEGER,
    created_by_service_account_id INTEGER,
    is_csr_origin BOOLEAN DEFAULT false NOT NULL,
    renewed_from_id INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT fk_cert_created_by_user_id FOREIGN KEY (created_by_user_id) REFERENCES users (id),
    CONSTRAINT fk_cert_created_by_service_account_id FOREIGN KEY (created_by_service_account_id) REFERENCES service_accounts (id),
    CONSTRAINT fk_cert_organization_id FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT fk_cert_renewed_from_id FOREIGN KEY (renewed_from_id) REFERENCES certificates (id),
    FOREIGN KEY (issuer_id) REFERENCES certificate_authorities (id)
);
CREATE INDEX ix_certificates_serial_number ON certificates (serial_number);
CREATE INDEX ix_certificates_common_name ON certificates (common_name);

CREATE TABLE crl_entries (
    id {id},
    created_at {timestamp} NOT NULL,
    serial_number VARCHAR NOT NULL,
    revocation_date {timestamp} NOT NULL,
    reason VARCHAR,
    ca_id INTEGER NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY (ca_id) REFERENCES certificate_authorities (id)
);
CREATE INDEX ix_crl_entries_serial_number ON crl_entries (serial_number);

CREATE TABLE audit_logs (
    id {id},
    created_at {timestamp} NOT NULL,
    action {audit_action} NOT NULL,
    user_id INTEGER,
    username VARCHAR,
    organization_id INTEGER,
    resource_type VARCHAR,
    resource_id INTEGER,
    detail VARCHAR,
    service_account_id INTEGER,
    service_account_name VARCHAR,
    PRIMARY KEY (id),
    CONSTRAINT fk_audit_service_account_id FOREIGN KEY (service_account_id) REFERENCES service_accounts (id),
    FOREIGN KEY (organization_id) REFERENCES organizations (id),
    FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_audit_logs_created_at ON audit_logs (created_at);
CREATE INDEX ix_audit_logs_action ON audit_logs (action);
CREATE INDEX ix_audit_logs_user_id ON audit_logs (user_id);
CREATE INDEX ix_audit_logs_organization_id ON audit_logs (organization_id);
CREATE INDEX ix_audit_logs_service_account_id ON audit_logs (service_account_id);
