//! `fastpki import`, of what Easy-RSA and `openssl ca` themselves have made.

use std::{path::Path, process::Command};

use fastpki_testing::{Database, Kind, on_both_databases};
use serde_json::Value;

use super::{
    Person, serve,
    stub::{Reply, Stub},
    terminal::at_terminal,
};
use crate::program::{Ran, text};

on_both_databases! {
    ca_of_easy_rsa_goes_on_with_its_sub_ca,
}

/// A root and a sub-CA of Easy-RSA in `root` and `sub`, which issued six certificates and revoked two.
const EASY_RSA: &str = r#"
root() { EASYRSA_PKI=$PWD/root/pki easyrsa "$@"; }
sub() { EASYRSA_PKI=$PWD/sub/pki easyrsa "$@"; }
mkdir root sub
root init-pki; EASYRSA_REQ_CN='Old Root' root build-ca nopass
sub init-pki; EASYRSA_REQ_CN='Old Sub' sub build-ca nopass subca
root import-req sub/pki/reqs/ca.req sub; root sign-req ca sub; cp root/pki/issued/sub.crt sub/pki/ca.crt
root build-server-full www.example.com nopass; root build-client-full alice nopass
for name in mail.example.com vpn.example.com; do sub --subject-alt-name=DNS:$name build-server-full $name nopass; done
for name in bob carol; do sub build-client-full $name nopass; done
root revoke alice keyCompromise; sub revoke vpn.example.com superseded
root gen-crl; sub gen-crl
mkdir issued; cp {root,sub}/pki/issued/*.crt {root,sub}/pki/revoked/certs_by_serial/*.crt issued; rm issued/sub.crt
"#;

/// Prints what OpenSSL says of each issued certificate, in a line: `alice: certificate revoked`.
const VERDICTS: &str = r#"
for file in issued/*.crt; do
    name=$(openssl x509 -in $file -noout -subject -nameopt multiline | sed -n 's/.*commonName *= //p')
    words=$(openssl verify -crl_check_all -CAfile root.pem -untrusted chain.pem -CRLfile crls.pem $file 2>&1) || true
    echo "$name: $(grep -o 'certificate revoked\|: OK$' <<< "$words" || echo "$words")"
done | sort
"#;

/// Runs a script in somebody's folder; what it prints.
fn sh(folder: &Path, script: &str) -> String {
    let script = format!("easyrsa() {{ /usr/share/easy-rsa/easyrsa \"$@\"; }} > easy-rsa.log 2>&1\n{script}");
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs([("EASYRSA", "/usr/share/easy-rsa"), ("EASYRSA_BATCH", "1"), ("EASYRSA_ALGO", "ec")])
        .envs([("EASYRSA_CURVE", "prime256v1"), ("EASYRSA_KEY_SIZE", "2048"), ("EASYRSA_DIGEST", "sha256")])
        .current_dir(folder)
        .output()
        .expect("bash");
    let log = || std::fs::read_to_string(folder.join("easy-rsa.log"));
    assert!(output.status.success(), "{script}: {} {:?}", text(&output.stderr), log());
    text(&output.stdout)
}

/// What docs/importing.md imports.
pub(super) fn old_folders(folder: &Path) {
    sh(folder, &format!("{EASY_RSA}\nmv root easy-rsa; mv sub sub-ca"));
    sh(folder, OPENSSL_CA);
}

fn sqlite(test: impl AsyncFnOnce(Database)) {
    crate::program::run(async {
        let database = Database::create(Kind::Sqlite).await;
        test(database).await;
    });
}

/// No key and no passphrase is printed.
fn discreet(ran: Ran) -> Ran {
    for secret in ["PRIVATE KEY", "open sesame"] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:?}");
    }
    ran
}

async fn counts(database: &Database) -> Vec<String> {
    let mut counts = Vec::new();
    for table in ["certificate_authorities", "certificates", "crl_entries", "fastpki_serials", "audit_logs"] {
        counts.extend(database.peek(&format!("SELECT count(*) FROM {table}")).await);
    }
    counts
}

/// The CRL that the server publishes, in words.
async fn crl(person: &Person, name: &str) -> String {
    let url = format!("{}/crl/{name}.pem", person.server);
    let pem = reqwest::get(url).await.expect("an answer").text().await.expect("a text");
    std::fs::write(person.folder().join("one.crl"), &pem).unwrap();
    sh(person.folder(), "openssl crl -in one.crl -noout -text; cat one.crl >> crls.pem")
}

async fn ca_of_easy_rsa_goes_on_with_its_sub_ca(database: Database) {
    let (_server, root) = serve(database.clone());
    let folder = root.folder();
    sh(folder, EASY_RSA);
    sh(
        folder,
        "cp root/pki/ca.crt root.pem; cp sub/pki/ca.crt chain.pem; cat {root,sub}/pki/crl.pem > crls.pem",
    );
    let before = sh(folder, VERDICTS);
    let expected = "alice: certificate revoked\nbob: : OK\ncarol: : OK\nmail.example.com: : OK\n\
        vpn.example.com: certificate revoked\nwww.example.com: : OK\n";
    assert_eq!(before, expected);

    // The root first, then what hangs below it.
    let alone = discreet(root.run(&["import", "easy-rsa", "sub", "--dry-run"])).succeeded();
    assert!(alone.stdout.contains("import that first") && alone.stdout.contains("CN=Old Root"), "{alone:?}");
    let top = root.json(&["import", "easy-rsa", "root", "--yes"]);
    assert_eq!([&top["certificates"], &top["revocations"]], [&Value::from(3), &Value::from(1)]);
    let told = discreet(root.run(&["import", "easy-rsa", "sub", "--dry-run"])).succeeded();
    assert!(told.stdout.contains("below Old Root") && !told.stdout.contains("Notes"), "{told:?}");
    let sub = root.json(&["import", "easy-rsa", "sub", "--yes", "--name", "VPN"]);
    assert_eq!((&sub["ca"]["parent_ca_id"], &sub["ca"]["name"]), (&top["ca"]["id"], &"VPN".into()));
    let (top, id) = (top["ca"]["id"].to_string(), sub["ca"]["id"].to_string());
    assert_eq!([&sub["certificates"], &sub["revocations"]], [&Value::from(4), &Value::from(1)]);

    // What we say of the certificates is what Easy-RSA said.
    std::fs::remove_file(folder.join("crls.pem")).unwrap();
    let of_root = crl(&root, &format!("old-root-{top}")).await;
    let of_sub = crl(&root, &format!("vpn-{id}")).await;
    assert!(of_root.contains("Key Compromise") && of_sub.contains("Superseded"), "{of_root}{of_sub}");
    root.run(&["export", "ca-cert", &top, "-o", "root.pem"]).succeeded();
    let mail = root.json(&["cert", "list", "--cn", "mail.example.com"]);
    let mail = mail[0]["id"].to_string();
    root.run(&["export", "cert-chain", &mail, "-o", "chain.pem"]).succeeded();
    assert_eq!(sh(folder, VERDICTS), before);
    let found = root.json(&["cert", "find", "sub/pki/issued/bob.crt"]);
    assert_eq!(found[0]["common_name"], "bob");

    // It issues and renews.
    sh(folder, "rm issued/*");
    root.run(&[
        "cert",
        "create",
        "--ca",
        &id,
        "--cn",
        "new.example.com",
        "--key-type",
        "ec",
        "--out-dir",
        "new",
    ])
    .succeeded();
    root.run(&["cert", "renew", &mail, "--out-dir", "renewed"]).succeeded();
    sh(folder, "cp new/new.example.com.crt renewed/mail.example.com.crt issued");
    assert_eq!(sh(folder, VERDICTS), "mail.example.com: : OK\nnew.example.com: : OK\n");

    // Again: nothing changes.
    let before = counts(&database).await;
    for which in ["root", "sub"] {
        let again = root.run(&["import", "easy-rsa", &format!("{which}/pki")]).succeeded();
        assert!(again.stderr.contains("nothing has changed"), "{again:?}");
    }
    assert_eq!(counts(&database).await, before);
    // What the old program did since is added.
    sh(folder, &format!("{EASY_RSA_ROOT} root build-client-full dave nopass; root revoke dave"));
    let words = root.refused_after(&["import", "easy-rsa", "root"]);
    assert!(words.contains("1 certificates and 1 revocations? There is nobody to ask: add --yes"), "{words}");
    let more = root.json(&["import", "easy-rsa", "root", "--yes"]);
    assert_eq!(
        [&more["created"], &more["certificates"], &more["revocations"]],
        [&Value::from(false), &Value::from(1), &Value::from(1)]
    );
}

const EASY_RSA_ROOT: &str = "root() { EASYRSA_PKI=$PWD/root/pki easyrsa \"$@\"; }\n";

impl Person {
    /// The words on standard error of a command that fails after it has printed something.
    fn refused_after(&self, arguments: &[&str]) -> String {
        let ran = discreet(self.run(arguments));
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.stderr
    }
}

/// An RSA root whose key, and that of one of its two certificates, is encrypted.
const LOCKED: &str = r#"
export EASYRSA_ALGO=rsa EASYRSA_PKI=$PWD/pki
printf 'open sesame\nopen sesame\n' > passphrase; echo another > wrong
export EASYRSA_PASSIN=file:passphrase EASYRSA_PASSOUT=file:passphrase
easyrsa init-pki; EASYRSA_REQ_CN='Locked Root' easyrsa build-ca; easyrsa build-client-full alice; easyrsa build-client-full bob nopass
grep -q ENCRYPTED pki/private/ca.key
grep -q ENCRYPTED pki/private/alice.key
"#;

#[test]
fn encrypted_keys_are_opened_with_the_passphrase() {
    sqlite(async |database| {
        let (_server, root) = serve(database.clone());
        sh(root.folder(), LOCKED);
        let empty = counts(&database).await;
        let import = ["import", "easy-rsa", ".", "--yes"];
        let nobody = root.refused_after(&import);
        assert!(nobody.contains("private/ca.key") && nobody.contains("--passphrase-file"), "{nobody}");
        let wrong = root.refused_after(&[&import[..], &["--passphrase-file", "wrong"]].concat());
        assert!(wrong.contains("private/ca.key: wrong password"), "{wrong}");
        assert_eq!(counts(&database).await, empty);
        let report = root.json(&[&import[..], &["--passphrase-file", "passphrase", "--dry-run"]].concat());
        assert_eq!(report["certificates"], 2);
        discreet(root.run(&[&import[..], &["--passphrase-file", "passphrase", "--no-keys"]].concat()))
            .succeeded();
        let keys = "SELECT count(*) FROM certificates WHERE private_key IS NOT NULL AND private_key <> ''";
        assert_eq!(database.peek(keys).await, ["0"]);
        root.run(&["ca", "delete", "1", "--force"]).succeeded();
        root.run(&[&import[..], &["--passphrase-file", "passphrase"]].concat()).succeeded();
        assert_eq!(database.peek(keys).await, ["2"]);
        let key = root.prints(&["cert", "private-key", "3"]);
        assert!(key.starts_with("-----BEGIN PRIVATE KEY"), "{key}");
    });
}

#[test]
fn passphrase_is_asked_for_again_and_then_the_import() {
    sqlite(async |database| {
        let (_server, root) = serve(database);
        sh(root.folder(), LOCKED);
        let import = ["import", "easy-rsa", "."];
        let (shown, status) = at_terminal(&root, 160, &import, &["wrong", "mistaken", "open sesame", "n"]);
        assert!(status == 1 && shown.contains("nothing was done"), "{shown}");
        assert_eq!(shown.matches("this passphrase does not open it").count(), 2, "{shown}");
        assert!(!shown.contains("sesame") && !shown.contains("mistaken"), "{shown}");
        let (shown, status) = at_terminal(&root, 160, &import, &["a", "b", "c"]);
        assert!(status == 1 && shown.contains("wrong password"), "{shown}");
        let (shown, status) = at_terminal(&root, 160, &import, &["open sesame", "y"]);
        assert!(status == 0 && shown.contains("imported as CA 1"), "{shown}");
        assert_eq!(root.json(&["cert", "list"]).as_array().unwrap().len(), 2);
    });
}

/// A folder of `openssl ca`: a root, two certificates, one revoked, and a CRL with the number 0x2A.
const OPENSSL_CA: &str = r#"
mkdir -p demoCA/{newcerts,private,certs,crl}; : > demoCA/index.txt; echo 1000 > demoCA/serial; echo 2A > demoCA/crlnumber
cat > ca.cnf <<'END'
[ca]
default_ca = it
[it]
dir = demoCA
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir/newcerts
certificate = $dir/cacert.pem
private_key = $dir/private/cakey.pem
default_md = sha256
default_days = 90
default_crl_days = 30
policy = any
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
END
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=OpenSSL Root' -days 900 \
        -keyout demoCA/private/cakey.pem -out demoCA/cacert.pem
    for name in one two; do
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name.example.com \
            -keyout demoCA/private/$name.pem -out $name.csr
        openssl ca -batch -config ca.cnf -extensions leaf -in $name.csr -out demoCA/certs/$name.pem
    done
    openssl ca -config ca.cnf -revoke demoCA/certs/two.pem -crl_reason cessationOfOperation
    openssl ca -config ca.cnf -gencrl -out demoCA/crl/ca.pem
} > openssl.log 2>&1
"#;

#[test]
fn ca_of_openssl_goes_on_and_so_do_the_numbers_of_its_crls() {
    sqlite(async |database| {
        let (_server, root) = serve(database.clone());
        sh(root.folder(), OPENSSL_CA);
        let told = discreet(root.run(&["import", "openssl-ca", ".", "--yes"])).succeeded();
        assert!(told.stdout.contains("Number of the next CRL           43"), "{told:?}");
        let list = root.json(&["cert", "list"]);
        let seen: Vec<_> = (list.as_array().unwrap().iter())
            .map(|it| {
                format!("{} {} {}", it["common_name"], it["certificate_type"], it["status"]).replace('"', "")
            })
            .collect();
        assert_eq!(seen, ["one.example.com server valid", "two.example.com server revoked"]);
        let ours = crl(&root, "openssl-root-1").await;
        assert!(ours.contains("CRL Number: \n                43"), "{ours}");
        assert!(ours.contains("Cessation Of Operation"), "{ours}");
        root.run(&["cert", "renew", "1", "--out-dir", "renewed"]).succeeded();
        sh(
            root.folder(),
            "openssl verify -crl_check -CAfile demoCA/cacert.pem -CRLfile crls.pem renewed/one.example.com.crt",
        );
    });
}

#[test]
fn certificate_and_key_alone_make_a_ca() {
    sqlite(async |database| {
        let (_server, root) = serve(database.clone());
        sh(root.folder(), OPENSSL_CA);
        let ca = ["import", "ca", "--cert", "demoCA/cacert.pem", "--key"];
        let blocked = root.refused_after(&[&ca[..], &["demoCA/private/one.pem", "--yes"]].concat());
        assert!(blocked.contains("nothing was sent"), "{blocked}");
        assert_eq!(counts(&database).await[0], "0");
        let told = root.run(&[&ca[..], &["demoCA/private/cakey.pem", "--dry-run"]].concat()).succeeded();
        assert!(told.stdout.contains("nothing counts as revoked"), "{told:?}");
        let more =
            ["demoCA/private/cakey.pem", "--certs", "demoCA/newcerts", "--crl", "demoCA/crl/ca.pem", "--yes"];
        let done = root.json(&[&ca[..], &more].concat());
        assert_eq!([&done["certificates"], &done["revocations"]], [&Value::from(2), &Value::from(1)]);
    });
}

#[test]
fn what_does_not_belong_is_named_and_not_sent() {
    sqlite(async |database| {
        let (_server, root) = serve(database);
        sh(root.folder(), OPENSSL_CA);
        sh(
            root.folder(),
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=foreign -keyout \
             demoCA/private/foreign.pem -out demoCA/certs/foreign.pem 2> openssl.log; echo hello > demoCA/certs/text.pem",
        );
        let told = discreet(root.run(&["import", "openssl-ca", "demoCA", "--yes"])).succeeded();
        let left_out = told.stdout.split("Left out:\n").nth(1).expect("something is");
        for (name, words) in [
            ("certs/foreign.pem", "this CA did not issue it"),
            ("certs/text.pem", "malformed certificate"),
            ("private/foreign.pem", "belongs to no certificate"),
        ] {
            let line = left_out.lines().find(|line| line.contains(name)).expect(name);
            assert!(line.contains(words), "{line}");
        }
        assert_eq!(root.json(&["cert", "list"]).as_array().unwrap().len(), 2);
    });
}

#[test]
fn revocation_of_tomorrow_counts_as_one_of_now() {
    sqlite(async |database| {
        let (_server, root) = serve(database);
        sh(root.folder(), OPENSSL_CA);
        sh(
            root.folder(),
            r"printf 'R\t400101000000Z\t390101000000Z\tAB\tunknown\t/CN=x\n' >> demoCA/index.txt",
        );
        let told = root.run(&["import", "openssl-ca", ".", "--yes"]).succeeded();
        assert!(told.stdout.contains("serial number ab: it was revoked at 2039-01-01T00:00:00Z"), "{told:?}");
        assert!(crl(&root, "openssl-root-1").await.contains("Serial Number: AB"));
    });
}

#[test]
fn folders_that_are_none_are_told_from_others() {
    let person = Person::new("http://127.0.0.1:9");
    std::fs::create_dir(person.folder().join("empty")).unwrap();
    let words = person.refused(&["import", "easy-rsa", "nowhere"]);
    assert!(words.contains("nowhere: there is no such folder"), "{words}");
    let words = person.refused(&["import", "easy-rsa", "empty"]);
    assert!(
        words.contains("there is no ca.crt: is this a CA of Easy-RSA 3?") && words.contains("--cert"),
        "{words}"
    );
    let words = person.refused(&["import", "openssl-ca", "empty"]);
    assert!(words.contains("cacert.pem"), "{words}");
}

#[test]
fn long_records_take_several_requests() {
    sqlite(async |database| {
        let (_server, root) = serve(database.clone());
        sh(root.folder(), OPENSSL_CA);
        let script = r#"for ((i = 65536; i < 115600; i++)); do
            printf 'R\t300101000000Z\t260101000000Z,superseded\t%X\tunknown\t/CN=%d\n' $i $i; done >> demoCA/index.txt"#;
        sh(root.folder(), script);
        let told = root.run(&["import", "openssl-ca", ".", "--yes"]).succeeded();
        assert!(told.stderr.contains("this takes 2 requests"), "{}", told.stderr);
        assert_eq!(database.peek("SELECT count(*) FROM crl_entries").await, ["50065"]);
        let log = "SELECT count(*) FROM audit_logs WHERE own_action = 'CA_IMPORT'";
        assert_eq!(database.peek(log).await, ["2"]);
        let again = root.json(&["import", "openssl-ca", "."]);
        assert_eq!(
            [&again["revocations"], &again["revocations_present"]],
            [&Value::from(0), &Value::from(50065)]
        );
    });
}

#[test]
fn older_server_is_told_from_one_that_imports() {
    crate::program::run(async {
        let stub = Stub::start(|_| Reply::json(405, r#"{"detail":"Method Not Allowed"}"#));
        let person = Person::new(&stub.url);
        sh(person.folder(), OPENSSL_CA);
        let words = person.refused_after(&["import", "openssl-ca", ".", "--yes"]);
        assert!(words.contains("this server imports no CAs"), "{words}");
    });
}
