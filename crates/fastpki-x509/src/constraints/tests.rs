use super::*;
use crate::{Certificate, testing::*};

const CA: Profile = Profile::Intermediate { path_len: None };

fn constraints() -> NameConstraints {
    Certificate::from_pem(data!("nc.cert.pem")).unwrap().name_constraints().unwrap().unwrap()
}

fn offending(subject: &str, sans: &[San]) -> Option<String> {
    constraints().offending(&name(subject), sans, Profile::Client)
}

#[test]
fn extension_is_read() {
    let read = constraints();
    assert_eq!(
        read.permitted,
        [
            Subtree::Dns("example.com".to_owned()),
            Subtree::Ip { address: vec![192, 0, 2, 0], mask: vec![255, 255, 255, 0] },
            Subtree::Email("example.com".to_owned()),
            Subtree::Directory(name("O=Example")),
        ]
    );
    assert_eq!(read.excluded, [Subtree::Dns("bad.example.com".to_owned())]);
}

#[test]
fn names_within_are_permitted() {
    let sans = ["example.com", "www.example.com", "a.b.example.com", "notbad.example.com"].map(dns);
    assert_eq!(offending("O=Example,CN=x", &sans), None);
    assert_eq!(offending("O=EXAMPLE,CN=x", &[San::parse_ip("192.0.2.255").unwrap()]), None);
    assert_eq!(offending("O= example", &[San::parse_email("a@example.com").unwrap()]), None);
    assert_eq!(constraints().offending(&Name::empty(), &[dns("example.com")], Profile::Client), None);
}

#[test]
fn names_outside_are_found() {
    for san in
        ["example.org", "notexample.com", "example.com.evil.org", "bad.example.com", "x.bad.example.com"]
    {
        assert_eq!(offending("O=Example", &[dns(san)]).as_deref(), Some(san));
    }
    for ip in ["192.0.3.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        assert_eq!(offending("O=Example", &[San::parse_ip(ip).unwrap()]).as_deref(), Some(ip));
    }
    for email in ["a@www.example.com", "a@example.org"] {
        assert_eq!(offending("O=Example", &[San::parse_email(email).unwrap()]).as_deref(), Some(email));
    }
    assert_eq!(offending("CN=x,O=Example", &[]).as_deref(), Some("CN=x,O=Example"));
}

#[test]
fn wildcard_that_reaches_an_excluded_name_is_found() {
    assert_eq!(offending("O=Example", &[dns("*.example.com")]).as_deref(), Some("*.example.com"));
    assert_eq!(offending("O=Example", &[dns("*.good.example.com")]), None);
    assert_eq!(offending("O=Example", &[dns("*.com")]).as_deref(), Some("*.com"));
}

#[test]
fn names_in_the_subject_count() {
    let found = offending("O=Example,emailAddress=a@example.org", &[]);
    assert_eq!(found.as_deref(), Some("a@example.org"));
    assert_eq!(offending("O=Example,CN=www.example.org", &[]).as_deref(), Some("www.example.org"));
    assert_eq!(offending("O=Example,CN=www.example.org", &[dns("example.com")]), None);
    assert_eq!(constraints().offending(&name("O=Example,CN=www.example.org"), &[], CA), None);
}

#[test]
fn common_names_that_verifiers_take_for_hosts_count() {
    let found = |subject: &str, profile, sans: &[San]| constraints().offending(&name(subject), sans, profile);
    for host in ["my_host.example.org", "192.0.2.1", "a-.example.org", "WWW.EXAMPLE.ORG"] {
        let subject = format!("O=Example,CN={host}");
        let expected = Some(host.to_ascii_lowercase());
        assert_eq!(found(&subject, Profile::Client, &[]), expected);
        assert_eq!(found(&subject, Profile::DualPurpose, &[San::parse_ip("192.0.2.1").unwrap()]), expected);
        assert_eq!(found(&subject, Profile::Server, &[dns("example.com")]), None);
    }
    assert_eq!(found("O=Example,CN=WWW.Example.com", Profile::Server, &[]), None);
    assert_eq!(found("O=Example,CN=Some Host", Profile::Client, &[]), None);
    assert_eq!(found("O=Example,CN=Some Host", Profile::Server, &[]).as_deref(), Some("some host"));
}

