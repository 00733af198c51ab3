//! Every route times every kind of caller: a route that has no line here fails the test.
//!
//! What is asked for is always Red's. The routes come from the API's description, without which none can be added.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Client, P256, PASSWORD, Server, new_csr, on_both_databases};

on_both_databases! { every_route_answers_every_caller_as_the_table_says }

/// Who asks: nobody; a user and an admin without organization; of Red a user without flags, one with all of them, and
/// an admin; Blue's admin; a superuser; service accounts: of Red without flags, with all of them, disabled; of Blue with
/// all flags.
const CALLERS: [&str; 12] = [
    "stranger",
    "loner",
    "lone admin",
    "user",
    "able user",
    "admin",
    "Blue's admin",
    "superuser",
    "account",
    "able account",
    "disabled account",
    "Blue's account",
];

const ANYBODY: &str = "200 200 200 200 200 200 200 200 200 200 200 200";
const ANY_USER: &str = "401 200 200 200 200 200 200 200 401 401 401 401";
const ANY_PRINCIPAL: &str = "401 200 200 200 200 200 200 200 200 200 401 200";
const READ: &str = "401 403 403 200 200 200 403 200 200 200 401 403";
const WITH_FLAG: &str = "401 403 403 403 200 200 403 200 403 200 401 403";
const WITH_FLAG_CREATES: &str = "401 403 403 403 201 201 403 201 403 201 401 403";
const ADMINS: &str = "401 403 403 403 403 200 403 200 401 401 401 401";
const SUPERUSERS_DELETE: &str = "401 403 403 403 403 403 403 204 401 401 401 401";
const ACCOUNT_READ: &str = "401 404 404 200 200 200 404 200 401 401 401 401";
const ACCOUNT_CHANGE: &str = "401 404 404 403 403 200 404 200 401 401 401 401";
const ACCOUNT_DELETE: &str = "401 404 404 403 403 204 404 204 401 401 401 401";

