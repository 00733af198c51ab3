use std::{os::unix::fs::PermissionsExt, process::Stdio};

use fastpki_testing::{Database, on_both_databases};

use super::{PASSWORD, Person, serve};

on_both_databases! {
    session_is_shown_and_ends,
    ended_access_token_is_renewed_silently_by_one_of_many_processes,
}

async fn session_is_shown_and_ends(database: Database) {
    let (_server, root) = serve(database);
    let status = root.prints(&["auth", "status"]);
    for part in [&root.server, "configuration file", "superuser", "root@example.com"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert_eq!(root.run(&["auth", "status", "-o", "json"]).stdout, root.api("/users/me").await + "\n");

    let token = root.token();
    root.run(&["auth", "logout"]).succeeded();
    let words = root.refused(&["auth", "status"]);
    assert!(words.contains("fastpki auth login"), "{words}");
    let mut stolen = root.command(&["ca", "list"]);
    let ran = super::ran(stolen.env("FASTPKI_TOKEN", token));
    assert_eq!(ran.code, 1, "the token works on: {ran:?}");
    assert!(ran.stderr.contains("FASTPKI_TOKEN"), "{ran:?}");
    root.run(&["auth", "logout"]).succeeded();
}

async fn ended_access_token_is_renewed_silently_by_one_of_many_processes(database: Database) {
    let (_server, root) = serve(database);
    root.run(&["config", "set", "auth.token", "ended"]).succeeded();
    let children: Vec<_> =
        (0..6).map(|_| root.command(&["ca", "list", "-o", "json"]).spawn().expect("it starts")).collect();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            (output.stdout.as_slice(), output.stderr.as_slice()),
            (b"[]\n".as_slice(), b"".as_slice())
        );
    }
    assert_ne!(root.token(), "ended");
    let mode = root.config_file().metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    for key in ["auth.token", "auth.refresh_token"] {
        root.run(&["config", "set", key, "ended"]).succeeded();
    }
    let words = root.refused(&["ca", "list"]);
    assert!(words.contains("your session is over: run `fastpki auth login`"), "{words}");
}

#[test]
fn wrong_password_is_refused_and_nothing_is_kept() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(fastpki_testing::Kind::Sqlite).await);
        let stranger = Person::new(&root.server);
        let ran = stranger.told(&["auth", "login", "-u", "root"], "wrong");
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
        assert!(!stranger.config_file().exists());

        let words = stranger.refused(&["ca", "list"]);
        assert!(words.contains("not signed in"), "{words}");
        let ran = stranger.run(&["auth", "login", "-u", "root"]);
        assert_eq!(ran.code, 2, "without a password: {ran:?}");
    });
}

#[test]
fn server_of_login_is_remembered_and_tokens_are_sent_to_no_other() {
    crate::program::run(async {
        let (server, root) = serve(Database::create(fastpki_testing::Kind::Sqlite).await);
        let anywhere = Person::new("");
        let login = ["auth", "login", "-s", &server.base_url, "-u", "root", "-p", PASSWORD];
        anywhere.run(&login).succeeded();
        assert_eq!(anywhere.prints(&["config", "get", "server.url"]), format!("{}\n", server.base_url));
        assert_eq!(anywhere.json(&["user", "me"])["username"], "root");

        let other = super::stub::Stub::start(|_| super::stub::Reply::json(200, "[]"));
        anywhere.run(&["ca", "list", "--server", &other.url]).succeeded();
        assert_eq!(other.requests()[0].authorization, None);
        // Nor after the file was pointed elsewhere.
        anywhere.run(&["config", "set", "server.url", &other.url]).succeeded();
        anywhere.run(&["ca", "list"]).succeeded();
        assert_eq!(other.requests()[1].authorization, None);
        drop(root);
    });
}

#[test]
fn redirect_to_another_server_is_not_followed() {
    crate::program::run(async {
        let other = super::stub::Stub::start(|_| super::stub::Reply::json(200, "[]"));
        let target = format!("{}/api/v1/cas/", other.url);
        let stub = super::stub::Stub::start(move |_| super::stub::Reply {
            headers: vec![("location", target.clone())],
            ..super::stub::Reply::json(307, "")
        });
        let person = Person::new(&stub.url);
        let mut command = person.command(&["ca", "list"]);
        let ran = super::ran(command.env("FASTPKI_TOKEN", "secret"));
        assert!(ran.code == 1 && ran.stderr.contains(&format!("it points to {}", other.url)), "{ran:?}");
        assert!(other.requests().is_empty());
    });
}

#[test]
fn sign_out_ends_the_session_that_its_own_renewal_made() {
    crate::program::run(async {
        let stub = super::stub::Stub::start(|request| match request.line.as_str() {
            "POST /api/v1/auth/refresh" => super::stub::Reply::json(200, RENEWED),
            _ if request.authorization.as_deref() == Some("Bearer a2") => super::stub::Reply::json(200, "{}"),
            _ => super::stub::Reply::json(401, r#"{"detail": "ended"}"#),
        });
        let person = Person::new(&stub.url);
        for (key, value) in
            [("server.url", stub.url.as_str()), ("auth.token", "a1"), ("auth.refresh_token", "r1")]
        {
            person.run(&["config", "set", key, value]).succeeded();
        }
        person.run(&["auth", "logout"]).succeeded();
        let last = stub.requests().pop().unwrap();
        assert_eq!(last.line, "POST /api/v1/auth/logout");
        assert_eq!(last.json()["refresh_token"], "r2");
        assert!(!person.read(".config/fastpki/config.json").contains("r2"));
    });
}

const RENEWED: &str = r#"{"access_token": "a2", "refresh_token": "r2", "token_type": "bearer"}"#;

#[test]
fn token_of_the_environment_goes_before_the_file() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(fastpki_testing::Kind::Sqlite).await);
        let token = root.token();
        let stranger = Person::new(&root.server);
        let ran = super::ran(stranger.command(&["user", "me", "-o", "json"]).env("FASTPKI_TOKEN", &token));
        assert_eq!(ran.succeeded().json()["username"], "root");
        let ran = super::ran(root.command(&["user", "me"]).env("FASTPKI_TOKEN", "wrong"));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("the server does not take the token in FASTPKI_TOKEN"), "{ran:?}");
    });
}

#[test]
fn output_that_nobody_reads_is_no_error() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(fastpki_testing::Kind::Sqlite).await);
        let mut child = root.command(&["user", "me"]).stdout(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    });
}
