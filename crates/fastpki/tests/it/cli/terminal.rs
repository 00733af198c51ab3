//! At a terminal: what is asked, hidden, coloured and wrapped. Python plays the person.

use fastpki_testing::{Database, Kind};
use serde_json::{Value, json};

use super::{PASSWORD, Person, serve};
use crate::program::{PROGRAM, python};

/// What a terminal of so many columns shows while somebody types these lines, and the exit status.
pub(super) fn at_terminal(
    person: &Person,
    columns: u16,
    arguments: &[&str],
    typed: &[&str],
) -> (String, i64) {
    let home = person.folder();
    let order = json!({"program": PROGRAM, "arguments": arguments, "columns": columns, "typed": typed,
        "home": home, "server": person.server});
    let outcome: Value = serde_json::from_str(&python(SCRIPT, &order.to_string())).expect("an outcome");
    let shown = outcome["shown"].as_str().expect("text").replace("\r\n", "\n");
    (shown, outcome["status"].as_i64().expect("a status"))
}

#[test]
fn passwords_are_asked_for_and_not_shown() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(Kind::Sqlite).await);
        root.run(&["auth", "logout"]).succeeded();
        let (shown, status) = at_terminal(&root, 80, &["auth", "login"], &["root", PASSWORD]);
        assert_eq!(status, 0, "{shown}");
        assert!(shown.contains("Username") && shown.contains("Password"), "{shown}");
        assert!(!shown.contains(PASSWORD), "{shown}");

        let create = ["user", "create", "-u", "alice", "-e", "alice@example.com"];
        let (shown, status) = at_terminal(&root, 80, &create, &[PASSWORD, "mistyped", PASSWORD, PASSWORD]);
        assert!(status == 0 && shown.contains("These two differ") && !shown.contains("mistyped"), "{shown}");
    });
}

#[test]
fn operators_are_asked_for_passwords_twice_and_those_are_not_shown() {
    let host = Person::new("");
    let create =
        ["admin", "create-user", "--username", "alice", "--email", "a@example.com", "--role", "admin"];
    let typed = [PASSWORD, "mistyped", PASSWORD, PASSWORD];
    let (shown, status) = at_terminal(&host, 100, &create, &typed);
    assert!(status == 0 && shown.contains("the two differ") && shown.contains("created admin 1"), "{shown}");
    assert!(!shown.contains(PASSWORD) && !shown.contains("mistyped"), "{shown}");
    let (shown, status) =
        at_terminal(&host, 100, &["admin", "reset-password", "alice"], &[PASSWORD, PASSWORD]);
    assert!(status == 0 && !shown.contains(PASSWORD), "{shown}");
}

#[test]
fn deletion_takes_a_yes() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(Kind::Sqlite).await);
        root.create_cas();
        let (shown, status) = at_terminal(&root, 80, &["ca", "delete", "2"], &["n"]);
        assert!(
            status == 1 && shown.contains("Delete CA 2 (Issuing)") && shown.contains("nothing was done"),
            "{shown}"
        );
        let (shown, status) = at_terminal(&root, 80, &["ca", "delete", "2"], &["y"]);
        assert!(status == 0 && shown.contains("CA 2 is deleted"), "{shown}");
    });
}

#[test]
fn tables_fit_and_what_ends_soon_is_coloured() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(Kind::Sqlite).await);
        let subject =
            "CN=A root with a long name,OU=Department of Long Names,O=Example Organization,L=Zurich,C=CH";
        root.run(&["ca", "create", "-n", "Root", "-s", subject, "--key-type", "ec", "-v", "9"]).succeeded();
        for columns in [60, 100, 200] {
            let (shown, status) = at_terminal(&root, columns, &["ca", "list"], &[]);
            assert_eq!(status, 0, "{shown}");
            assert!(shown.contains("\u{1b}[38;5;11mexpires"), "yellow: {shown:?}");
            let widest = plain(&shown).lines().map(str::len).max().unwrap();
            assert!(widest <= usize::from(columns), "{columns}: {shown}");
            assert_eq!(shown.lines().count() == 2, columns == 200, "{shown}");
        }
        let piped = root.prints(&["ca", "list"]);
        assert!(piped.contains(subject) && !piped.contains('\u{1b}'), "{piped}");
    });
}

/// Without colours.
fn plain(shown: &str) -> String {
    let mut parts = shown.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

const SCRIPT: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
order = json.loads(sys.stdin.read())
parent, child = pty.openpty()
fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, order["columns"], 0, 0))
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)
    for stream in range(3):
        os.dup2(child, stream)
    os.chdir(order["home"])
    environment = {"HOME": order["home"], "FASTPKI_SERVER": order["server"], "TERM": "xterm-256color"}
    os.execve(order["program"], [order["program"]] + order["arguments"], environment)
os.close(child)
shown, fresh, typed, end = b"", b"", list(order["typed"]), time.monotonic() + 60
while time.monotonic() < end:
    ready, _, _ = select.select([parent], [], [], 0.5)
    if not ready:
        # A pause after a question.
        if typed and (b": " in fresh or b"[y/N]" in fresh):
            os.write(parent, (typed.pop(0) + "\n").encode())
            fresh = b""
        continue
    try:
        read = os.read(parent, 65536)
    except OSError:
        break
    if not read:
        break
    shown += read
    fresh += read
_, status = os.waitpid(pid, 0)
print(json.dumps({"shown": shown.decode(), "status": os.waitstatus_to_exitcode(status)}))
"#;
