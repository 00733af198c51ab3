use super::*;
use crate::{
    Certificate, CrlBuilder, CsrRequest, PrivateKey, Profile, Reason, RevokedEntry, Serial, pem, testing::*,
};

fn seen(bytes: impl AsRef<[u8]>) -> Vec<Object> {
    inspect(bytes.as_ref(), None, now()).unwrap()
}

fn only(bytes: impl AsRef<[u8]>) -> Object {
    let mut objects = seen(bytes);
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.remove(0)
}

fn leaf(profile: Profile) -> Certificate {
    let mut request = request(profile, "CN=www.example.com", &rsa());
    request.sans = if profile == Profile::Client { Vec::new() } else { vec![dns("www.example.com")] };
    request.prepare(&intermediate(None)).unwrap().sign(&p384()).unwrap()
}

fn crl(entries: &[(Serial, Reason)]) -> Vec<u8> {
    let mut builder = CrlBuilder::new(&intermediate(None), 7, now(), "2027-03-08T10:00:00Z".parse().unwrap());
    for (serial, reason) in entries {
        builder.push(&RevokedEntry { serial: *serial, revoked_at: now(), reason: *reason }).unwrap();
    }
    builder.finish().sign(&p384()).unwrap().into_der()
}

#[test]
fn certificate_is_described_in_plain_words() {
    let object = only(leaf(Profile::Server).to_pem());
    assert_eq!((object.kind, object.name.as_str()), (Kind::Certificate, "CN=www.example.com"));
    for (label, text) in [
        ("issuer", "CN=Test Intermediate,O=Example"),
        ("self-signed", "no"),
        ("serial number", &*"5a".repeat(20)),
        ("valid from", "2027-03-01 10:00:00 UTC (within a day)"),
        ("valid until", "2028-02-29 10:00:00 UTC (in 365 days)"),
        ("key", "RSA, 2048 bits"),
        ("alternative names", "DNS www.example.com"),
        ("certificate authority", "no"),
        ("purposes", "TLS server"),
        ("revocation list at", "http://pki.test/crl/x"),
        ("about the issuer at", "http://pki.test/ca/x.crt"),
        ("signature", "ECDSA with SHA-384"),
    ] {
        assert_eq!(object.field(label), Some(text));
    }
    let usage = object.fields.iter().find(|it| it.label == "key usage").unwrap();
    assert_eq!(usage.lines, ["may sign data and handshakes", "may encrypt keys"]);
    assert!(object.warnings.is_empty(), "{:?}", object.warnings);
}

#[test]
fn authority_is_described_with_what_may_be_below_it() {
    let said =
        |path_len| only(root(&p256(), path_len).to_pem()).field("certificate authority").unwrap().to_owned();
    assert_eq!(said(None), "yes, with any number of CAs below it");
    assert_eq!(said(Some(0)), "yes, with no CA below it");
    assert_eq!(said(Some(2)), "yes, with at most 2 CAs below it in a row");
    assert_eq!(only(root(&p256(), None).der()).field("self-signed"), Some("yes"));
    let constraints = only(data!("nc.cert.pem"));
    let constraints = constraints.fields.iter().find(|it| it.label == "name constraints").unwrap();
    assert!(constraints.lines.contains(&"only DNS names in \"example.com\"".to_owned()));
    assert!(constraints.lines.contains(&"never DNS names in \"bad.example.com\"".to_owned()));
}

#[test]
fn expiry_is_judged_at_the_time_given() {
    let warned = |at: &str| {
        let der = leaf(Profile::Server).der().to_vec();
        inspect(&der, None, at.parse().unwrap()).unwrap().remove(0).warnings.concat()
    };
    assert_eq!(warned("2028-02-29T10:00:00Z"), "it expires soon, on 2028-02-29 10:00:00 UTC");
    assert_eq!(warned("2028-02-29T10:00:01Z"), "it expired on 2028-02-29 10:00:00 UTC");
    assert_eq!(warned("2027-02-28T10:00:00Z"), "it is not valid before 2027-03-01 10:00:00 UTC");
}

/// The certificate with these octets in the place of others; its signature goes.
fn changed(certificate: &Certificate, from: &[u8], to: &[u8]) -> Object {
    let mut der = certificate.der().to_vec();
    let place = der.windows(from.len()).position(|it| it == from).unwrap();
    der.splice(place..place + from.len(), to.iter().copied());
    only(&der)
}