/// Name constraints that permit one subtree with this content.
fn permitting(subtree: &[u8]) -> Result<NameConstraints, Error> {
    let tlv = |tag, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    NameConstraints::from_der(&tlv(0x30, &tlv(0xa0, &tlv(0x30, subtree))))
}

#[test]
fn constraints_that_cannot_be_read_are_refused() {
    for subtree in [
        &b"\x82\x01a\x80\x01\x01"[..],
        b"\x82\x01a\x81\x01\x01",
        b"\x82\x01\xff",
        b"\x87\x04\x0a\0\0\0",
        b"\xa4\x02\x31\x00",
        b"\x0c\x01a",
        b"",
    ] {
        let refused = permitting(subtree);
        assert!(matches!(refused, Err(Error::UnsupportedConstraint { .. })), "{subtree:?}: {refused:?}");
    }
    assert_eq!(permitting(b"\x82\x01A").unwrap().permitted, [Subtree::Dns("a".to_owned())]);
    // An other name under 2.25, a registered identifier.
    for skipped in [&b"\xa0\x0c\x06\x06\x69\xff\xff\xff\xff\x01\xa0\x02\x05\x00"[..], b"\x88\x01\x2a"] {
        assert_eq!(permitting(skipped).unwrap().permitted, []);
    }
}

#[test]
fn kinds_never_certified_do_not_count() {
    let read = |pem| Certificate::from_pem(pem).unwrap().name_constraints().unwrap().unwrap();
    let critical = read(data!("uri.cert.pem"));
    assert_eq!((critical.permitted.len(), critical.excluded.len()), (0, 0));
    let loose = read(data!("uriloose.cert.pem"));
    assert_eq!((loose.permitted.len(), loose.excluded.len()), (0, 1));
    assert_eq!(loose.offending(&name("CN=a.example"), &[dns("a.example")], Profile::Client), None);
}

#[test]
fn directory_names_fold_wide_only_where_excluded() {
    let base = || vec![Subtree::Directory(name("O=Exämple Ab"))];
    let permits = NameConstraints { permitted: base(), excluded: Vec::new() };
    let excludes = NameConstraints { permitted: Vec::new(), excluded: base() };
    let found = |it: &NameConstraints, text| it.offending(&name(text), &[], CA).is_some();
    assert!(!found(&permits, "O=exämple  AB,CN=x") && found(&excludes, "O=exämple  AB,CN=x"));
    assert!(found(&permits, "O=EXÄMPLE Ab") && found(&excludes, "O=EXÄMPLE Ab"));
    assert!(found(&permits, "O=Exämple\u{a0}Ab") && found(&excludes, "O=Exämple\u{a0}Ab"));
    assert!(found(&permits, "CN=x") && !found(&excludes, "CN=x"));
}

#[test]
fn leading_dots_and_mailboxes_are_understood() {
    assert!(domain_covers(".example.com", "a.example.com"));
    assert!(!domain_covers(".example.com", "example.com"));
    assert!(domain_covers("", "anything"));
    assert!(mailbox_covers("a@Example.com", "a@example.com"));
    assert!(!mailbox_covers("a@example.com", "A@example.com"));
    assert!(mailbox_covers(".example.com", "a@b.example.com"));
    assert!(!mailbox_covers(".example.com", "a@example.com"));
}

#[test]
fn domain_that_ends_in_a_dot_permits_nothing_and_excludes_what_it_means() {
    let constraints =
        Certificate::from_pem(data!("ncdot.cert.pem")).unwrap().name_constraints().unwrap().unwrap();
    let offends = |host| constraints.offending(&name("CN=x"), &[dns(host)], Profile::Server).is_some();
    for host in ["example.com", "www.example.com", "bad.example.org", "www.bad.example.org", "*.example.org"]
    {
        assert!(offends(host), "{host}");
    }
    assert!(!offends("www.example.org"));
    let excludes = |subtree| {
        let excluded = NameConstraints { permitted: Vec::new(), excluded: vec![subtree] };
        excluded.offending(&name("CN=x"), &[San::parse_email("a@example.com").unwrap()], Profile::Client)
    };
    assert!(excludes(Subtree::Email("example.com.".to_owned())).is_some());
    assert!(excludes(Subtree::Email("example.org.".to_owned())).is_none());
}
