//! The server that speaks TLS itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Certificate;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{PROGRAM, SECRET_KEY, Server, python, run, text};

#[test]
fn clients_that_trust_the_root_are_served_and_others_are_not() {
    let (folder, server) = serve();
    let answer = run(client(&folder).get(format!("{}/healthz", server.base_url)).send());
    assert!(answer.expect("an answer").status().is_success());
    let stranger = run(reqwest::Client::new().get(format!("{}/healthz", server.base_url)).send());
    assert!(stranger.is_err());
    let plain = server.base_url.replace("https:", "http:");
    assert!(run(reqwest::get(format!("{plain}/healthz"))).is_err());
    let health = Command::new(PROGRAM)
        .arg("healthcheck")
        .env_clear()
        .envs(settings(&folder))
        .env("FASTPKI_LISTEN", server.base_url.trim_start_matches("https://"))
        .current_dir(folder.path())
        .output()
        .expect("the program starts");
    assert_eq!(text(&health.stdout), "ready\n", "{health:?}");
    server.stop();
}

#[test]
fn openssl_gets_the_chain_and_http_1_1_by_tls_1_2_and_1_3() {
    let (folder, server) = serve();
    for version in ["-tls1_2", "-tls1_3"] {
        let said = s_client(&folder, &server, &[version, "-alpn", "h2,http/1.1", "-showcerts"]);
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("ALPN protocol: http/1.1"), "{said}");
        assert_eq!(said.matches("-----BEGIN CERTIFICATE-----").count(), 2, "{said}");
    }
    let old = s_client(&folder, &server, &["-tls1_1"]);
    assert!(!old.contains("Verify return code: 0 (ok)\n---\nSSL handshake has read"), "{old}");
    assert!(old.contains("Cipher is (NONE)"), "{old}");
    server.stop();
}

#[test]
fn client_that_closes_its_half_gets_its_answer() {
    let (folder, server) = serve();
    let address = server.base_url.trim_start_matches("https://");
    let answer = python(HALF_CLOSED, &format!("{address}\n{}\n", folder.path().join("root.pem").display()));
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    server.stop();
}

/// Asks something that takes a while, and closes its half of the connection.
const HALF_CLOSED: &str = "
import os, socket, ssl
address, root = input(), input()
host, port = address.split(':')
context = ssl.create_default_context(cafile=root)
tls = context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)
form = b'username=nobody&password=nothing'
tls.sendall(b'POST /api/v1/auth/token HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: %d\\r\\n\\r\\n%s' % (len(form), form))
socket.socket(fileno=os.dup(tls.fileno())).shutdown(socket.SHUT_WR)
print(tls.recv(1000).decode())
";

#[test]
fn addresses_in_certificates_are_https() {
    let (folder, server) = serve();
    let certificate = run(async {
        let http = client(&folder);
        let api = format!("{}/api/v1", server.base_url);
        let user = json!({"username": "root", "email": "root@example.com", "password": "correct horse", "role": "superuser"});
        http.post(format!("{api}/users/")).json(&user).send().await.expect("an answer");
        let form = [("username", "root"), ("password", "correct horse")];
        let token: Value = http
            .post(format!("{api}/auth/token"))
            .form(&form)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let ca = json!({"name": "Root", "subject_dn": "CN=Root", "key_type": "ec"});
        http.post(format!("{api}/cas/")).bearer_auth(&token).json(&ca).send().await.expect("an answer");
        let wanted = json!({"common_name": "www.example.com", "subject_dn": "CN=www.example.com",
                            "certificate_type": "server", "key_type": "ec"});
        let issued: Value = http
            .post(format!("{api}/certificates/?ca_id=1"))
            .bearer_auth(&token)
            .json(&wanted)
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        issued["certificate"].as_str().expect("a certificate").to_owned()
    });
    fs::write(folder.path().join("issued.pem"), certificate).expect("a file");
    let shown = sh(&folder, "openssl x509 -in issued.pem -noout -text");
    let crl = format!("URI:{}/crl/root-1", server.base_url);
    assert!(crl.starts_with("URI:https://") && shown.contains(&crl), "{shown}");
    server.stop();
}