#[test]
fn certificates_that_are_refused_elsewhere_are_described() {
    let root = root(&p256(), None);
    let serial = [&[2, 20][..], &[0x5a; 20]].concat();
    let negative = [&[2, 20][..], &[0xff; 20]].concat();
    let object = changed(&root, &serial, &negative);
    assert!(object.warnings.iter().any(|it| it == "its serial number is negative"), "{object:?}");
    assert!(object.warnings.iter().any(|it| it.contains("its signature is not its own")), "{object:?}");
    assert_eq!(object.field("self-signed"), Some("no: it names itself as issuer, but another key signed it"));
    let zero = [&[2, 20][..], &[0; 20]].concat();
    assert!(changed(&root, &serial, &zero).warnings.len() > 1);

    // The key usage with its last but one bit alone: lists.
    let usage = [0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 3, 2, 1, 0x86];
    let lists_only = [0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 3, 2, 1, 0x02];
    let object = changed(&root, &usage, &lists_only);
    let expected = "it is a CA whose key usage does not let it sign certificates";
    assert!(object.warnings.iter().any(|it| it == expected), "{object:?}");

    // A key usage that is none, and an extension twice.
    let object = changed(&root, &usage, &[0x55, 0x1d, 0x0f, 1, 1, 0xff, 4, 4, 4, 2, 1, 0x86]);
    assert!(object.warnings.iter().any(|it| it == "its key usage cannot be read"), "{object:?}");
    let object = changed(&root, &usage[..3], &[0x55, 0x1d, 0x13]);
    assert!(object.warnings.iter().any(|it| it.contains("the extension 2.5.29.19 twice")), "{object:?}");
    let object = changed(&root, &usage[..3], &[0x55, 0x1d, 0x7f]);
    assert!(object.warnings.iter().any(|it| it.contains("the critical extension 2.5.29.127")), "{object:?}");
}

#[test]
fn text_of_others_cannot_move_the_terminal() {
    let object = changed(&root(&p256(), None), b"Test Root", b"\x1b[2Jxx\0xx");
    assert_eq!(object.field("issuer").unwrap(), r"CN=\1B[2Jxx\00xx,O=Example");
    let object =
        changed(&leaf(Profile::Server), b"\x82\x0fwww.example.com", b"\x82\x0f\x1b[31mexample.c\xff");
    assert_eq!(object.field("alternative names"), Some("DNS \\u{1b}[31mexample.c\u{fffd}"));
    assert_eq!(printable("a\u{202e}b"), r"a\u{202e}b");
}

#[test]
fn requests_are_described() {
    let object = only(data!("p256.csr.pem"));
    assert_eq!((object.kind, object.field("signed with its key")), (Kind::Csr, Some("yes")));
    let names = object.fields.iter().find(|it| it.label == "alternative names").unwrap();
    assert_eq!(names.lines[2..], ["IP 192.0.2.7", "IP 2001:db8::7", "e-mail alice@example.com"]);
    let object = only(data!("p256.uri.csr.pem"));
    assert!(object.fields.iter().any(|it| it.lines.contains(&"URI spiffe://example.com/a".to_owned())));
    let object = only(data!("p256.badsig.csr.pem"));
    assert!(object.warnings.iter().any(|it| it.contains("its signature does not verify")), "{object:?}");
    let object = only(data!("rsa1024.csr.pem"));
    assert_eq!(object.field("key"), Some("RSA, 1024 bits"));
    assert!(object.warnings[0].contains("its key is weak"));
    assert_eq!(only(data!("k256.csr.pem")).field("key"), Some("EC, secp256k1"));
    let object = only(data!("rsa2048.sha1.csr.pem"));
    assert!(object.warnings.iter().any(|it| it.contains("broken hash")), "{object:?}");
}

#[test]
fn lists_are_described() {
    let serial = |text: &str| Serial::from_hex(text).unwrap();
    let object = only(crl(&[
        (serial("ff"), Reason::KeyCompromise),
        (serial("1"), Reason::KeyCompromise),
        (serial("2"), Reason::Superseded),
    ]));
    assert_eq!((object.kind, object.field("number")), (Kind::Crl, Some("7")));
    assert_eq!(object.field("next one due"), Some("2027-03-08 10:00:00 UTC (in 7 days)"));
    assert_eq!(object.field("revoked certificates"), Some("3"));
    let reasons = object.fields.iter().find(|it| it.label == "reasons").unwrap();
    assert_eq!(reasons.lines, ["2 × key compromise", "1 × superseded"]);
    assert_eq!(object.field("entries"), Some("ff, on 2027-03-01 10:00:00 UTC, key compromise"));
    assert!(object.warnings.is_empty());

    let late = inspect(&crl(&[]), None, "2027-03-09T10:00:00Z".parse().unwrap()).unwrap().remove(0);
    assert!(late.warnings[0].contains("out of date since 2027-03-08"));
    let many: Vec<_> = (1..=30).map(|it| (serial(&format!("{it:x}")), Reason::Superseded)).collect();
    let object = only(crl(&many));
    let entries = object.fields.iter().find(|it| it.label == "entries").unwrap();
    assert_eq!((entries.lines.len(), entries.lines[20].as_str()), (21, "and 10 more"));
}

