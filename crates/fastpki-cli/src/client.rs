//! HTTP to the server: a call and its answer, with the caller's token.

use std::{cell::RefCell, fs, io::Write, time::Duration};

use bytes::Bytes;
use fastpki_types::{RefreshTokenRequest, Token};
use reqwest::{
    Certificate, Method, StatusCode,
    blocking::{Client as Http, RequestBuilder, Response},
    header,
    redirect::{Attempt, Policy},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    config::{self, Config, Lock},
    error::Error,
    options::{Reach, Trust},
    session::{self, Session, Source},
};

mod advice;
mod refusal;

/// A server, and who the caller is there.
pub(crate) struct Client {
    http: Http,
    server: String,
    session: RefCell<Option<Session>>,
    /// Whether the caller said how long to wait.
    is_timed: bool,
}

/// What a server answered.
pub(crate) struct Answer {
    /// The body as it came. May hold a private key.
    pub(crate) text: Zeroizing<String>,
    /// Length of the whole list, from servers that tell.
    pub(crate) total: Option<u64>,
    /// The name that the server suggests for a file.
    pub(crate) file_name: Option<String>,
    server: String,
}

impl Answer {
    /// What is in it.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.text).map_err(|error| self.nonsense(&error))
    }

    /// What is in a part of it.
    pub(crate) fn part<T: DeserializeOwned>(&self, part: &RawValue) -> Result<T, Error> {
        serde_json::from_str(part.get()).map_err(|error| self.nonsense(&error))
    }

    fn nonsense(&self, error: &serde_json::Error) -> Error {
        Error::Nonsense { server: self.server.clone(), cause: error.to_string() }
    }
}

/// The parameters of a call's query; those without a value are left out.
pub(crate) type Query<'a> = &'a [(&'a str, Option<String>)];

impl Client {
    /// The server and the caller that options, environment and configuration name.
    pub(crate) fn of(reach: &Reach, config: &Config) -> Result<Self, Error> {
        let server = session::server(reach.server.as_deref(), config)?;
        let client = Self::to(server, &reach.trust)?;
        *client.session.borrow_mut() = Session::of(config, &client.server);
        Ok(client)
    }

    /// The server, and the caller that the configuration file names, whatever the environment says.
    pub(crate) fn of_file(reach: &Reach, config: &Config) -> Result<Self, Error> {
        let client = Self::to(session::server(reach.server.as_deref(), config)?, &reach.trust)?;
        *client.session.borrow_mut() = Session::of_file(config, &client.server);
        Ok(client)
    }

    /// This server, as nobody.
    pub(crate) fn to(server: String, trust: &Trust) -> Result<Self, Error> {
        let given = session::timeout()?;
        let mut http = Http::builder()
            .user_agent(concat!("fastpki/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(given.unwrap_or(TIMEOUT))
            .redirect(Policy::custom(follow));
        if let Some(path) = session::ca_file(trust.ca_file.as_deref()) {
            let pem = fs::read(&path).map_err(|error| Error::file(&path, error))?;
            let roots = Certificate::from_pem_bundle(&pem)
                .map_err(|error| Error::file(&path, advice::cause_of(&error)))?;
            if roots.is_empty() {
                return Err(Error::file(path, "no certificate in PEM is in this file"));
            }
            http = http.tls_certs_merge(roots);
        }
        let http = http.build().map_err(|error| Error::Failed(advice::cause_of(&error)))?;
        Ok(Self { http, server, session: RefCell::new(None), is_timed: given.is_some() })
    }

    /// The server's URL.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Does something with the session, if there is one.
    pub(crate) fn session<T>(&self, look: impl FnOnce(&Session) -> T) -> Option<T> {
        self.session.borrow().as_ref().map(look)
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str, query: Query<'_>) -> Result<Answer, Error> {
        self.send(&Call { method: Method::GET, path, query, body: None })
    }

    /// Creates or acts.
    pub(crate) fn post(&self, path: &str, query: Query<'_>, body: &impl Serialize) -> Result<Answer, Error> {
        self.send(&Call { method: Method::POST, path, query, body: Some(json(body)?) })
    }

    /// Acts, without a body.
    pub(crate) fn post_nothing(&self, path: &str) -> Result<Answer, Error> {
        self.send(&Call { method: Method::POST, path, query: &[], body: None })
    }

    /// Replaces.
    pub(crate) fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer, Error> {
        self.send(&Call { method: Method::PUT, path, query: &[], body: Some(json(body)?) })
    }

    /// Changes.
    pub(crate) fn patch(&self, path: &str, body: &impl Serialize) -> Result<Answer, Error> {
        self.send(&Call { method: Method::PATCH, path, query: &[], body: Some(json(body)?) })
    }

    /// Deletes.
    pub(crate) fn delete(&self, path: &str) -> Result<Answer, Error> {
        self.send(&Call { method: Method::DELETE, path, query: &[], body: None })
    }

    /// Signs in: a new pair of tokens.
    pub(crate) fn sign_in(&self, username: &str, password: &str) -> Result<Token, Error> {
        let form = [("username", username), ("password", password)];
        let response = self.deliver(self.http.post(self.url("/auth/token")).form(&form))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let advice = "check the name and the password; the user may also have been deactivated";
            return Err(refusal::read(response, &self.server, advice));
        }
        self.answer(response, "")?.parse()
    }

    /// Sends a call; where the access token has ended, with the next one.
    fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let response = self.attempt(call)?;
        if response.status() == StatusCode::UNAUTHORIZED && self.renew_session()? {
            return self.judge(self.attempt(call)?, call.path);
        }
        self.judge(response, call.path)
    }

    fn judge(&self, response: Response, path: &str) -> Result<Answer, Error> {
        let advice = match response.status() {
            StatusCode::UNAUTHORIZED => advice::about_401(self.session(Session::source)),
            StatusCode::FORBIDDEN => {
                "`fastpki auth status` shows as whom you are signed in, and what you may"
            }
            StatusCode::NOT_FOUND => advice::about_404(path),
            _ => "",
        };
        self.answer(response, advice)
    }

    fn attempt(&self, call: &Call<'_>) -> Result<Response, Error> {
        let mut request = self.http.request(call.method.clone(), self.url(call.path));
        let given = call.query.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
        let query: Vec<_> = given.collect();
        if !query.is_empty() {
            request = request.query(&query);
        }
        if call.path == IMPORT && !self.is_timed {
            request = request.timeout(IMPORT_TIMEOUT);
        }
        if let Some(session) = &*self.session.borrow() {
            request = request.bearer_auth(session.token());
        }
        if let Some(body) = &call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        self.deliver(request)
    }

    /// Spends the refresh token for the next pair and remembers that. Of several processes at once, one does, and
    /// the others take what it left in the file. False where there is no session to go on with.
    fn renew_session(&self) -> Result<bool, Error> {
        let Some(ended) =
            self.session(|session| (session.source(), Zeroizing::new(session.token().to_owned())))
        else {
            return Ok(false);
        };
        if ended.0 != Source::File {
            return Ok(false);
        }
        let path = config::file_path()?;
        let _lock = Lock::take(&path)?;
        let mut config = Config::read(path)?;
        let Some(current) = Session::of_file(&config, &self.server) else { return Ok(false) };
        if current.token() == *ended.1 {
            let Some(token) = self.refresh(&config)? else { return Ok(false) };
            session::remember(&mut config, &self.server, &token);
            config.save()?;
        }
        *self.session.borrow_mut() = Session::of_file(&config, &self.server);
        Ok(true)
    }

    fn refresh(&self, config: &Config) -> Result<Option<Token>, Error> {
        let Some(refresh_token) = config.get(config::REFRESH_TOKEN) else { return Ok(None) };
        let body = json(&RefreshTokenRequest { refresh_token })?;
        let request = self.http.post(self.url("/auth/refresh")).timeout(REFRESH_TIMEOUT);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        let response = self.deliver(request)?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        self.answer(response, "")?.parse().map(Some)
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.server)
    }

    fn deliver(&self, request: RequestBuilder) -> Result<Response, Error> {
        request.send().map_err(|error| self.unreachable(&error))
    }

    fn answer(&self, response: Response, advice: &'static str) -> Result<Answer, Error> {
        if response.status().is_redirection() {
            return Err(self.redirected(&response));
        }
        if !response.status().is_success() {
            return Err(refusal::read(response, &self.server, advice));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let total = header("x-total-count").and_then(|total| total.parse().ok());
        let file_name = header("content-disposition").and_then(file_name);
        let text = Zeroizing::new(response.text().map_err(|error| self.unreachable(&error))?);
        Ok(Answer { text, total, file_name, server: self.server.clone() })
    }

    fn redirected(&self, response: &Response) -> Error {
        let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let cause = format!("it points to {}", target.unwrap_or("another address"));
        Error::Nonsense { server: self.server.clone(), cause }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let cause = advice::cause_of(error);
        let advice = advice::about_connection(error, &cause);
        Error::Unreachable { server: self.server.clone(), cause, advice }
    }
}

struct Call<'a> {
    method: Method,
    path: &'a str,
    query: Query<'a>,
    body: Option<Bytes>,
}

/// A body, which is wiped when it was sent. It is measured first: a vector that grows leaves copies behind.
fn json(body: &impl Serialize) -> Result<Bytes, Error> {
    let failed = |error: serde_json::Error| Error::Failed(error.to_string());
    let mut measure = Measure(0);
    serde_json::to_writer(&mut measure, body).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(measure.0));
    serde_json::to_writer(&mut *bytes, body).map_err(failed)?;
    Ok(Bytes::from_owner(bytes))
}

