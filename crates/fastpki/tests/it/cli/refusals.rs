//! What people read when it does not work.

use super::{
    Person,
    stub::{Reply, Stub},
};

/// The words on standard error when a server answers `cert show 1` like this.
fn words(reply: fn() -> Reply) -> String {
    let mut words = String::new();
    crate::program::run(async {
        let stub = Stub::start(move |_| reply());
        words = Person::new(&stub.url).refused(&["cert", "show", "1"]).replace(&stub.url, "SERVER");
    });
    words
}

#[test]
fn details_are_told_as_text_as_object_and_line_by_line() {
    let text = words(|| Reply::json(400, r#"{"detail": "this cannot be"}"#));
    assert_eq!(text, "error: refused (400): this cannot be\n");
    let object = words(|| {
        Reply::json(400, r#"{"detail": {"code": "policy_violation", "field": "cn_patterns", "value": "x"}}"#)
    });
    assert_eq!(object, "error: refused (400): policy_violation, field: cn_patterns, value: x\n");
    let list = words(|| {
        Reply::json(
            422,
            r#"{"detail": [{"type": "missing", "loc": ["body", "name"], "msg": "is missing"},
            {"type": "value_error", "loc": ["body", "san_dns_names", 2], "msg": "is no host name", "input": "!"}]}"#,
        )
    });
    assert_eq!(
        list,
        "error: not acceptable (422):\n  name: is missing\n  san_dns_names.2: is no host name\n"
    );
}

#[test]
fn advice_fits_the_status() {
    for (reply, advice) in [
        ((|| Reply::json(401, r#"{"detail": "no"}"#)) as fn() -> Reply, "run `fastpki auth login`"),
        (|| Reply::json(403, r#"{"detail": "no"}"#), "fastpki auth status"),
        (|| Reply::json(404, r#"{"detail": "no"}"#), "fastpki cert list"),
        (
            || Reply {
                headers: vec![("retry-after", "30".into())],
                ..Reply::json(429, r#"{"detail": "no"}"#)
            },
            "try again in 30 seconds",
        ),
        (
            || Reply {
                headers: vec![("x-request-id", "abc".into())],
                ..Reply::json(500, r#"{"detail": "no"}"#)
            },
            "under request id abc",
        ),
    ] {
        let words = words(reply);
        assert!(words.contains(advice), "{advice}: {words}");
    }
}

#[test]
fn whoever_is_no_fastpki_server_is_told_from_one() {
    for reply in [
        (|| Reply::json(200, "<html>")) as fn() -> Reply,
        || Reply::json(502, "<html>Bad gateway"),
        || Reply { headers: vec![("location", "http://localhost:1/".into())], ..Reply::json(302, "") },
    ] {
        let words = words(reply);
        assert!(words.contains("SERVER did not answer as a FastPKI server does"), "{words}");
    }
}

#[test]
fn nobody_listening_is_told_with_the_address() {
    let words = Person::new("http://127.0.0.1:9").refused(&["ca", "list"]);
    let expected = "error: cannot reach http://127.0.0.1:9: Connection refused (os error 111)\ndoes it run";
    assert!(words.starts_with(expected), "{words}");
    let ran = Person::new("localhost:8000").run(&["ca", "list"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn usage_errors_exit_with_2() {
    let person = Person::new("http://127.0.0.1:9");
    for arguments in [
        ["ca"].as_slice(),
        &["ca", "show"],
        &["ca", "show", "x"],
        &["nonsense"],
        &["ca", "list", "-o", "xml"],
    ] {
        let ran = person.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn server_that_does_not_answer_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let person = Person::new(&url);
    let mut waits = person.command(&["cert", "show", "1"]);
    let ran = super::ran(waits.env("FASTPKI_TIMEOUT", "1"));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("takes too long") && ran.stderr.contains("FASTPKI_TIMEOUT"), "{ran:?}");
    for wrong in ["0", "soon", "1.5", "100000"] {
        let mut waits = person.command(&["cert", "show", "1"]);
        let ran = super::ran(waits.env("FASTPKI_TIMEOUT", wrong));
        assert!(ran.stderr.contains("FASTPKI_TIMEOUT should be"), "{ran:?}");
    }
}