#[test]
fn keys_are_described_whether_they_sign_or_not() {
    for (pem, words, warnings) in [
        (data!("p256.pkcs8.pem"), "EC, P-256", 1),
        (data!("rsa2048.pkcs1.pem"), "RSA, 2048 bits", 1),
        (data!("ed25519.pkcs8.pem"), "Ed25519", 1),
        (data!("rsa1024.pkcs8.pem"), "RSA, 1024 bits", 3),
        (data!("p521.sec1.pem"), "EC, P-521", 2),
    ] {
        let object = only(pem);
        assert_eq!(
            (object.kind, object.field("key"), object.field("encrypted")),
            (Kind::PrivateKey, Some(words), Some("no"))
        );
        assert_eq!(object.warnings.len(), warnings, "{object:?}");
    }
    let object = only(data!("p256.encrypted.pem"));
    assert_eq!(
        (object.field("encrypted"), object.locked.clone()),
        (Some("yes"), Some(Error::PasswordNeeded { what: "private key" }))
    );
    let object = inspect(data!("p256.encrypted.pem").as_bytes(), Some("x"), now()).unwrap().remove(0);
    assert_eq!(object.locked, Some(Error::WrongPassword { what: "private key" }));
    let public = pem::encode("PUBLIC KEY", p256().public_key().spki_der());
    assert_eq!((only(&public).kind, only(public).name.as_str()), (Kind::PublicKey, "EC, P-256"));
}

#[test]
fn pkcs12_files_are_opened_with_the_password() {
    let (certificate, key) = (leaf(Profile::Server), rsa());
    let bundle = pkcs12::Bundle {
        certificate: &certificate,
        key: &key,
        chain: &[intermediate(None)],
        friendly_name: Some("www"),
    };
    let file = pkcs12::seal(&bundle, "sesame", &[1; pkcs12::RANDOMNESS_LEN]).unwrap();
    let locked = |password| {
        let objects = inspect(&file, password, now()).unwrap();
        assert_eq!((objects.len(), objects[0].kind), (1, Kind::Pkcs12));
        objects[0].locked.clone()
    };
    assert_eq!(locked(None), Some(Error::PasswordNeeded { what: "PKCS#12 file" }));
    assert_eq!(locked(Some("x")), Some(Error::WrongPassword { what: "PKCS#12 file" }));
    let objects = inspect(&file, Some("sesame"), now()).unwrap();
    let kinds: Vec<_> = objects.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Kind::Pkcs12, Kind::PrivateKey, Kind::Certificate, Kind::Certificate]);
    assert_eq!(objects[0].field("friendly name"), Some("www"));
    let fits = fits(&objects);
    assert!(fits.iter().all(|it| it.verdict != Verdict::DoesNotFit), "{fits:?}");
}

#[test]
fn der_is_told_apart_by_its_shape() {
    let csr = CsrRequest { subject: name("CN=x"), sans: Vec::new() }.sign(&p256()).unwrap();
    assert_eq!(only(csr.der()).kind, Kind::Csr);
    assert_eq!(only(leaf(Profile::Client).der()).kind, Kind::Certificate);
    assert_eq!(only(crl(&[])).kind, Kind::Crl);
    assert_eq!(only(p256().to_pkcs8_der()).kind, Kind::PrivateKey);
    assert_eq!(only(p256().public_key().spki_der()).kind, Kind::PublicKey);
    assert_eq!(only([0x30, 0]).kind, Kind::Other);
    let longer = [leaf(Profile::Server).der(), b"xyz"].concat();
    assert_eq!(only(longer).warnings, ["3 bytes follow that do not belong to it"]);
}

#[test]
fn what_is_nothing_is_an_error_and_what_is_cut_off_is_told() {
    for nothing in [&b""[..], b"hello", &[0xff; 20], b"-----BEGIN ", b"-----BEGIN -----"] {
        assert!(inspect(nothing, None, now()).is_err() || only(nothing).kind == Kind::Other);
    }
    let pem = leaf(Profile::Server).to_pem();
    assert!(only(&pem[..200]).warnings[0].contains("end line of its PEM block is missing"));
    assert!(only(pem.replacen("MII", "?II", 1)).warnings[0].contains("not base64"));
    assert!(only("-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----").warnings[0].contains("openssl pkcs7"));
    let many = "-----BEGIN X-----\n-----END X-----\n".repeat(1001);
    assert!(matches!(inspect(many.as_bytes(), None, now()), Err(Error::TooMany { .. })));
}

