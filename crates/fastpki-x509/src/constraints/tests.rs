use super::*;
use crate::{Certificate, testing::*};

fn constraints() -> NameConstraints {
    Certificate::from_pem(data!("nc.cert.pem")).unwrap().name_constraints().unwrap().unwrap()
}

fn offending(subject: &str, sans: &[San]) -> Option<String> {
    constraints().offending(&name(subject), sans, false)
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
    assert_eq!(constraints().offending(&Name::empty(), &[dns("example.com")], false), None);
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
    assert_eq!(constraints().offending(&name("O=Example,CN=www.example.org"), &[], true), None);
}

#[test]
fn kinds_nobody_can_honour_count_only_where_critical() {
    let read = |pem| Certificate::from_pem(pem).unwrap().name_constraints();
    assert!(matches!(read(data!("uri.cert.pem")), Err(Error::UnsupportedConstraint { .. })));
    let loose = read(data!("uriloose.cert.pem")).unwrap().unwrap();
    assert_eq!((loose.permitted.len(), loose.excluded.len()), (0, 1));
    assert_eq!(loose.offending(&name("CN=a.example"), &[dns("a.example")], false), None);
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
