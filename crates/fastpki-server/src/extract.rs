//! What handlers take out of requests.

use std::{marker::PhantomData, net::IpAddr, time::Duration};

use axum::{
    body::{Bytes, HttpBody, to_bytes},
    extract::{FromRequest, FromRequestParts, OriginalUri, RawPathParams, Request, State},
    http::{header, request::Parts},
};
use fastpki_engine::{Caller, Error, LargeBodyTurn};
use fastpki_types::{
    CaId, CertificateId, Location, OrganizationId, ServiceAccountId, ServiceAccountTokenId, UserId,
    ValidationProblem,
};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::{
    error::ApiError,
    fields::{Fields, FromFields},
    json,
    openapi::Operation,
    proxy,
    request_log::Principal,
    routes::Describe,
    state::AppState,
};

/// Whoever has signed in: a user or a service account.
pub(crate) struct Signed(pub(crate) Caller);

impl FromRequestParts<AppState> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match MaybeSigned::from_request_parts(parts, state).await? {
            MaybeSigned(Some(caller)) => Ok(Self(caller)),
            MaybeSigned(None) => {
                Err(Error::Unauthenticated("not signed in: send Authorization: Bearer").into())
            }
        }
    }
}

impl Describe for Signed {
    fn describe(operation: &mut Operation<'_>) {
        operation.signed(true);
    }
}

/// Whoever has signed in, or nobody. A token that is there must be good.
pub(crate) struct MaybeSigned(pub(crate) Option<Caller>);

impl FromRequestParts<AppState> for MaybeSigned {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(Self(None)) };
        let bearer = value.to_str().ok().and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let bearer =
            bearer.ok_or(Error::Unauthenticated("the Authorization header is not 'Bearer' and a token"))?;
        let caller = state.engine.authenticate(bearer).await?;
        if let Some(principal) = parts.extensions.get::<Principal>() {
            principal.set(&caller);
        }
        Ok(Self(Some(caller)))
    }
}

impl Describe for MaybeSigned {
    fn describe(operation: &mut Operation<'_>) {
        operation.signed(false);
    }
}

/// A user who has signed in. Service accounts are turned away.
pub(crate) struct SignedUser(pub(crate) Caller);

impl FromRequestParts<AppState> for SignedUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Signed(caller) = Signed::from_request_parts(parts, state).await?;
        match caller.user_id() {
            Some(_) => Ok(Self(caller)),
            None => Err(Error::Unauthenticated("this is for users, not for service accounts").into()),
        }
    }
}

impl Describe for SignedUser {
    fn describe(operation: &mut Operation<'_>) {
        operation.signed(true);
    }
}

/// The id in the path.
pub(crate) struct PathId<T>(pub(crate) T);

impl<T: From<PathInt>> FromRequestParts<AppState> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let [id] = path_ints(parts, state).await?;
        Ok(Self(id.into()))
    }
}

impl<T> Describe for PathId<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.path_ids();
    }
}

/// Both ids in the path.
pub(crate) struct PathIds<A, B>(pub(crate) A, pub(crate) B);

impl<A: From<PathInt>, B: From<PathInt>> FromRequestParts<AppState> for PathIds<A, B> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let [first, second] = path_ints(parts, state).await?;
        Ok(Self(first.into(), second.into()))
    }
}

impl<A, B> Describe for PathIds<A, B> {
    fn describe(operation: &mut Operation<'_>) {
        operation.path_ids();
    }
}

/// The first numbers in the path, or every one of them that is none.
async fn path_ints<const N: usize>(parts: &mut Parts, state: &AppState) -> Result<[PathInt; N], ApiError> {
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| ApiError::NoSuchRoute)?;
    let mut ids = Vec::with_capacity(N);
    let mut problems = Vec::new();
    for (name, text) in params.iter().take(N) {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let loc = vec![Location::Field("path".into()), Location::Field(name.into())];
            let (kind, msg) = ("int_parsing".into(), "should be a whole number".into());
            problems.push(ValidationProblem { kind, loc, msg });
        }
        // No row has a negative id: what does not fit is not there.
        ids.push(PathInt(text.parse().unwrap_or(-1)));
    }
    if !problems.is_empty() {
        return Err(ApiError::Unprocessable(problems));
    }
    ids.try_into().map_err(|_| ApiError::NoSuchRoute)
}