const TABLE: &[(&str, &str)] = &[
    ("GET /", ANYBODY),
    ("GET /healthz", ANYBODY),
    ("GET /readyz", ANYBODY),
    ("GET /crl/{ca_slug}", ANYBODY),
    ("GET /crl/{ca_slug}.pem", ANYBODY),
    ("GET /ca/{ca_slug}.crt", ANYBODY),
    ("GET /ca/{ca_slug}.pem", ANYBODY),
    ("POST /auth/token", ANYBODY),
    ("POST /auth/refresh", ANYBODY),
    ("POST /auth/logout", "401 204 204 204 204 204 204 204 401 401 401 401"),
    ("POST /auth/invalidate", "401 204 204 204 204 204 204 204 401 401 401 401"),
    ("GET /users/", "401 403 403 403 403 403 403 200 401 401 401 401"),
    ("POST /users/", "403 403 403 403 403 201 201 201 401 401 401 401"),
    ("GET /users/me", ANY_USER),
    ("GET /users/{user_id}", ADMINS),
    ("PATCH /users/{user_id}", ADMINS),
    ("DELETE /users/{user_id}", SUPERUSERS_DELETE),
    ("GET /organizations/", ANY_USER),
    ("POST /organizations/", "401 403 201 403 403 201 201 201 401 401 401 401"),
    ("GET /organizations/{organization_id}", "401 403 403 200 200 200 403 200 401 401 401 401"),
    ("PUT /organizations/{organization_id}", ADMINS),
    ("DELETE /organizations/{organization_id}", SUPERUSERS_DELETE),
    ("GET /organizations/{organization_id}/users", "401 403 403 200 200 200 403 200 401 401 401 401"),
    ("POST /organizations/{organization_id}/users/{user_id}", ADMINS),
    ("DELETE /organizations/{organization_id}/users/{user_id}", ADMINS),
    ("GET /cas/", ANY_PRINCIPAL),
    ("POST /cas/", "401 403 403 403 201 201 201 201 403 201 401 201"),
    ("POST /cas/import", "401 403 403 403 403 200 200 200 401 401 401 401"),
    ("GET /cas/{ca_id}", READ),
    ("PATCH /cas/{ca_id}", "401 403 403 403 403 403 403 200 403 403 401 403"),
    ("DELETE /cas/{ca_id}", "401 403 403 403 204 204 403 204 403 204 401 403"),
    ("POST /cas/{ca_id}/revoke", WITH_FLAG),
    ("GET /cas/{ca_id}/private-key", WITH_FLAG),
    ("GET /cas/{ca_id}/chain", READ),
    ("GET /cas/{ca_id}/children", READ),
    ("GET /certificates/", ANY_PRINCIPAL),
    ("POST /certificates/", WITH_FLAG_CREATES),
    ("POST /certificates/sign-csr", WITH_FLAG_CREATES),
    ("GET /certificates/{cert_id}", READ),
    ("GET /certificates/{cert_id}/private-key", WITH_FLAG),
    ("POST /certificates/{cert_id}/revoke", WITH_FLAG),
    ("POST /certificates/{cert_id}/renew", WITH_FLAG_CREATES),
    ("GET /export/ca/{ca_id}/certificate", READ),
    ("GET /export/ca/{ca_id}/private-key", WITH_FLAG),
    ("GET /export/certificate/{cert_id}", READ),
    ("GET /export/certificate/{cert_id}/private-key", WITH_FLAG),
    ("GET /export/certificate/{cert_id}/chain", READ),
    ("GET /service-accounts/", ANY_USER),
    ("POST /service-accounts/", "401 403 403 403 403 201 403 201 401 401 401 401"),
    ("GET /service-accounts/{sa_id}", ACCOUNT_READ),
    ("PATCH /service-accounts/{sa_id}", ACCOUNT_CHANGE),
    ("DELETE /service-accounts/{sa_id}", ACCOUNT_DELETE),
    ("POST /service-accounts/{sa_id}/tokens", "401 404 404 403 403 201 404 201 401 401 401 401"),
    ("GET /service-accounts/{sa_id}/tokens", ACCOUNT_READ),
    ("DELETE /service-accounts/{sa_id}/tokens/{token_id}", ACCOUNT_DELETE),
    ("PUT /service-accounts/{sa_id}/policy", ACCOUNT_CHANGE),
    ("GET /service-accounts/{sa_id}/policy", ACCOUNT_READ),
    ("DELETE /service-accounts/{sa_id}/policy", ACCOUNT_DELETE),
    ("GET /audit-logs/", "401 403 200 403 403 200 200 200 401 401 401 401"),
];

const PREFIX: &str = "/api/v1";

async fn every_route_answers_every_caller_as_the_table_says(server: Server) {
    check_that_the_table_is_whole();
    let stage = Stage::set(&server).await;
    let mut callers = stage.callers().await;
    let mut problems = Vec::new();
    for (route, line) in TABLE {
        let expected: Vec<&str> = line.split(' ').collect();
        assert_eq!(expected.len(), CALLERS.len(), "{route}");
        for ((caller, name), expected) in callers.iter().zip(CALLERS).zip(expected) {
            let (method, path, body) = stage.request(route).await;
            let answer = caller
                .send(method, &path, |request| match &body {
                    Body::Json(body) => request.json(body),
                    Body::Form(form) => request.form(form),
                    Body::None => request,
                })
                .await;
            if answer.status.as_str() != expected {
                problems.push(format!("{route} by {name}: {} and not {expected}", answer.status));
            }
        }
        if route.contains("/auth/") {
            // Who has signed out signs in anew.
            server.clock.advance_millis(2);
            callers = stage.callers().await;
        }
    }
    assert_eq!(problems, Vec::<String>::new());
}

