//! Certificate authorities.

use axum::{
    Json,
    extract::{OriginalUri, State},
};
use fastpki_engine::{AuthorityPage, AuthorityRow, CreateCa, DeleteCa, Error, ExportKey, Read, new_name};
use fastpki_types::{
    Ca, CaCreate, CaDetail, CaId, CaImport, CaImported, CaUpdate, CertificateImport, CertificateRevoke,
    ChainLink, KeyType, Named, OrganizationId, RevocationImport,
};
use serde_json::{Value, json};

use super::{DELETE, GET, MAX_DAYS, MAX_DN, MAX_NAME, MAX_TEXT, PATCH, POST, certificates::normal_serial};
use crate::{
    answers::{Created, NoContent},
    error::ApiError,
    extract::{BaseUrl, PathId, Query, Signed, SignedUser, Unread},
    fields::{Fields, FromFields, Text},
    listing::{self, Item, Listed, Page},
    routes::Routes,
    state::AppState,
};

pub(super) fn routes() -> Routes {
    Routes::tagged("certificate-authorities")
        .on(GET, "/cas/", list, "The CAs that the caller sees, by id", &[])
        .on(
            POST,
            "/cas/",
            create,
            "Create a root CA, or an intermediate under parent_ca_id",
            &[400, 403, 409],
        )
        .on(
            POST,
            "/cas/import",
            import,
            "Bring along a CA of another program with what it issued; admins and superusers",
            &[400, 403, 409, 503],
        )
        .on(GET, "/cas/{ca_id}", show, "A CA, without its private key", &[403, 404])
        .on(
            PATCH,
            "/cas/{ca_id}",
            update,
            "Change a CA; admins of its organization and superusers. Give it to another organization; superusers only",
            &[400, 403, 404, 409],
        )
        .on(
            DELETE,
            "/cas/{ca_id}",
            delete,
            "Delete a CA with its certificates and its CRL, and revoke it under its parent; 409 while other CAs hang below it",
            &[400, 403, 404, 409],
        )
        .on(
            POST,
            "/cas/{ca_id}/revoke",
            revoke,
            "Revoke a CA under its parent; 409 if it is revoked already",
            &[400, 403, 404, 409],
        )
        .on(GET, "/cas/{ca_id}/private-key", private_key, "A CA with its private key", &[403, 404, 409])
        .on(GET, "/cas/{ca_id}/chain", chain, "From a CA to its root", &[403, 404])
        .on(GET, "/cas/{ca_id}/children", children, "The CAs right below a CA", &[403, 404])
}

impl FromFields for CaCreate {
    fn from_fields(fields: &mut Fields) -> Self {
        let (key_type, key_size) = key(fields);
        Self {
            name: fields.name("name", new_name),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
            subject_dn: subject_dn(fields).unwrap_or_else(|| fields.missing("subject_dn")),
            key_type,
            key_size,
            valid_days: fields.optional_count("valid_days", MAX_DAYS),
            parent_ca_id: fields.optional_id("parent_ca_id", CaId),
            path_length: fields
                .optional_number("path_length", 0, u8::MAX.into())
                .and_then(|number| u8::try_from(number).ok()),
            allow_leaf_certs: fields.optional_flag("allow_leaf_certs"),
            crl_base_url: crl_base_url(fields, false),
        }
    }
}

/// A distinguished name.
pub(super) fn subject_dn(fields: &mut Fields) -> Option<String> {
    let name = fields.optional_text("subject_dn", Text::line(MAX_DN));
    fields.refine("examples", json!(["CN=www.example.com,O=Example"]));
    name
}

/// The family and the size of a key, which must go together.
pub(super) fn key(fields: &mut Fields) -> (Option<KeyType>, Option<u32>) {
    let key_type: Option<KeyType> = fields.optional_choice("key_type");
    let key_size = fields.optional_count("key_size", u32::MAX);
    fields.refine("enum", vec![256, 384, 2048, 3072, 4096, 8192]);
    fields.go_together(|| KeyType::ALL.iter().map(|key_type| with_its_sizes(*key_type)).collect());
    let sizes = key_sizes(key_type.unwrap_or(KeyType::Rsa));
    if key_size.is_some_and(|size| !sizes.contains(&size)) {
        let names: Vec<String> = sizes.iter().map(u32::to_string).collect();
        let msg = format!("for {} should be {}", key_type.unwrap_or(KeyType::Rsa), names.join(", "));
        fields.note("key_size", "value_error", msg);
    }
    (key_type, key_size)
}

fn key_sizes(key_type: KeyType) -> &'static [u32] {
    match key_type {
        KeyType::Rsa => &[2048, 3072, 4096, 8192],
        KeyType::Ec => &[256, 384],
        KeyType::Ed25519 => &[256],
    }
}