/// A number in a path that becomes an id.
pub(crate) struct PathInt(i32);

macro_rules! from_path {
    ($($id:ident)*) => {$(
        impl From<PathInt> for $id {
            fn from(PathInt(id): PathInt) -> Self {
                Self(id)
            }
        }
    )*};
}

from_path! { CaId CertificateId OrganizationId ServiceAccountId ServiceAccountTokenId UserId }

/// The query string, read field by field.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: FromFields> FromRequestParts<AppState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let object = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        Fields::new("query", object).finish().map(Self).map_err(ApiError::Unprocessable)
    }
}

impl<T: FromFields> Describe for Query<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<T>();
    }
}

/// A JSON body of so many bytes at the most that has not been read yet: the handler asks for the right first.
pub(crate) struct Unread<T, const MAX: usize = MAX_BODY> {
    request: Option<Request>,
    read_as: PhantomData<fn() -> T>,
}

impl<T: FromFields, const MAX: usize> Unread<T, MAX> {
    /// Reads the body, field by field.
    pub(crate) async fn read(mut self) -> Result<T, ApiError> {
        parse(&self.bytes().await?, MAX_VALUES)
    }

    /// Reads a body that takes long to read, on a thread of its own. The turn is kept until that is done, and is
    /// the caller's to keep for what comes after.
    pub(crate) async fn read_large(mut self, turn: &LargeBodyTurn) -> Result<T, ApiError>
    where
        T: Send + 'static,
    {
        let bytes = self.bytes().await?;
        let turn = turn.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let read = parse(&bytes, MAX_LARGE_VALUES);
            drop((bytes, turn));
            read
        });
        reading.await.map_err(|error| Error::Internal(format!("a body was not read: {error}")))?
    }

    async fn bytes(&mut self) -> Result<Bytes, ApiError> {
        let request = self.request.take().ok_or(ApiError::TooSlow)?;
        read::<MAX>(request).await
    }
}

impl<T, const MAX: usize> FromRequest<AppState> for Unread<T, MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        check_length::<MAX>(&request)?;
        Ok(Self { request: Some(request), read_as: PhantomData })
    }
}

impl<T, const MAX: usize> Drop for Unread<T, MAX> {
    /// The body of a refused request is taken and thrown away: many clients read no answer before they have sent
    /// all of it. A client that asked first whether to send it is not told to.
    fn drop(&mut self) {
        let Some(request) = self.request.take() else { return };
        if request.headers().contains_key(header::EXPECT) || request.body().is_end_stream() {
            return;
        }
        tokio::spawn(tokio::time::timeout(BODY_TIMEOUT, async move {
            let mut left = MAX;
            let mut body = request.into_body().into_data_stream();
            while let Some(Ok(bytes)) = body.next().await {
                let Some(rest) = left.checked_sub(bytes.len()) else { return };
                left = rest;
            }
        }));
    }
}

impl<T: FromFields + JsonSchema, const MAX: usize> Describe for Unread<T, MAX> {
    fn describe(operation: &mut Operation<'_>) {
        operation.body::<T>("application/json");
    }
}

/// A JSON body of so many bytes at the most, read field by field; where there is nothing to ask first.
pub(crate) struct Body<T, const MAX: usize = MAX_BODY>(pub(crate) T);

impl<T: FromFields, const MAX: usize> FromRequest<AppState> for Body<T, MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        Unread::<T, MAX>::from_request(request, state).await?.read().await.map(Self)
    }
}

