use super::*;

fn dns(text: &str) -> San {
    San::parse_dns(text).unwrap()
}

#[test]
fn host_names_are_taken_and_lower_cased() {
    let longest = format!("{}{}", format!("{}.", "a".repeat(63)).repeat(3), "a".repeat(61));
    for (written, read) in [
        ("localhost", "localhost"),
        ("WWW.Example.COM", "www.example.com"),
        ("*.example.com", "*.example.com"),
        ("*.local", "*.local"),
        ("a--b.example", "a--b.example"),
        ("3com.com", "3com.com"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("*.MÜNCHEN.example", "*.xn--mnchen-3ya.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("日本語。example", "xn--wgv71a119e.example"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        (&longest, &longest),
    ] {
        assert_eq!(written.parse::<DnsName>().unwrap().as_str(), read);
    }
}

#[test]
fn what_is_no_host_name_is_refused() {
    let (label, whole) = ("a".repeat(64), format!("{}a", "a.".repeat(127)));
    for text in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "*",
        "*.",
        "**.a",
        "a.*.b",
        "*a.b",
        "a*.b",
        "*.*.a",
        "my_host.example",
        "a b",
        "a/b",
        "-a.b",
        "a-.b",
        "192.0.2.1",
        "*.192.0.2.1",
        "1.2.3.999",
        "2001:db8::1",
        "a\0b",
        "a@b",
        "http://a",
        "xn--a.example",
        "xn--mnchen-.example",
        "１９２.0.2.1",
        "＊.example",
        "a.b:443",
        "é_b",
        &label,
        &whole,
        &"é".repeat(100_000),
    ] {
        assert!(matches!(text.parse::<DnsName>(), Err(Error::San { .. })), "{text}");
    }
}

#[test]
fn addresses_are_textual_without_zone_or_prefix() {
    for text in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
        San::parse_ip(text).unwrap();
    }
    for text in ["", "192.0.2", "192.0.2.01", "192.0.2.0/24", "fe80::1%eth0", "[::1]", "a", " 192.0.2.1"] {
        assert!(matches!(San::parse_ip(text), Err(Error::San { .. })), "{text}");
    }
}

#[test]
fn mailboxes_have_atoms_and_a_host_name() {
    let read = |text: &str| text.parse::<EmailAddress>().unwrap().as_str().to_owned();
    assert_eq!(read("Alice.B+c@Example.COM"), "Alice.B+c@example.com");
    assert_eq!(read("a@münchen.example"), "a@xn--mnchen-3ya.example");
    assert_eq!("a@b.c".parse::<EmailAddress>().unwrap().domain(), "b.c");
    let (local, whole) = (format!("{}@b", "a".repeat(65)), format!("a@{}b", "a.".repeat(126)));
    for text in [
        "",
        "a",
        "@",
        "@b",
        "a@",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a b@c",
        "\"a\"@b",
        "é@b",
        "a@*.b",
        "a@[192.0.2.1]",
        "a@192.0.2.1",
        "a@b@c",
        "a\0@b",
        "<a@b>",
        &local,
        &whole,
    ] {
        assert!(matches!(text.parse::<EmailAddress>(), Err(Error::San { .. })), "{text}");
    }
}

#[test]
fn common_name_becomes_the_dns_name_of_a_server_without_one() {
    for profile in [Profile::Server, Profile::DualPurpose] {
        let sans = complete_sans(profile, "www.example.com", Vec::new()).unwrap();
        assert_eq!(sans.names, [dns("www.example.com")]);
        assert_eq!(sans.defaulted, Some(dns("www.example.com")));

        let ip = San::parse_ip("192.0.2.1").unwrap();
        let sans = complete_sans(profile, "www.example.com", vec![ip.clone()]).unwrap();
        assert_eq!(sans.names, [dns("www.example.com"), ip]);

        let sans = complete_sans(profile, "www.example.com", vec![dns("a.example")]).unwrap();
        assert_eq!((sans.names, sans.defaulted), (vec![dns("a.example")], None));
    }
}

#[test]
fn common_name_that_is_an_address_becomes_one() {
    let ip = San::parse_ip("192.0.2.1").unwrap();
    let sans = complete_sans(Profile::Server, "192.0.2.1", Vec::new()).unwrap();
    assert_eq!((sans.names, sans.defaulted), (vec![ip.clone()], Some(ip.clone())));
    let sans = complete_sans(Profile::Server, "192.0.2.1", vec![ip.clone()]).unwrap();
    assert_eq!((sans.names, sans.defaulted), (vec![ip], None));
}

#[test]
fn common_name_that_is_no_host_needs_other_names() {
    let required = complete_sans(Profile::Server, "My Server", Vec::new());
    assert_eq!(required, Err(Error::SanRequired { profile: Profile::Server }));
    let email = San::parse_email("a@example.com").unwrap();
    for given in [dns("a.example"), San::parse_ip("::1").unwrap()] {
        let sans = complete_sans(Profile::Server, "My Server", vec![given.clone()]).unwrap();
        assert_eq!((sans.names, sans.defaulted), (vec![given], None));
    }
    complete_sans(Profile::DualPurpose, "Alice", vec![email]).unwrap();
}

#[test]
fn client_gets_an_address_only_from_a_common_name_that_is_one() {
    let email = San::parse_email("alice@example.com").unwrap();
    let sans = complete_sans(Profile::Client, "alice@example.com", Vec::new()).unwrap();
    assert_eq!((sans.names, sans.defaulted), (vec![email.clone()], Some(email.clone())));
    let sans = complete_sans(Profile::Client, "bob@example.com", vec![email.clone()]).unwrap();
    assert_eq!((sans.names, sans.defaulted), (vec![email], None));
    let sans = complete_sans(Profile::Client, "Alice", Vec::new()).unwrap();
    assert_eq!((sans.names, sans.defaulted), (vec![], None));
}

#[test]
fn kinds_that_do_not_fit_the_profile_are_refused() {
    let email = San::parse_email("a@example.com").unwrap();
    let refused = |profile, san| complete_sans(profile, "a.example", vec![san]).unwrap_err();
    let (kind, profile) = (SanKind::Email, Profile::Server);
    assert_eq!(refused(profile, email), Error::SanNotAllowed { kind, profile });
    let (kind, profile) = (SanKind::Dns, Profile::Client);
    assert_eq!(refused(profile, dns("a")), Error::SanNotAllowed { kind, profile });
}

#[test]
fn ca_has_no_alternative_names() {
    let sans = complete_sans(Profile::Intermediate { path_len: None }, "a.example", vec![dns("b")]).unwrap();
    assert_eq!((sans.names, sans.defaulted), (vec![], None));
}

#[test]
fn duplicates_collapse_and_order_is_kept() {
    let asked = ["b.example", "a.example", "B.example", "b.example"].map(dns).to_vec();
    let sans = complete_sans(Profile::Server, "x", asked).unwrap();
    assert_eq!(sans.names, [dns("b.example"), dns("a.example")]);
}

#[test]
fn more_than_a_thousand_names_are_refused() {
    let asked: Vec<_> = (0..=MAX_SANS).map(|i| dns(&format!("h{i}.example"))).collect();
    let refused = complete_sans(Profile::Server, "x", asked.clone());
    assert_eq!(refused, Err(Error::TooManySans { limit: MAX_SANS }));
    assert_eq!(complete_sans(Profile::Server, "x", asked[1..].to_vec()).unwrap().names.len(), MAX_SANS);
}