#[test]
fn changed_files_are_read_again_by_themselves() {
    let (folder, server) = serve();
    let before = serial(&folder, &server);
    issue(&folder, "IP:127.0.0.1");
    let begun = Instant::now();
    while serial(&folder, &server) == before {
        assert!(begun.elapsed() < Duration::from_secs(20), "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(200));
    }
    let log = server.stop();
    assert!(log.iter().any(|line| line.contains("were read again")), "{log:#?}");
}

#[test]
fn files_are_read_again_on_sighup_and_bad_ones_change_nothing() {
    let (folder, server) = serve();
    let before = serial(&folder, &server);
    let key = fs::read(folder.path().join("leaf.key")).expect("a key");
    // Another key: the two do not go together.
    sh(&folder, "openssl ecparam -name prime256v1 -genkey -noout -out leaf.key; chmod 600 leaf.key");
    reload(&server, "stay as they were");
    assert_eq!(serial(&folder, &server), before);
    fs::write(folder.path().join("leaf.key"), key).expect("a key");
    reload(&server, "were read again");
    assert_eq!(serial(&folder, &server), before);
    issue(&folder, "IP:127.0.0.1");
    reload(&server, "were read again");
    assert_ne!(serial(&folder, &server), before);
    let log = server.stop();
    let said = log.iter().find(|line| line.contains("stay as they were")).expect("a line");
    assert!(said.contains("does not go with"), "{said}");
}

#[test]
fn server_does_not_start_with_files_it_should_not_use() {
    let folder = files();
    let refusal = |more: &[(&str, &str)]| {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").env_clear().envs(settings(&folder)).envs(more.iter().copied());
        let Output { status, stderr, .. } = command.current_dir(folder.path()).output().expect("it ends");
        assert_eq!(status.code(), Some(1));
        text(&stderr)
    };
    let said = refusal(&[("FASTPKI_TLS_CERT_FILE", "")]);
    assert!(said.contains("FASTPKI_TLS_KEY_FILE: set without FASTPKI_TLS_CERT_FILE"), "{said}");
    let said = refusal(&[("FASTPKI_TLS_CERT_FILE", "leaf.key")]);
    assert!(said.contains("FASTPKI_TLS_CERT_FILE: leaf.key holds no certificate"), "{said}");
    let said = refusal(&[("FASTPKI_TLS_KEY_FILE", "chain.pem")]);
    assert!(said.contains("chain.pem may be read, or changed, by others"), "{said}");
    let key = folder.path().join("leaf.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).expect("a file");
    let said = refusal(&[]);
    assert!(
        said.contains("FASTPKI_TLS_KEY_FILE: leaf.key may be read") && said.contains("chmod 600"),
        "{said}"
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a file");
    fs::copy(folder.path().join("root.key"), &key).expect("a copy");
    let said = refusal(&[]);
    assert!(said.contains("leaf.key does not go with chain.pem"), "{said}");
}

fn serve() -> (Arc<TempDir>, Server) {
    let folder = files();
    let server = Server::start_in(Arc::clone(&folder), &settings(&folder));
    assert!(server.base_url.starts_with("https://"), "{}", server.base_url);
    (folder, server)
}

/// A folder with a root, a certificate that it issued for this machine, and its key.
fn files() -> Arc<TempDir> {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    sh(
        &folder,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Root -keyout root.key -out root.pem -days 30",
    );
    issue(&folder, "IP:127.0.0.1");
    folder
}

/// Issues a certificate anew, with a new key.
fn issue(folder: &TempDir, san: &str) {
    sh(
        folder,
        &format!(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=leaf -keyout new.key -out leaf.csr &&
             echo subjectAltName={san} > san &&
             openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -extfile san -days 7 -out leaf.pem &&
             cat leaf.pem root.pem > new.pem && chmod 600 new.key && mv new.key leaf.key && mv new.pem chain.pem"
        ),
    );
}

fn settings(_: &TempDir) -> [(&'static str, &'static str); 3] {
    [("SECRET_KEY", SECRET_KEY), ("FASTPKI_TLS_CERT_FILE", "chain.pem"), ("FASTPKI_TLS_KEY_FILE", "leaf.key")]
}

fn client(folder: &TempDir) -> reqwest::Client {
    let root = fs::read(folder.path().join("root.pem")).expect("a root");
    let root = Certificate::from_pem(&root).expect("a certificate");
    reqwest::Client::builder().tls_certs_only([root]).build().expect("a client")
}

fn reload(server: &Server, expected: &str) {
    let before = server.lines_with(expected);
    server.tell_to_reload();
    let begun = Instant::now();
    while server.lines_with(expected) == before {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", server.last_line());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The serial number of the certificate that the server shows.
fn serial(folder: &TempDir, server: &Server) -> String {
    let shown = s_client(folder, server, &[]);
    fs::write(folder.path().join("shown"), shown).expect("a file");
    sh(folder, "openssl x509 -in shown -noout -serial")
}

fn s_client(folder: &TempDir, server: &Server, arguments: &[&str]) -> String {
    let address = server.base_url.trim_start_matches("https://");
    let output = Command::new("openssl")
        .args(["s_client", "-connect", address, "-CAfile", "root.pem", "-verify_ip", "127.0.0.1"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl");
    text(&output.stdout)
}

fn sh(folder: &TempDir, script: &str) -> String {
    let run = |folder: &Path| {
        Command::new("bash").args(["-ec", script]).current_dir(folder).output().expect("a shell")
    };
    let output = run(folder.path());
    assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    text(&output.stdout)
}
