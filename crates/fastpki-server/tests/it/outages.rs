//! Databases that hang, are full, may not be written to, were restarted or are gone.

use std::path::PathBuf;

use fastpki_testing::{Database, Kind, Proxy};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Options, Server, on_one_server};

on_one_server! {
    nothing_is_acknowledged_that_cannot_be_written,
    crl_of_yesterday_is_served_while_nothing_can_be_written,
    readiness_writes_once_in_a_while_however_often_it_is_asked,
    use_of_a_token_is_noted_once_that_can_be_written,
}

macro_rules! on_postgresql {
    ($($test:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            fastpki_testing::run(Kind::Postgresql, |database| Box::pin(scenes::$test(database)));
        })*
    };
}

on_postgresql! {
    requests_end_while_postgresql_hangs,
    commit_without_an_answer_is_not_called_undone,
    dead_connections_cost_no_request_an_error,
    deadlocks_and_serialization_failures_are_tried_again,
    lists_go_on_while_postgresql_cannot_be_written_to_and_users_are_locked,
}

const DAY: i64 = 24 * 3600;

fn expect_503(answer: Answer, words: &str) {
    assert_eq!(answer.header("retry-after"), "5");
    let detail = answer.expect(StatusCode::SERVICE_UNAVAILABLE)["detail"].clone();
    assert!(detail.as_str().unwrap().contains(words), "{detail}");
}

async fn found(client: &Client, name: &str) -> bool {
    let all = client.get("/api/v1/organizations/").await.expect(StatusCode::OK);
    all.as_array().unwrap().iter().any(|one| one["name"] == name)
}

/// Something that keeps a database from being written to.
enum Broken {
    /// Its file lies elsewhere.
    Moved(PathBuf, PathBuf),
    ReadOnly(Database),
}

impl Broken {
    async fn make(server: &Server) -> Self {
        match server.database.file() {
            Some(file) => {
                let aside = file.with_extension("aside");
                std::fs::rename(&file, &aside).unwrap();
                Self::Moved(file, aside)
            }
            None => {
                Self::set(&server.database, "on").await;
                Self::ReadOnly(server.database.clone())
            }
        }
    }

    async fn repair(self) {
        match self {
            Self::Moved(file, aside) => std::fs::rename(aside, file).unwrap(),
            Self::ReadOnly(database) => Self::set(&database, "off").await,
        }
    }

    async fn set(database: &Database, value: &str) {
        let Database::Postgresql { name, .. } = database else { panic!("it is PostgreSQL") };
        let sql = format!(
            "BEGIN READ WRITE; ALTER DATABASE {name} SET default_transaction_read_only = {value}; COMMIT"
        );
        database.script(&sql).await;
        database.script(&end_connections()).await;
    }
}

fn end_connections() -> String {
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        .to_owned()
}

async fn nothing_is_acknowledged_that_cannot_be_written(server: Server) {
    let root = server.superuser().await;
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
    let broken = Broken::make(&server).await;
    for name in ["Red", "Blue"] {
        let answer = root.post("/api/v1/organizations/", json!({"name": name})).await;
        expect_503(answer, "nothing was changed");
    }
    server.clock.advance(6);
    server.stranger().get("/readyz").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    broken.repair().await;
    server.clock.advance(6);
    server.stranger().get("/readyz").await.expect(StatusCode::OK);
    root.post("/api/v1/organizations/", json!({"name": "Green"})).await.expect(StatusCode::CREATED);
    assert!(found(&root, "Green").await && !found(&root, "Red").await);
}

async fn crl_of_yesterday_is_served_while_nothing_can_be_written(server: Server) {
    let root = server.superuser().await;
    root.create_ca("Issuing", json!({})).await;
    let crl = async || server.stranger().get("/crl/issuing-1").await;
    let before = crl().await;
    let broken = Broken::make(&server).await;
    server.clock.advance(DAY + 60);
    for _ in 0..3 {
        let answer = crl().await;
        assert_eq!((answer.status, answer.header("etag")), (StatusCode::OK, before.header("etag")));
    }
    server.clock.advance(6 * DAY);
    expect_503(crl().await, "the database");
    broken.repair().await;
    server.clock.advance(11);
    let after = crl().await;
    assert_eq!(after.status, StatusCode::OK);
    assert_ne!(after.header("etag"), before.header("etag"));
}

async fn readiness_writes_once_in_a_while_however_often_it_is_asked(server: Server) {
    let written = "SELECT CAST(due AS VARCHAR) FROM fastpki_jobs WHERE name = 'prove_writable'";
    let mut before = Vec::new();
    for seconds in [0, 6, -60] {
        server.clock.advance(seconds);
        server.stranger().get("/readyz").await.expect(StatusCode::OK);
        let after = server.database.peek(written).await;
        assert_ne!(after, before);
        before = after;
        server.clock.advance(2);
        for _ in 0..20 {
            server.stranger().get("/readyz").await.expect(StatusCode::OK);
        }
        assert_eq!(server.database.peek(written).await, before);
    }
}

async fn use_of_a_token_is_noted_once_that_can_be_written(server: Server) {
    let world = server.world().await;
    let (account, client) = server.service_account(&world.red_admin, "runner", json!({})).await;
    client.get("/api/v1/cas/").await.expect(StatusCode::OK);
    let used_at = server.engine.now().to_string();
    let broken = Broken::make(&server).await;
    server.engine.record_token_uses().await.unwrap_err();
    broken.repair().await;
    server.clock.advance(60);
    server.engine.record_token_uses().await.unwrap();
    let tokens = format!("/api/v1/service-accounts/{}/tokens", account["id"]);
    let tokens = world.red_admin.get(&tokens).await.expect(StatusCode::OK);
    assert_eq!(tokens[0]["last_used_at"], used_at);
}

