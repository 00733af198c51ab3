use super::*;
use crate::testing::mutate;

fn der(text: &str) -> Vec<u8> {
    Name::parse(text).unwrap().der().to_vec()
}

fn refused(text: &str) -> (String, String) {
    match Name::parse(text).unwrap_err() {
        Error::Name { part, reason } => (part, reason),
        other => panic!("{text}: {other}"),
    }
}

#[test]
fn attributes_are_encoded_in_the_order_written() {
    let common_name = b"\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03abc";
    let country = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02SE";
    let expected = [&b"\x30\x1b"[..], common_name, country].concat();
    assert_eq!(der("CN=abc,C=SE"), expected);
}

#[test]
fn string_types_are_those_of_the_profile() {
    let tags = |text| Name::parse(text).unwrap().rdns()[0][0].value.header().tag();
    assert_eq!(tags("O=Example"), Tag::Utf8String);
    assert_eq!(tags("C=SE"), Tag::PrintableString);
    assert_eq!(tags("serialNumber=1234"), Tag::PrintableString);
    assert_eq!(tags("DC=example"), Tag::Ia5String);
    assert_eq!(tags("emailAddress=a@example.com"), Tag::Ia5String);
    assert_eq!(tags("1.2.3.4=abc"), Tag::Utf8String);
}

#[test]
fn names_read_as_they_are_written() {
    for text in [
        "CN=www.example.com",
        "CN=www.example.com,O=Example,OU=A,OU=B,OU=A",
        r"O=Example\, Inc.,CN=a\+b\=c",
        r"CN=\ two blanks\ \ ,O=\#1",
        "CN=Ünïcødé 漢字,L=Göteborg",
        "C=SE,ST=Skåne,L=Lund,street=Storgatan 1,postalCode=22222,title=Dr,SN=Svensson,GN=Sven,UID=sven",
        "CN=a+OU=b,DC=example,DC=com",
        r"CN=\<\>\;\,\\",
        "1.2.3.4=abc,2.5.4.97=VATSE-1",
        "emailAddress=a+b@example.com",
    ] {
        let text = text.replace("a+b@", r"a\+b@");
        let name = Name::parse(&text).unwrap();
        assert_eq!(Name::parse(&name.to_string()).unwrap(), name, "{name}");
        assert_eq!(Name::from_der(name.der()).unwrap(), name);
    }
}