impl<T: FromFields + JsonSchema, const MAX: usize> Describe for Body<T, MAX> {
    fn describe(operation: &mut Operation<'_>) {
        operation.body::<T>("application/json");
    }
}

/// A body of `application/x-www-form-urlencoded`, read field by field. Anybody may send one.
pub(crate) struct FormBody<T>(pub(crate) T);

impl<T: FromFields> FromRequest<AppState> for FormBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        check_length::<MAX_ANONYMOUS_BODY>(&request)?;
        let bytes = read::<MAX_ANONYMOUS_BODY>(request).await?;
        Fields::new("body", pairs(&bytes)).finish().map(Self).map_err(ApiError::Unprocessable)
    }
}

impl<T: FromFields + JsonSchema> Describe for FormBody<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.body::<T>("application/x-www-form-urlencoded");
    }
}

/// The base of public addresses, as the client sees it.
pub(crate) struct BaseUrl(pub(crate) String);

impl FromRequestParts<AppState> for BaseUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Ok(Self(proxy::base_url(parts, state)?))
    }
}

impl Describe for BaseUrl {
    fn describe(operation: &mut Operation<'_>) {
        operation.refuses(400);
    }
}

/// The client's address.
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Ok(Self(proxy::client_address(parts, state)))
    }
}

impl Describe for ClientAddress {
    fn describe(operation: &mut Operation<'_>) {
        operation.refuses(429);
    }
}

impl Describe for State<AppState> {
    fn describe(_: &mut Operation<'_>) {}
}

impl Describe for OriginalUri {
    fn describe(_: &mut Operation<'_>) {}
}

/// Refuses a body that says that it is too large, before anything else is asked.
fn check_length<const MAX: usize>(request: &Request) -> Result<(), ApiError> {
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > MAX as u64) {
        return Err(ApiError::TooLarge { limit: MAX });
    }
    Ok(())
}

async fn read<const MAX: usize>(request: Request) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(request.into_body(), MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(ApiError::TooLarge { limit: MAX }),
        Err(_) => Err(ApiError::TooSlow),
    }
}

/// The fields of a JSON object of no more values than this.
fn parse<T: FromFields>(bytes: &[u8], most_values: usize) -> Result<T, ApiError> {
    let problem = |kind: &str, msg: String| {
        let loc = vec![Location::Field("body".into())];
        ApiError::Unprocessable(vec![ValidationProblem { kind: kind.into(), loc, msg }])
    };
    if bytes.is_empty() {
        return Err(problem("missing", "a JSON body is required".into()));
    }
    match json::read(bytes, most_values) {
        Ok(Value::Object(object)) => Fields::new("body", object).finish().map_err(ApiError::Unprocessable),
        Ok(_) => Err(problem("dict_type", "should be a JSON object".into())),
        Err(error) if error.to_string().contains(json::TOO_MANY) => {
            Err(problem("too_long", format!("should have at most {most_values} values")))
        }
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            Err(problem("json_invalid", format!("is not JSON: see {place}")))
        }
    }
}

/// Pairs of a query string or a form. Of a name that comes twice, the last counts.
fn pairs(encoded: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(encoded)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

/// Bytes of a body: three lists of 1,000 alternative names and a CSR of 64 KiB fit in.
const MAX_BODY: usize = 1024 * 1024;
/// Bytes of a body that anybody may send: a name of 255 and a password of 1,024 characters, each written as 12 bytes,
/// fit in.
pub(crate) const MAX_ANONYMOUS_BODY: usize = 16 * 1024;
/// Values of a body, an object counting as 16 and each of its fields as two: five lists of 1,000 rules of a policy are the most that is read.
const MAX_VALUES: usize = 10_000;
/// Values of a large body: 50,000 certificates with four fields each and 50,000 revocations with three are 2,400,000.
const MAX_LARGE_VALUES: usize = 2_500_000;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
