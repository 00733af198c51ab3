//! A server that answers as a test tells it, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Method, path and query: `GET /api/v1/cas/`.
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body in JSON")
    }
}

/// What is answered.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type", "application/json".into())], body: body.to_owned() }
    }
}

type Requests = Arc<Mutex<Vec<Request>>>;
type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server of its own, as long as the runtime runs.
pub(super) struct Stub {
    pub(super) url: String,
    requests: Requests,
}

impl Stub {
    /// Starts it; to be called within a runtime.
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener for the runtime");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests: Requests = Arc::default();
        let answer: Arc<Answer> = Arc::new(answer);
        let router = Router::new().fallback(reply).with_state((answer, Arc::clone(&requests)));
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("requests").clone()
    }
}

async fn reply(
    State((answer, requests)): State<(Arc<Answer>, Requests)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization =
        headers.get(header::AUTHORIZATION).map(|value| value.to_str().expect("text").to_owned());
    let request = Request { line: format!("{method} {uri}"), authorization, body: body.to_vec() };
    let reply = answer(&request);
    requests.lock().expect("requests").push(request);
    let mut response = (StatusCode::from_u16(reply.status).expect("a status"), reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().expect("a header"));
    }
    response
}