struct Measure(usize);

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Follows redirects within one host alone: a token or a password is for the host it was meant for.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let Some(first) = attempt.previous().first() else { return attempt.stop() };
    let (to, secure) = (attempt.url(), attempt.url().scheme() == "https");
    let same_origin =
        first.scheme() == to.scheme() && first.port_or_known_default() == to.port_or_known_default();
    let upgraded = secure && first.scheme() == "http";
    if first.host_str() == to.host_str() && (same_origin || upgraded) && attempt.previous().len() < REDIRECTS
    {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// `attachment; filename=ca_1_certificate.pem`, with or without quotes.
fn file_name(disposition: &str) -> Option<String> {
    let (_, name) = disposition.split_once("filename=")?;
    let name = name.split(';').next()?.trim().trim_matches('"');
    crate::files::safe_name(name)
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A page of a list and an RSA key of 8192 bits are ready much sooner.
const TIMEOUT: Duration = Duration::from_secs(330);
/// The one call that takes longer: a CA with all that it has issued.
const IMPORT: &str = "/cas/import";
/// The server's own limit is reached sooner.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(900);
/// Others wait for the configuration's lock meanwhile.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn suggested_file_name_stays_in_its_folder() {
        assert_eq!(file_name("attachment; filename=ca_1_certificate.pem").unwrap(), "ca_1_certificate.pem");
        assert_eq!(file_name("attachment; filename=\"a b.pem\"; x=y").unwrap(), "a_b.pem");
        assert_eq!(file_name("attachment; filename=../../etc/passwd").unwrap(), "passwd");
        assert_eq!(file_name("attachment; filename=.."), None);
        assert_eq!(file_name("attachment"), None);
    }
}