mod scenes {
    use super::*;

    async fn behind(proxy: &Proxy, database: &Database) -> Server {
        let database_url = Some(format!("{}&command_timeout=1.5", proxy.url()));
        Server::start(database, Options { database_url, ..Options::default() }).await
    }

    pub(super) async fn requests_end_while_postgresql_hangs(database: Database) {
        let proxy = Proxy::before(&database);
        let server = behind(&proxy, &database).await;
        let root = server.superuser().await;
        root.create_ca("Issuing", json!({})).await;
        proxy.hang();
        let (stranger, organization) = (server.stranger(), json!({"name": "Red"}));
        let (read, write, list, crl, sign_in, ready) = tokio::join!(
            root.get("/api/v1/users/me"),
            root.post("/api/v1/organizations/", organization.clone()),
            root.get("/api/v1/certificates/"),
            stranger.get("/crl/issuing-1"),
            stranger.sign_in("root", "whatever it is"),
            stranger.get("/readyz"),
        );
        for answer in [read, write, list, crl, sign_in] {
            expect_503(answer, "nothing was changed");
        }
        ready.expect(StatusCode::SERVICE_UNAVAILABLE);
        proxy.resume();
        // What hung is not used again.
        for _ in 0..30 {
            root.get("/api/v1/users/me").await.expect(StatusCode::OK);
        }
        root.post("/api/v1/organizations/", organization).await.expect(StatusCode::CREATED);
        server.stop().await;
    }

    pub(super) async fn commit_without_an_answer_is_not_called_undone(database: Database) {
        let proxy = Proxy::before(&database);
        let server = behind(&proxy, &database).await;
        let root = server.superuser().await;
        proxy.hang_after_commit();
        let answer = root.post("/api/v1/organizations/", json!({"name": "Red"})).await;
        expect_503(answer, "may have been made");
        proxy.resume();
        assert!(found(&root, "Red").await);
        server.stop().await;
    }

    pub(super) async fn dead_connections_cost_no_request_an_error(database: Database) {
        let server = Server::start(&database, Options::default()).await;
        let root = server.superuser().await;
        for round in 0..5 {
            let many = (0..24).map(|_| {
                let root = root.clone();
                tokio::spawn(async move { root.get("/api/v1/users/").await.status })
            });
            for one in many.collect::<Vec<_>>() {
                assert_eq!(one.await.unwrap(), StatusCode::OK);
            }
            database.script(&end_connections()).await;
            root.post("/api/v1/organizations/", json!({"name": format!("Red {round}")}))
                .await
                .expect(StatusCode::CREATED);
            database.script(&end_connections()).await;
            for _ in 0..30 {
                root.get("/api/v1/users/").await.expect(StatusCode::OK);
            }
        }
        let all: Value = root.get("/api/v1/organizations/").await.expect(StatusCode::OK);
        assert_eq!(all.as_array().unwrap().len(), 5);
        server.stop().await;
    }

    pub(super) async fn deadlocks_and_serialization_failures_are_tried_again(database: Database) {
        let server = Server::start(&database, Options::default()).await;
        let root = server.superuser().await;
        for code in ["40P01", "40001"] {
            let sql = format!(
                "DROP SEQUENCE IF EXISTS attempts;
                 CREATE SEQUENCE attempts;
                 CREATE OR REPLACE FUNCTION fail_twice() RETURNS trigger AS $$ BEGIN
                     IF nextval('attempts') <= 2 THEN
                         RAISE EXCEPTION 'others were in the way' USING ERRCODE = '{code}';
                     END IF;
                     RETURN NEW;
                 END $$ LANGUAGE plpgsql;
                 CREATE OR REPLACE TRIGGER fail_twice BEFORE INSERT ON organizations
                     FOR EACH ROW EXECUTE FUNCTION fail_twice();"
            );
            database.script(&sql).await;
            let organization = json!({"name": format!("Of {code}")});
            root.post("/api/v1/organizations/", organization).await.expect(StatusCode::CREATED);
            assert_eq!(database.peek("SELECT last_value FROM attempts").await, ["3"]);
        }
        server.stop().await;
    }

    /// Lists ask this between two of their parts.
    pub(super) async fn lists_go_on_while_postgresql_cannot_be_written_to_and_users_are_locked(
        database: Database,
    ) {
        let server = Server::start(&database, Options::default()).await;
        let world = server.world().await;
        let (_, account) = server.service_account(&world.red_admin, "runner", json!({})).await;
        let callers = [server.caller(&world.red_user).await, server.caller(&account).await];
        Broken::set(&database, "on").await;
        for caller in &callers {
            server.engine.check_standing(caller).await.unwrap();
        }
        Broken::set(&database, "off").await;
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        let lock = database.clone();
        let locked = tokio::spawn(async move {
            lock.script("BEGIN; SELECT * FROM users, service_accounts FOR UPDATE; SELECT pg_sleep(50)").await;
        });
        while database.peek(asleep).await == ["0"] {
            tokio::task::yield_now().await;
        }
        for caller in &callers {
            server.engine.check_standing(caller).await.unwrap();
        }
        assert!(!locked.is_finished());
        database.script(&end_connections()).await;
        server.stop().await;
    }
}