fn check_that_the_table_is_whole() {
    let document = fastpki_server::openapi("FastPKI", PREFIX);
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix(PREFIX).unwrap_or(path);
        for method in methods.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let lines: BTreeSet<String> = TABLE.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(routes, lines, "a route without a line, or a line without a route");
}

enum Body {
    None,
    Json(Value),
    Form(Vec<(&'static str, &'static str)>),
}

struct Stage<'s> {
    server: &'s Server,
    root: Client,
    red: Value,
    accounts: Vec<Client>,
    csr: String,
    counter: std::sync::atomic::AtomicU32,
}

impl<'s> Stage<'s> {
    /// Red with CA 1 and everybody who asks; the superuser who sets the stage is another than the one who asks.
    async fn set(server: &'s Server) -> Self {
        let world = server.world().await;
        let root = world.root;
        let every = json!({"can_create_ca": true, "can_create_cert": true, "can_revoke_cert": true, "can_export_private_key": true, "can_delete_ca": true});
        root.create_user("able", "user", &world.red, every.clone()).await;
        root.create_user("asking-root", "superuser", &Value::Null, json!({})).await;
        root.create_user("lone-admin", "admin", &Value::Null, json!({})).await;
        world.red_admin.create_ca("Red", json!({})).await;
        let policy = json!({"cn_patterns": ["*"], "allowed_ca_ids": [1], "allowed_certificate_types": ["server"], "max_validity_days": 365});
        let mut accounts = Vec::new();
        for (id, (admin, flags)) in [
            (&world.red_admin, json!({})),
            (&world.red_admin, every.clone()),
            (&world.red_admin, every.clone()),
            (&world.blue_admin, every),
        ]
        .into_iter()
        .enumerate()
        {
            let (account, client) = server.service_account(admin, &format!("account-{id}"), flags).await;
            let policy_of = format!("/api/v1/service-accounts/{}/policy", account["id"]);
            admin.put(&policy_of, policy.clone()).await.expect(StatusCode::OK);
            accounts.push(client);
        }
        let disabled = json!({"disabled": true});
        world.red_admin.patch("/api/v1/service-accounts/3", disabled).await.expect(StatusCode::OK);
        let csr = new_csr(&P256, "/CN=www.example.com", &[]);
        Self { server, root, red: world.red, accounts, csr, counter: Default::default() }
    }

    async fn callers(&self) -> Vec<Client> {
        let mut callers = vec![self.server.stranger()];
        for name in ["loner", "lone-admin", "red-user", "able", "red-admin", "blue-admin", "asking-root"] {
            callers.push(self.server.sign_in(name).await);
        }
        callers.extend(self.accounts.iter().cloned());
        callers
    }

    /// A request to a route, about something of Red's that nobody has touched yet.
    async fn request(&self, route: &str) -> (Method, String, Body) {
        let number = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("new-{number}");
        let (method, template) = route.split_once(' ').unwrap();
        let mut path = template.to_owned();
        for (place, value) in self.objects(route, &name).await {
            path = path.replace(place, &value);
        }
        let is_public = ["/", "/healthz", "/readyz"].contains(&template)
            || path.starts_with("/c") && template.contains("slug");
        let path = if is_public { path } else { format!("{PREFIX}{path}") };
        let path = if route == "POST /certificates/" { path + "?ca_id=1" } else { path };
        (method.parse().unwrap(), path, self.body(route, &name).await)
    }

