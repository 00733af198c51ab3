//! What was answered survives a kill -9; what was not leaves nothing half-done. Told to stop, the server
//! finishes what runs.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::program::{Client, PostgresDatabase, SECRET_KEY, Server, kill_rounds, run};

#[test]
fn answered_survives_kill_9_on_sqlite() {
    survive_kills(&[("SECRET_KEY", SECRET_KEY), KEY]);
}

#[test]
fn answered_survives_kill_9_on_postgresql() {
    let database = PostgresDatabase::create();
    survive_kills(&[("SECRET_KEY", SECRET_KEY), KEY, ("DATABASE_URL", &database.url)]);
}

#[test]
fn told_to_stop_the_server_finishes_what_runs_and_exits_0() {
    let server = Server::start(&[("SECRET_KEY", SECRET_KEY)]);
    let outcomes = run(async {
        let client = Client::first(&server.base_url).await;
        let ca = client.create_ca().await;
        // Making an RSA key takes long enough to be told to stop meanwhile.
        let requests: Vec<_> = (0..4)
            .map(|_| {
                let client = client.clone();
                let body = json!({"common_name": "www.example.com", "subject_dn": "CN=www.example.com",
                                  "certificate_type": "server", "key_type": "rsa", "key_size": 2048});
                tokio::spawn(async move { client.post(&format!("/certificates/?ca_id={ca}"), body).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.tell_to_stop();
        let mut outcomes = Vec::new();
        for request in requests {
            outcomes.push(request.await.expect("a task").map(|(status, _)| status));
        }
        outcomes
    });
    let folder = Arc::clone(&server.folder);
    server.stop();
    let answered = outcomes.iter().filter(|outcome| **outcome == Some(StatusCode::CREATED)).count();
    assert!(answered > 0, "{outcomes:?}");
    assert!(outcomes.iter().flatten().all(|status| *status == StatusCode::CREATED), "{outcomes:?}");
    // The next start finds a database that was closed.
    assert!(!folder.path().join("fastpki.db-wal").exists());
}

/// Kills the server at some moment of its work, again and again, and looks each time what is there.
fn survive_kills(settings: &[(&str, &str)]) {
    let mut server = Server::start(settings);
    let mut client = run(Client::first(&server.base_url));
    let ca = run(client.create_ca());
    let answered: Arc<Mutex<Vec<Answered>>> = Arc::default();
    for round in 0..kill_rounds() {
        let moment = Duration::from_millis(30 + round * 137 % 400);
        server = run(async {
            let workers: Vec<_> =
                (0..8).map(|_| tokio::spawn(work(client.clone(), ca, Arc::clone(&answered)))).collect();
            tokio::time::sleep(moment).await;
            let folder = server.kill();
            for worker in workers {
                worker.await.expect("a worker ends when nobody answers");
            }
            Server::start_in(folder, settings)
        });
        client.base_url = server.base_url.clone();
        run(check(&client, &answered));
    }
    assert!(!answered.lock().expect("no worker panicked").is_empty());
    server.stop();
}

/// A certificate whose issuance was answered, and whether its revocation was.
struct Answered {
    certificate: Value,
    revoked: bool,
}

/// Issues and revokes until nobody answers any more.
async fn work(client: Client, ca: i64, answered: Arc<Mutex<Vec<Answered>>>) {
    for number in 0.. {
        let Some(certificate) = client.issue(ca).await else { return };
        let path = format!("/certificates/{}/revoke", certificate["id"]);
        let place = {
            let mut answered = answered.lock().expect("no worker panicked");
            answered.push(Answered { certificate, revoked: false });
            answered.len() - 1
        };
        if number % 3 == 0 {
            let Some((status, answer)) = client.post(&path, json!({"reason": "superseded"})).await else {
                return;
            };
            assert_eq!(status, StatusCode::OK, "{answer}");
            answered.lock().expect("no worker panicked")[place].revoked = true;
        }
    }
}

/// Everything answered is there; nothing is there by half.
async fn check(client: &Client, answered: &Mutex<Vec<Answered>>) {
    let certificates = client.get("/certificates/").await;
    let certificates = certificates.as_array().expect("a list");
    let by_id = |id: &Value| certificates.iter().find(|certificate| certificate["id"] == *id);
    let answered: Vec<(Value, bool)> = {
        let answered = answered.lock().expect("no worker panicked");
        answered.iter().map(|item| (item.certificate.clone(), item.revoked)).collect()
    };
    for (expected, revoked) in &answered {
        let found = by_id(&expected["id"]).unwrap_or_else(|| panic!("lost: {expected}"));
        assert_eq!(found["certificate"], expected["certificate"]);
        assert!(!revoked || found["status"] == "revoked", "the revocation was lost: {found}");
    }
    if let Some((last, _)) = answered.last() {
        let detail = client.get(&format!("/certificates/{}/private-key", last["id"])).await;
        assert_eq!(detail["private_key"], last["private_key"]);
    }
    // An entry of the audit log for each certificate and each revocation, answered or not, and none beside.
    let revoked = certificates.iter().filter(|certificate| certificate["status"] == "revoked").count();
    for (action, count) in [("cert_create", certificates.len()), ("cert_revoke", revoked)] {
        let mut entries = 0;
        loop {
            let page = client.get(&format!("/audit-logs/?action={action}&limit=1000&skip={entries}")).await;
            let length = page.as_array().expect("a list").len();
            entries += length;
            if length < 1000 {
                break;
            }
        }
        assert_eq!(entries, count, "{action}");
    }
    let mut serials: Vec<_> = certificates.iter().map(|certificate| &certificate["serial_number"]).collect();
    serials.sort_by_key(|serial| serial.as_str());
    serials.dedup();
    assert_eq!(serials.len(), certificates.len());
}

const KEY: (&str, &str) = ("PRIVATE_KEY_ENCRYPTION_KEY", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