fn said(objects: &[Object]) -> Vec<(Verdict, String)> {
    fits(objects).into_iter().map(|it| (it.verdict, it.text)).collect()
}

#[test]
fn what_belongs_together_fits() {
    let leaf = leaf(Profile::Server);
    let csr = CsrRequest { subject: name("CN=asked"), sans: Vec::new() }.sign(&rsa()).unwrap();
    let file = [
        rsa().to_pkcs8_pem().as_str(),
        &csr.to_pem(),
        &leaf.to_pem(),
        &intermediate(None).to_pem(),
        &root(&p256(), None).to_pem(),
        &crate::crl_pem(&crl(&[])),
    ]
    .concat();
    let texts = [
        "the private key RSA, 2048 bits belongs to the certificate CN=www.example.com",
        "the private key RSA, 2048 bits belongs to the certificate request (CSR) CN=asked",
        "the certificate request (CSR) CN=asked is for the same key as the certificate CN=www.example.com",
        "the certificate CN=www.example.com was issued by the certificate CN=Test Intermediate,O=Example",
        "the certificate CN=Test Intermediate,O=Example was issued by the certificate CN=Test Root,O=Example",
        "the revocation list (CRL) CN=Test Intermediate,O=Example was issued by the certificate CN=Test Intermediate,O=Example",
        "the certificate CN=www.example.com is not on the revocation list (CRL) CN=Test Intermediate,O=Example",
    ];
    assert_eq!(said(&seen(file)), texts.map(|it| (Verdict::Fits, it.to_owned())));
}

#[test]
fn what_does_not_belong_together_is_told() {
    let leaf = leaf(Profile::Server);
    let texts = said(&seen([p256().to_pkcs8_pem().as_str(), &leaf.to_pem()].concat()));
    let expected = "the private key EC, P-256 does not belong to the certificate CN=www.example.com";
    assert_eq!(texts, [(Verdict::DoesNotFit, expected.to_owned())]);

    let revoked = crate::crl_pem(&crl(&[(*leaf.serial(), Reason::KeyCompromise)]));
    let texts = said(&seen([leaf.to_pem(), intermediate(None).to_pem(), revoked].concat()));
    let expected =
        "the certificate CN=www.example.com was revoked on 2027-03-01 10:00:00 UTC (key compromise)";
    assert!(texts.contains(&(Verdict::DoesNotFit, expected.to_owned())), "{texts:?}");

    // A namesake of the root with another key.
    let texts = said(&seen([intermediate(None).to_pem(), root(&ed25519(), None).to_pem()].concat()));
    assert!(
        matches!(&texts[..], [(Verdict::DoesNotFit, text)] if text.contains("another key of that name")),
        "{texts:?}"
    );

    let stranger = root(&p256(), None).to_pem();
    let texts = said(&seen([leaf.to_pem(), stranger].concat()));
    assert!(
        matches!(&texts[..], [(Verdict::Unknown, text)] if text.contains("is not among these")),
        "{texts:?}"
    );
}

#[test]
fn weak_key_fits_its_certificate_all_the_same() {
    // What openssl req -x509 makes of the key; here its request does.
    let texts = said(&seen([data!("rsa1024.pkcs8.pem"), data!("rsa1024.csr.pem")].concat()));
    assert!(matches!(&texts[..], [(Verdict::Fits, _)]), "{texts:?}");
}

#[test]
fn mutations_of_everything_are_described_without_panic() {
    let ders = [
        leaf(Profile::Server).der().to_vec(),
        pem::decode(data!("nc.cert.pem"), &["CERTIFICATE"]).unwrap(),
        pem::decode(data!("p256.csr.pem"), &["CERTIFICATE REQUEST"]).unwrap(),
        crl(&[(Serial::from_hex("ff").unwrap(), Reason::KeyCompromise)]),
        p256().to_pkcs8_der().to_vec(),
        pem::decode(data!("rsa1024.pkcs8.pem"), &["PRIVATE KEY"]).unwrap(),
    ];
    let issuer = seen(intermediate(None).to_pem()).remove(0);
    for der in ders {
        mutate(&der, 1500, |bytes| {
            let mut objects = inspect(bytes, Some("x"), now()).unwrap_or_default();
            objects.push(issuer.clone());
            let _ = fits(&objects);
        });
    }
    let pem = [&leaf(Profile::Server).to_pem(), &*PrivateKey::to_pkcs8_pem(&p256()), data!("p256.csr.pem")]
        .concat();
    mutate(pem.as_bytes(), 500, |bytes| {
        let _ = inspect(bytes, Some("x"), now()).map(|it| fits(&it));
    });
}