    async fn objects(&self, route: &str, name: &str) -> Vec<(&'static str, String)> {
        let mut objects = Vec::new();
        let root = &self.root;
        if route.contains("{ca_slug}") {
            objects.push(("{ca_slug}", "red-1".to_owned()));
        }
        if route.contains("{ca_id}") {
            let mut ca = root.create_ca(name, json!({})).await;
            let given = json!({"organization_id": self.red});
            root.patch(&format!("/api/v1/cas/{}", ca["id"]), given).await.expect(StatusCode::OK);
            if route.ends_with("/revoke") {
                ca = root.create_ca(&format!("below {name}"), json!({"parent_ca_id": ca["id"]})).await;
            }
            objects.push(("{ca_id}", ca["id"].to_string()));
        }
        if route.contains("{cert_id}") {
            let certificate = root.create_certificate(&json!({"id": 1}), "www.example.com", json!({})).await;
            objects.push(("{cert_id}", certificate["id"].to_string()));
        }
        if route.contains("{user_id}") {
            let organization =
                if route.starts_with("POST /organizations") { &Value::Null } else { &self.red };
            let user = root.create_user(name, "user", organization, json!({})).await;
            objects.push(("{user_id}", user["id"].to_string()));
        }
        if route.contains("{organization_id}") {
            let organization = match route.starts_with("DELETE") && !route.contains("users") {
                true => {
                    let new = json!({"name": name});
                    root.post("/api/v1/organizations/", new).await.expect(StatusCode::CREATED)["id"].clone()
                }
                false => self.red.clone(),
            };
            objects.push(("{organization_id}", organization.to_string()));
        }
        if route.contains("{sa_id}") {
            let new = json!({"organization_id": self.red});
            let (account, _) = self.server.service_account(root, name, new).await;
            let path = format!("/api/v1/service-accounts/{}", account["id"]);
            root.put(&format!("{path}/policy"), json!({"max_validity_days": 1})).await.expect(StatusCode::OK);
            let tokens = root.get(&format!("{path}/tokens")).await.expect(StatusCode::OK);
            objects.push(("{sa_id}", account["id"].to_string()));
            objects.push(("{token_id}", tokens[0]["id"].to_string()));
        }
        objects
    }

    /// A CA that is here no more.
    async fn foreign_ca(&self, name: &str) -> Value {
        let ca = self.root.create_ca(name, json!({})).await;
        self.root.delete(&format!("/api/v1/cas/{}", ca["id"])).await.expect(StatusCode::NO_CONTENT);
        json!({"name": name, "certificate": ca["certificate"], "private_key": ca["private_key"]})
    }

    async fn body(&self, route: &str, name: &str) -> Body {
        Body::Json(match route {
            "POST /auth/token" => {
                return Body::Form(vec![("username", "red-user"), ("password", PASSWORD)]);
            }
            "POST /auth/refresh" => {
                let pair = self.server.stranger().sign_in("red-user", PASSWORD).await.expect(StatusCode::OK);
                json!({"refresh_token": pair["refresh_token"]})
            }
            "POST /auth/logout" => json!({"refresh_token": "unknown"}),
            "POST /users/" => {
                json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD})
            }
            "PATCH /users/{user_id}" => json!({"can_create_cert": true}),
            "POST /organizations/" => json!({"name": name}),
            "PUT /organizations/{organization_id}" => json!({"description": name}),
            "POST /cas/" => json!({"name": name, "subject_dn": format!("CN={name}"), "key_type": "ec"}),
            "POST /cas/import" => self.foreign_ca(name).await,
            "PATCH /cas/{ca_id}" => json!({"organization_id": self.red}),
            "POST /certificates/" => {
                json!({"common_name": "www.example.com", "subject_dn": "CN=www.example.com", "certificate_type": "server", "key_type": "ec"})
            }
            "POST /certificates/sign-csr" => {
                json!({"csr": self.csr, "ca_id": 1, "certificate_type": "server"})
            }
            "POST /cas/{ca_id}/revoke"
            | "POST /certificates/{cert_id}/revoke"
            | "POST /certificates/{cert_id}/renew" => json!({}),
            "POST /service-accounts/" => json!({"name": name, "organization_id": self.red}),
            "PATCH /service-accounts/{sa_id}" => json!({"description": name}),
            "POST /service-accounts/{sa_id}/tokens" => json!({}),
            "PUT /service-accounts/{sa_id}/policy" => json!({"max_validity_days": 2}),
            _ => return Body::None,
        })
    }
}