/// The schema of a family with a size it has, or none. RSA is what is taken where there is no family.
fn with_its_sizes(key_type: KeyType) -> Value {
    let sizes: Vec<_> = key_sizes(key_type).iter().copied().map(Some).chain([None]).collect();
    match key_type {
        KeyType::Rsa => {
            json!({ "properties": { "key_type": { "enum": ["rsa", null] }, "key_size": { "enum": sizes } } })
        }
        _ => json!({
            "required": ["key_type"],
            "properties": { "key_type": { "const": key_type.name() }, "key_size": { "enum": sizes } },
        }),
    }
}

/// The base of addresses in certificates; empty, where that is taken, for the server's own.
fn crl_base_url(fields: &mut Fields, may_be_empty: bool) -> Option<String> {
    let rule = if may_be_empty { Text::lines(MAX_URL) } else { Text::line(MAX_URL) };
    let url = fields.optional_text("crl_base_url", rule);
    const URL: &str = "https?://[!-.0->@-~][!-\"$->@-~]*";
    fields.refine("pattern", if may_be_empty { format!("^({URL})?$") } else { format!("^{URL}$") });
    let url = url?;
    if may_be_empty && url.is_empty() {
        return Some(url);
    }
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let fits = rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && url.bytes().all(|b| b.is_ascii_graphic())
            && !url.contains(['?', '#'])
    });
    if !fits {
        let msg = "should be an http:// or https:// address without query and fragment";
        fields.note("crl_base_url", "url_parsing", msg.into());
    }
    Some(url)
}

impl FromFields for CaImport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.name("name", new_name),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
            certificate: fields.text("certificate", Text::lines(MAX_PEM)),
            private_key: fields.text("private_key", Text::lines(MAX_PEM)).into(),
            organization_id: fields.optional_id("organization_id", OrganizationId),
            allow_leaf_certs: fields.optional_flag("allow_leaf_certs"),
            crl_base_url: crl_base_url(fields, false),
            next_crl_number: fields
                .optional_number("next_crl_number", 0, MAX_CRL_NUMBER)
                .and_then(|number| u64::try_from(number).ok()),
            certificates: fields.objects("certificates", MAX_IMPORTED),
            revocations: fields.objects("revocations", MAX_IMPORTED),
            dry_run: fields.optional_flag("dry_run").unwrap_or(false),
        }
    }
}

impl FromFields for CertificateImport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            certificate: fields.text("certificate", Text::lines(MAX_PEM)),
            private_key: fields.optional_text("private_key", Text::lines(MAX_PEM)).map(Into::into),
            revoked_at: fields.optional_time("revoked_at"),
            reason: fields.optional_text("reason", Text::line(MAX_NAME)),
        }
    }
}

impl FromFields for RevocationImport {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            serial_number: normal_serial(&fields.text("serial_number", Text::line(MAX_SERIAL))),
            revoked_at: fields.time("revoked_at"),
            reason: fields.optional_text("reason", Text::line(MAX_NAME)),
        }
    }
}

impl FromFields for CaUpdate {
    fn from_fields(fields: &mut Fields) -> Self {
        let change = Self {
            organization_id: fields.optional_id("organization_id", OrganizationId),
            cascade: fields.optional_flag("cascade").unwrap_or(false),
            name: fields.optional_name("name", new_name),
            description: fields.optional_text("description", Text::lines(MAX_TEXT)),
            allow_leaf_certs: fields.optional_flag("allow_leaf_certs"),
            crl_base_url: crl_base_url(fields, true),
        };
        let one_of = ["organization_id", "name", "description", "allow_leaf_certs", "crl_base_url"];
        fields.go_together(|| {
            let given = |field: &str| json!({ "required": [field], "properties": { field: { "not": { "type": "null" } } } });
            one_of.into_iter().map(given).collect()
        });
        let changes_something = change.organization_id.is_some()
            || change.name.is_some()
            || change.description.is_some()
            || change.allow_leaf_certs.is_some()
            || change.crl_base_url.is_some();
        if !changes_something && !one_of.iter().any(|field| fields.has_problem(field)) {
            let msg = format!("one of these is required: {}", one_of.join(", "));
            fields.note("organization_id", "value_error", msg);
        }
        change
    }
}

/// How a CA is to be deleted.
struct Deletion {
    revoke: bool,
}

impl FromFields for Deletion {
    fn from_fields(fields: &mut Fields) -> Self {
        let revoke = fields.optional_flag("revoke");
        fields.refine("default", true);
        Self { revoke: revoke.unwrap_or(true) }
    }
}

async fn create(
    State(state): State<AppState>,
    Signed(caller): Signed,
    BaseUrl(base): BaseUrl,
    body: Unread<CaCreate>,
) -> Result<Created<CaDetail>, ApiError> {
    let engine = &state.engine;
    let home = caller.permit_create_ca()?;
    let new = body.read().await?;
    let (row, private_key) = match new.parent_ca_id {
        None => engine.create_root(home, new).await?,
        Some(parent) => {
            let parent = match engine.authority(parent).await {
                Err(Error::NotFound(_)) => {
                    return Err(Error::Invalid(format!("there is no CA {parent}")).into());
                }
                found => found?,
            };
            let parent = caller.permit::<CreateCa, _>(parent)?;
            engine.create_intermediate(home, parent, new, &base).await?
        }
    };
    Ok(Created(CaDetail { ca: row.ca, private_key }))
}

