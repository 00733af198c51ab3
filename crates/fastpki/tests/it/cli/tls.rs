//! A server under a private CA: one that FastPKI itself made.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use fastpki_testing::{Database, Kind, required};

use super::{Person, serve};

#[test]
fn server_under_a_private_ca_is_trusted_with_its_root_alone() {
    crate::program::run(async {
        let (_server, root) = serve(Database::create(Kind::Sqlite).await);
        root.create_cas();
        let create = [
            "cert",
            "create",
            "-c",
            "2",
            "--cn",
            "pki",
            "--san-ip",
            "127.0.0.1",
            "--key-type",
            "ec",
            "--out-dir",
            ".",
        ];
        root.run(&create).succeeded();
        root.run(&["export", "bundle", "-o", "roots.pem"]).succeeded();
        let (tls, url) = TlsServer::start(&root);

        let words = root.refused(&["ca", "list", "--server", &url]);
        assert!(words.contains("--ca-file") && words.contains("FASTPKI_CA_FILE"), "{words}");
        assert_eq!(
            root.prints(&["ca", "list", "--server", &url, "--ca-file", "roots.pem", "-o", "json"]),
            "[]\n"
        );
        let mut by_variable = root.command(&["ca", "list", "-o", "json"]);
        by_variable.env("FASTPKI_SERVER", &url).env("FASTPKI_CA_FILE", "roots.pem");
        assert_eq!(super::ran(&mut by_variable).succeeded().stdout, "[]\n");

        let by_name = url.replace("127.0.0.1", "localhost");
        let words = root.refused(&["ca", "list", "--server", &by_name, "--ca-file", "roots.pem"]);
        assert!(words.contains("not valid for name"), "{words}");
        let words = root.refused(&["ca", "list", "--server", &url, "--ca-file", "pki.key"]);
        assert!(words.contains("pki.key") && words.contains("no certificate"), "{words}");
        let words = root.refused(&["ca", "list", "--server", &root.server.replace("http:", "https:")]);
        assert!(words.contains("plain HTTP"), "{words}");
        drop(tls);
    });
}

/// Python, answering `[]` to everything.
struct TlsServer(Child);

impl TlsServer {
    fn start(person: &Person) -> (Self, String) {
        let mut python = Command::new(required("FASTPKI_TEST_PYTHON"));
        python.args(["-c", SCRIPT]).current_dir(person.folder()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = python.spawn().expect("Python starts");
        let mut port = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut port).expect("a line");
        let url = format!("https://127.0.0.1:{}", port.trim_end());
        (Self(child), url)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // Both fail where it has ended.
        let _ = (self.0.kill(), self.0.wait());
    }
}

const SCRIPT: &str = r#"
import http.server, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("fullchain.pem", "pki.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;