#[test]
fn display_is_what_an_operator_writes() {
    for text in [
        "CN=www.example.com,O=Example,C=SE",
        r"O=Example\, Inc.",
        r"CN=\ x\ ",
        r"CN=\#x#",
        "CN=a=b",
        "serialNumber=1,SN=b",
        "1.2.3.4=abc",
    ] {
        assert_eq!(Name::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Name::parse("2.5.4.3 = abc , cn= x").unwrap().to_string(), "CN=abc,CN=x");
    assert_eq!(Name::parse("commonname=abc,SURNAME=x").unwrap().to_string(), "CN=abc,SN=x");
}

#[test]
fn escapes_are_those_of_rfc_4514() {
    assert_eq!(Name::parse(r"CN=L\C3\BCtt\2cich").unwrap().common_names(), ["Lütt,ich"]);
    assert_eq!(Name::parse(r#"CN=\"\#\=\ "#).unwrap().common_names(), ["\"#= "]);
    assert_eq!(Name::parse("CN= Issuing CA ").unwrap().common_names(), ["Issuing CA"]);
    assert_eq!(Name::parse(r"CN= a\  ").unwrap().common_names(), ["a "]);
}

#[test]
fn attributes_of_one_rdn_are_sorted_as_der_demands() {
    assert_eq!(der("CN=b+OU=a"), der("OU=a+CN=b"));
    assert_eq!(Name::parse("OU=a+CN=b").unwrap().to_string(), "CN=b+OU=a");
}

#[test]
fn malformed_part_is_named() {
    assert_eq!(refused("CN=a,nonsense,O=b").0, "nonsense");
    assert_eq!(refused("CN=a,XX=b").0, "XX=b");
    assert!(refused("CN=a,XX=b").1.contains("there is no attribute \"XX\""));
    assert_eq!(refused("CN=a, O=").0, "O=");
    assert_eq!(refused("CN=a,,O=b").0, "");
    assert_eq!(refused("C=Sweden,CN=a").0, "C=Sweden");
    assert_eq!(refused("C=S1").0, "C=S1");
    assert_eq!(refused("CN=a+CN=b").0, "CN=a+CN=b");
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let long = |name: &str, length| format!("{name}={}", "x".repeat(length));
    for text in [
        "",
        " ",
        ",",
        "CN",
        "CN=",
        "CN=  ",
        "CN=a,",
        "=a",
        "CN=a+",
        "CN=#0403",
        "CN=a\\",
        "CN=a\\g",
        "CN=a\\4",
        "CN=\\ff",
        "CN=a\0b",
        "CN=a\\00b",
        "CN=a\nb",
        "CN=a\\7f",
        "CN=\"a\"",
        "CN=a;O=b",
        "CN=<a>",
        "serialNumber=å",
        "serialNumber=a@b",
        "DC=å",
        "emailAddress=å@example.com",
        "C=SWE",
        "C=S",
        "1=a",
        "1.2.=a",
        "9.9.9=a",
        "1.2.3.4.=x",
        "é=a",
        &long("CN", 65),
        &long("O", 65),
        &long("OU", 65),
        &long("L", 129),
        &long("ST", 129),
        &long("title", 65),
        &long("serialNumber", 65),
        &long("postalCode", 41),
        &long("street", 129),
        &long("emailAddress", 256),
        &long("1.2.3", 5000),
    ] {
        assert!(matches!(Name::parse(text), Err(Error::Name { .. })), "{text}");
    }
    Name::parse(&long("CN", 64)).unwrap();
    Name::parse(&format!("CN={}", "å".repeat(64))).unwrap();
}

#[test]
fn common_name_is_replaced_in_its_place() {
    let name = Name::parse("O=x,CN=a,OU=y,CN=b").unwrap();
    assert_eq!(name.common_names(), ["a", "b"]);
    assert_eq!(name.with_common_name("c").unwrap().to_string(), "O=x,CN=c,OU=y");
    let without = Name::parse("O=x").unwrap();
    assert_eq!(without.with_common_name("c, d").unwrap().to_string(), r"O=x,CN=c\, d");
    assert_eq!(Name::empty().with_common_name("c").unwrap().to_string(), "CN=c");
    let joined = Name::parse("OU=z+CN=a,O=x").unwrap();
    assert_eq!(joined.with_common_name("longer").unwrap(), Name::parse("OU=z+CN=longer,O=x").unwrap());
    assert!(name.with_common_name("").is_err());
    assert!(name.with_common_name(&"x".repeat(65)).is_err());
}

#[test]
fn foreign_string_types_are_read_and_kept() {
    let value = |tag, bytes: &[u8]| {
        let pair = [&[0x06, 3, 0x55, 4, 3, tag, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        let nest = |tag, inner: &[u8]| [&[tag, u8::try_from(inner.len()).unwrap()], inner].concat();
        nest(0x30, &nest(0x31, &nest(0x30, &pair)))
    };
    let read = |tag, bytes: &[u8]| {
        let der = value(tag, bytes);
        let name = Name::from_der(&der).unwrap();
        assert_eq!(name.der(), der);
        name.to_string()
    };
    assert_eq!(read(0x1e, b"\0a\0b\x20\xac"), "CN=ab€");
    assert_eq!(read(0x14, b"caf\xe9"), "CN=café");
    assert_eq!(read(0x16, b"abc"), "CN=abc");
    assert_eq!(read(0x0c, b"a\0b"), "CN=a\\00b");
    assert_eq!(read(0x0c, b"\xff"), "CN=#0c01ff");
    assert_eq!(read(0x1e, b"odd"), "CN=#1e036f6464");
    assert_eq!(read(0x02, b"\x05"), "CN=#020105");
}

/// The encoding of nested values, none longer than 127 octets.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// An AttributeTypeAndValue.
fn pair(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(6, oid), tlv(tag, value)].concat())
}

/// A name of one RDN.
fn rdn(attributes: &[Vec<u8>]) -> Name {
    Name::from_der(&tlv(0x30, &tlv(0x31, &attributes.concat()))).unwrap()
}

const CN: &[u8] = &[0x55, 4, 3];
const UNKNOWN: &[u8] = &[0x2a, 3, 4];

#[test]
fn encoded_names_are_held_to_the_same_rules() {
    let check = |oid: &[u8], tag, value: &[u8]| rdn(&[pair(oid, tag, value)]).check();
    for oid in [CN, UNKNOWN] {
        for (tag, value) in [
            (0x0c, "å".as_bytes()),
            (0x13, b"ab"),
            (0x16, b"a*"),
            (0x12, b"1 2"),
            (0x1e, b"\0a"),
            (0x14, b"a"),
        ] {
            assert_eq!(check(oid, tag, value), Ok(()), "{tag:x} {value:?}");
        }
        for (tag, value) in [
            (0x0c, &b"a\0c"[..]),
            (0x0c, b"a\nc"),
            (0x0c, b"a\xffc"),
            (0x0c, b""),
            (0x13, b"a*c"),
            (0x16, b"a\xe5"),
            (0x12, b"1a"),
            (0x1e, b"abc"),
            (0x1e, b"\xd8\0"),
            (0x14, b"\xe5"),
            (0x1a, b"abc"),
            (0x02, b"\x05"),
            (0x05, b""),
            (0x80, b"abc"),
            (0xa0, b"\x0c\x01a"),
        ] {
            let refused = check(oid, tag, value);
            assert!(matches!(refused, Err(Error::Name { .. })), "{tag:x} {value:?}: {refused:?}");
        }
    }
    let (country, serial, qualifier, pseudonym) = ([0x55, 4, 6], [0x55, 4, 5], [0x55, 4, 46], [0x55, 4, 65]);
    let component = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25][..];
    let email = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1][..];
    for oid in [&country[..], &serial, &qualifier] {
        assert_eq!(check(oid, 0x13, b"SE"), Ok(()));
        assert!(check(oid, 0x0c, b"SE").is_err() && check(oid, 0x16, b"SE").is_err());
    }
    assert!(check(&country, 0x13, b"S1").is_err());
    for oid in [component, email] {
        assert_eq!(check(oid, 0x16, b"a@b"), Ok(()));
        assert!(check(oid, 0x0c, b"a@b").is_err() && check(oid, 0x13, b"a").is_err());
    }
    Name::parse(&format!("2.5.4.65={}", "x".repeat(128))).unwrap();
    assert!(Name::parse(&format!("2.5.4.65={}", "x".repeat(129))).is_err());
    assert_eq!(check(&pseudonym, 0x0c, &[b'x'; 100]), Ok(()));
}

#[test]
fn encoded_relative_names_are_in_der_order_without_repeats() {
    let (short, long, other) =
        (pair(CN, 0x0c, b"a"), pair(CN, 0x0c, b"bc"), pair(&[0x55, 4, 10], 0x0c, b"a"));
    assert_eq!(rdn(&[short.clone(), other.clone()]).check(), Ok(()));
    for refused in [[&other, &short], [&short, &long], [&short, &short]] {
        assert!(matches!(rdn(&refused.map(Clone::clone)).check(), Err(Error::Name { .. })));
    }
}

#[test]
fn long_names_are_refused_and_not_echoed() {
    let attribute = |value: &str| {
        [&[0x30, 0x82, 0xa4, 0x21][..], b"\x06\x03\x2a\x03\x04\x0c\x82\xa4\x18", value.as_bytes()].concat()
    };
    let attribute = attribute(&"x".repeat(0xa418));
    let set = [&[0x31, 0x82, 0xa4, 0x25][..], &attribute].concat();
    let name = Name::from_der(&[&[0x30, 0x82, 0xa4, 0x29][..], &set].concat()).unwrap();
    assert!(name.check().unwrap_err().to_string().len() < 200);
    // Each attribute has more bytes encoded than written.
    let text = vec!["L=a"; 1000].join(",");
    assert!(text.len() < MAX_LEN && refused(&text).1.contains("at most 4096 bytes"));
}

#[test]
fn object_identifiers_may_have_arcs_of_any_size() {
    let uuid = [&[0x69][..], &[0x81; 18], &[1]].concat();
    let name = rdn(&[pair(&uuid, 0x0c, b"a")]);
    assert_eq!(name.check(), Ok(()));
    let shown = name.to_string();
    assert!(shown.starts_with("2.25.") && shown.ends_with("=a"), "{shown}");
    let endless = rdn(&[pair(&[&[0x69][..], &[0xff; 30], &[1]].concat(), 0x0c, b"a")]);
    assert!(endless.to_string().ends_with("=a"));
    for broken in [&[][..], &[0x80], &[0x2a, 0x81], &[0x2a, 0x80, 1]] {
        let der = tlv(0x30, &tlv(0x31, &pair(broken, 0x0c, b"a")));
        assert!(Name::from_der(&der).is_err(), "{broken:?}");
    }
}

#[test]
fn malformed_names_are_refused() {
    for der in
        [&[][..], &[0x30], &[0x31, 0], &[0x30, 2, 0x31, 0], &[0x30, 1, 0], &[0x30, 0, 0], &[0x30, 2, 0x30, 0]]
    {
        assert!(Name::from_der(der).is_err(), "{der:?}");
    }
    assert!(Name::from_der(&[0x30, 0]).unwrap().is_empty());
}

#[test]
fn mutated_names_never_panic() {
    let text = r"CN=a\, b\C3\BC+OU=x,O= y ,C=SE,1.2.3=\#z";
    mutate(text.as_bytes(), 4000, |bytes| {
        if let Ok(name) = Name::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(Name::parse(&name.to_string()).unwrap(), name);
        }
    });
    mutate(Name::parse(text).unwrap().der(), 4000, |bytes| {
        if let Ok(name) = Name::from_der(bytes) {
            let _ = (name.to_string(), name.check(), name.common_names(), name.with_common_name("x"));
        }
    });
}

#[test]
fn names_compare_without_case_blanks_and_string_types() {
    let same = |a: &str, b: &str| Name::parse(a).unwrap().is_same(&Name::parse(b).unwrap());
    assert!(same("CN=Example  Root,O=Example", "CN=example root,O=EXAMPLE"));
    assert!(same("CN=x+OU=y", "OU=Y+CN=X"));
    for (a, b) in [
        ("CN=a,O=b", "O=b,CN=a"),
        ("CN=a", "OU=a"),
        ("CN=a", "CN=a,O=b"),
        ("CN=a+OU=b", "CN=a,OU=b"),
        // As the first is compared, quoted.
        (r#"CN=a\"\+2.5.4.11\=\"b"#, "CN=a+OU=b"),
    ] {
        assert!(!same(a, b), "{a} {b}");
    }
}