async fn import(
    State(state): State<AppState>,
    SignedUser(caller): SignedUser,
    body: Unread<CaImport, MAX_IMPORT>,
) -> Result<Json<CaImported>, ApiError> {
    caller.check_imports()?;
    let turn = state.engine.import_turn(&caller).await?;
    let import = body.read_large(&turn).await?;
    let permit = caller.permit_import(import.organization_id)?;
    let imported = state.engine.import_authority(&caller, permit, import).await?;
    drop(turn);
    Ok(Json(imported))
}

impl Item for Ca {
    fn id(&self) -> i32 {
        self.id.0
    }
}

async fn list(
    State(state): State<AppState>,
    Signed(caller): Signed,
    OriginalUri(uri): OriginalUri,
    Query(page): Query<Page>,
) -> Result<Listed<Ca>, ApiError> {
    let begins_after = page.after;
    let total = state.engine.count_authorities(&caller).await?;
    listing::list(uri.path(), uri.query().unwrap_or_default(), page, total, move |after, skip, limit| {
        let (engine, caller) = (state.engine.clone(), caller.clone());
        async move {
            // A long list that is read slowly ends with the right to it.
            if after > begins_after {
                engine.check_standing(&caller).await?;
            }
            let page = AuthorityPage { after: CaId(after), skip, limit };
            let rows = engine.authorities(&caller, page).await?;
            Ok(rows.into_iter().map(|row| row.ca).collect())
        }
    })
    .await
}

async fn show(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<Json<Ca>, ApiError> {
    let row = state.engine.authority(id).await?;
    caller.permit::<Read, _>(row.clone())?;
    Ok(Json(row.ca))
}

async fn private_key(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<Json<CaDetail>, ApiError> {
    let permit = caller.permit::<ExportKey, _>(state.engine.authority(id).await?)?;
    let (row, private_key) = state.engine.export_authority_key(permit).await?;
    Ok(Json(CaDetail { ca: row.ca, private_key }))
}

/// From this CA to its root. Of a foreign parent only what its certificate says in public.
async fn chain(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<Json<Vec<ChainLink>>, ApiError> {
    caller.permit::<Read, _>(state.engine.authority(id).await?)?;
    let chain = state.engine.chain(id).await?;
    let link = |row: AuthorityRow| match caller.may_read(&row) {
        true => ChainLink::Visible(row.ca),
        false => ChainLink::Foreign(row.ca.into()),
    };
    Ok(Json(chain.into_iter().map(link).collect()))
}

async fn children(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
) -> Result<Json<Vec<Ca>>, ApiError> {
    caller.permit::<Read, _>(state.engine.authority(id).await?)?;
    let children = state.engine.children(&caller, id).await?;
    Ok(Json(children.into_iter().map(|row| row.ca).collect()))
}

async fn update(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
    body: Unread<CaUpdate>,
) -> Result<Json<Ca>, ApiError> {
    let row = state.engine.authority(id).await?;
    caller.check_changes(&row)?;
    let change = body.read().await?;
    let permit = caller.permit_update_authority(row, &change)?;
    Ok(Json(state.engine.update_authority(permit, change).await?.ca))
}

async fn revoke(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
    body: Unread<CertificateRevoke>,
) -> Result<Json<Ca>, ApiError> {
    let row = state.engine.authority(id).await?;
    let parent = state.engine.parent(&row).await?;
    let permit = caller.permit_revoke_authority(row, parent)?;
    let reason = body.read().await?.reason;
    Ok(Json(state.engine.revoke_authority(permit, reason).await?.ca))
}

async fn delete(
    State(state): State<AppState>,
    Signed(caller): Signed,
    PathId(id): PathId<CaId>,
    Query(Deletion { revoke }): Query<Deletion>,
) -> Result<NoContent, ApiError> {
    let permit = caller.permit::<DeleteCa, _>(state.engine.authority(id).await?)?;
    state.engine.delete_authority(&caller, permit, revoke).await?;
    Ok(NoContent)
}

/// Bytes of the body of an import: some 10,000 certificates with their keys.
const MAX_IMPORT: usize = 64 * 1024 * 1024;
/// Certificates, or revocations, of one import.
const MAX_IMPORTED: usize = 50_000;
/// Characters of a certificate or a key as PEM: one with 1,000 alternative names has 40,000.
const MAX_PEM: usize = 64 * 1024;
/// The highest number that the next CRL of an imported CA may be given: numbers are kept in 63 bits, and half of them stay
/// for the lists that follow. RFC 5280 allows 20 octets; programs count up from 1 or take the seconds since 1970.
const MAX_CRL_NUMBER: i64 = 1 << 62;
/// Hex digits of a serial number, and what people write between them: RFC 5280 allows 20 bytes.
const MAX_SERIAL: usize = 64;
/// Characters of an address that goes into certificates.
const MAX_URL: usize = 1024;
