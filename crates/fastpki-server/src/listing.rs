//! Lists that stream: whatever their length, a page of them is in memory at a time.

use std::{future::Future, marker::PhantomData};

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    error::ApiError,
    fields::{Fields, FromFields},
    openapi::Operation,
    routes::Describe,
};

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// How many to pass over.
    pub(crate) skip: i64,
    /// How many to give at the most; all if not given.
    pub(crate) limit: Option<i64>,
    /// The id after which to begin.
    pub(crate) after: i32,
}

impl FromFields for Page {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            skip: fields.optional_number("skip", 0, i64::MAX).unwrap_or(0),
            limit: fields.optional_number("limit", 1, i64::MAX),
            after: fields.optional_id("after_id", |id| id).unwrap_or(0),
        }
    }
}

/// One item of a list, with the id that the next page begins after.
pub(crate) trait Item: Serialize {
    fn id(&self) -> i32;
}

/// A list, on its way.
pub(crate) struct Listed<T> {
    response: Response,
    item: PhantomData<T>,
}

impl<T> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<T: JsonSchema> Describe for Listed<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answers_page_of::<T>();
    }
}

/// Answers with a list. `fetch(after, skip, limit)` gives items by id.
pub(crate) async fn list<T, F, W>(
    path: &str,
    query: &str,
    page: Page,
    total: i64,
    fetch: F,
) -> Result<Listed<T>, ApiError>
where
    T: Item + Send + 'static,
    F: Fn(i32, i64, i64) -> W + Send + Sync + 'static,
    W: Future<Output = Result<Vec<T>, ApiError>> + Send,
{
    let next = match page.limit {
        // The last item of this page, and whether one follows.
        Some(limit) => {
            let last = page.skip.saturating_add(limit - 1);
            let ends = fetch(page.after, last, 2).await?;
            (ends.len() == 2).then(|| next_link(path, query, ends[0].id()))
        }
        None => None,
    };
    let first =
        Cursor { after: page.after, skip: page.skip, left: page.limit.unwrap_or(i64::MAX), done: false };
    // The first batch is read before anything is sent, so that a failure is still an error and not a broken list.
    let (head, cursor) = first.batch(&fetch, true).await?;
    let head = stream::once(async move { Ok::<_, std::io::Error>(head) });
    let rest = stream::try_unfold((cursor, fetch), |(cursor, fetch)| async move {
        if cursor.done {
            return Ok(None);
        }
        match cursor.batch(&fetch, false).await {
            Ok((text, cursor)) => Ok(Some((text, (cursor, fetch)))),
            Err(error) => {
                tracing::error!(?error, "a list broke off");
                Err(std::io::Error::other("the list broke off"))
            }
        }
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(head, rest));
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert("x-total-count", HeaderValue::from(total));
    if let Some(link) = next.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(Listed { response, item: PhantomData })
}

struct Cursor {
    after: i32,
    skip: i64,
    left: i64,
    done: bool,
}

impl Cursor {
    /// The next batch as a piece of a JSON array.
    async fn batch<T, F, W>(self, fetch: &F, opens: bool) -> Result<(Vec<u8>, Self), ApiError>
    where
        T: Item,
        F: Fn(i32, i64, i64) -> W,
        W: Future<Output = Result<Vec<T>, ApiError>>,
    {
        let wanted = self.left.min(BATCH);
        let items = fetch(self.after, self.skip, wanted).await?;
        let mut text = if opens { b"[".to_vec() } else { Vec::new() };
        for (index, item) in items.iter().enumerate() {
            if index > 0 || !opens {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, item)
                .map_err(|error| fastpki_engine::Error::Internal(error.to_string()))?;
        }
        let given = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let left = self.left - given;
        let done = given < wanted || left == 0;
        if done {
            text.push(b']');
        }
        let after = items.last().map_or(self.after, Item::id);
        Ok((text, Self { after, skip: 0, left, done }))
    }
}

/// The same list, from the next item on.
fn next_link(path: &str, query: &str, after: i32) -> String {
    let mut link = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "skip" && name != "after_id" {
            link.append_pair(&name, &value);
        }
    }
    link.append_pair("after_id", &after.to_string());
    format!("<{path}?{}>; rel=\"next\"", link.finish())
}

/// Items in memory at a time: certificates of 5 KB make 1 MB.
const BATCH: i64 = 200;
