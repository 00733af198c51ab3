use super::*;
use crate::testing::*;

fn server(sans: Vec<San>) -> Request {
    Request { sans, ..request(Profile::Server, "CN=www.example.com", &rsa()) }
}

#[test]
fn issued_certificate_says_what_was_asked() {
    let issuer = root(&p256(), None);
    let certificate = server(vec![dns("www.example.com")]).prepare(&issuer).unwrap().sign(&p256()).unwrap();
    assert_eq!(certificate.subject(), &name("CN=www.example.com"));
    assert_eq!(certificate.issuer(), issuer.subject());
    assert_eq!(certificate.serial().to_hex(), "5a".repeat(20));
    assert_eq!(certificate.sans().unwrap(), [dns("www.example.com")]);
    assert_eq!(certificate.authority_key_id(), issuer.subject_key_id());
    assert_eq!(certificate.validity().not_before.to_string(), "2027-03-01T10:00:00Z");
    assert_eq!(certificate.validity().whole_days(), 365);
    assert!(certificate.matches_key(rsa().public_key()));
    certificate.is_issued_by(&issuer).unwrap();
}

#[test]
fn only_the_issuers_key_signs() {
    let issuer = root(&p256(), None);
    let prepared = server(vec![dns("www.example.com")]).prepare(&issuer).unwrap();
    assert_eq!(prepared.sign(&p384()).unwrap_err(), Error::KeyMismatch);
    let request = request(Profile::Root { path_len: None }, "CN=x", &p256());
    assert_eq!(request.prepare_self_signed(&p384()).err(), Some(Error::KeyMismatch));
}

#[test]
fn only_a_ca_issues() {
    for pem in [data!("leaf.cert.pem"), data!("nosign.cert.pem")] {
        let issuer = Certificate::from_pem(pem).unwrap();
        assert_eq!(server(vec![dns("a.example")]).prepare(&issuer).err(), Some(Error::NotACa));
    }
}

#[test]
fn certificate_that_outlives_its_issuer_is_thrown_away() {
    let issuer = root(&p256(), None);
    let mut request = server(vec![dns("www.example.com")]);
    request.validity = Validity::from(now(), 366).unwrap();
    let validity = request.validity;
    let refused = request.prepare(&issuer).unwrap().sign(&p256());
    assert_eq!(refused.unwrap_err(), Error::Lint("the certificate outlives its issuer"));
    assert_eq!(validity.within(&issuer).unwrap(), issuer.validity());
}

#[test]
fn issuer_out_of_its_validity_leaves_none() {
    let issuer = root(&p256(), None);
    let at = |text: &str| Validity::from(text.parse().unwrap(), 30).unwrap().within(&issuer);
    let limits = issuer.validity();
    assert_eq!(at("2028-02-29T10:00:00Z"), Err(Error::IssuerExpired { not_after: limits.not_after }));
    assert_eq!(at("2028-03-01T10:00:00Z"), Err(Error::IssuerExpired { not_after: limits.not_after }));
    assert_eq!(at("2027-03-01T09:59:59Z"), Err(Error::IssuerNotYetValid { not_before: limits.not_before }));
    assert_eq!(at("2028-02-29T09:59:59Z").unwrap().not_after, limits.not_after);
}

#[test]
fn subject_may_be_empty_only_where_another_name_stands_for_it() {
    let issuer = root(&p256(), None);
    let mut request = server(vec![dns("www.example.com")]);
    request.subject = Name::empty();
    request.clone().prepare(&issuer).unwrap().sign(&p256()).unwrap();
    request.profile = Profile::Client;
    request.sans = Vec::new();
    assert!(matches!(request.clone().prepare(&issuer).err(), Some(Error::Name { .. })));
    request.profile = Profile::Intermediate { path_len: None };
    assert!(matches!(request.prepare(&issuer).err(), Some(Error::Name { .. })));
}

#[test]
fn names_must_fit_the_profile() {
    let issuer = root(&p256(), None);
    let profile = Profile::Server;
    assert_eq!(server(Vec::new()).prepare(&issuer).err(), Some(Error::SanRequired { profile }));
    let refused = server(vec![San::parse_email("a@b.example").unwrap()]).prepare(&issuer).err();
    assert_eq!(refused, Some(Error::SanNotAllowed { kind: crate::SanKind::Email, profile }));
}

#[test]
fn times_from_2050_on_are_generalized() {
    let mut request = request(Profile::Root { path_len: None }, "CN=x", &p256());
    request.validity = Validity::from("2049-12-31T00:00:00Z".parse().unwrap(), 1).unwrap();
    let certificate = request.prepare_self_signed(&p256()).unwrap().sign(&p256()).unwrap();
    let period = Parsed::from_der(certificate.der()).unwrap().tbs.validity;
    assert_eq!(period.not_before.to_string(), "2049-12-31T00:00:00Z");
    assert!(matches!(period.not_before, x509_cert::time::Time::UtcTime(_)));
    assert!(matches!(period.not_after, x509_cert::time::Time::GeneralTime(_)));
}

#[test]
fn issuer_without_key_identifier_gets_one_computed() {
    let issuer = Certificate::from_pem(data!("uriloose.cert.pem")).unwrap();
    let mut request = server(vec![dns("www.example.com")]);
    request.validity = Validity::from(issuer.validity().not_before, 10).unwrap();
    let certificate = request.prepare(&issuer).unwrap().sign(&p256()).unwrap();
    assert_eq!(certificate.authority_key_id(), Some(&p256().public_key().key_identifier()[..]));
}

#[test]
fn url_that_is_not_graphic_ascii_is_refused() {
    let issuer = root(&p256(), None);
    for crl in ["http://å/", "http://a /", "http://a/\n", ""] {
        let mut request = server(vec![dns("www.example.com")]);
        request.urls = Some(Urls { crl: crl.to_owned(), ca: "http://a/".to_owned() });
        assert!(matches!(request.prepare(&issuer).err(), Some(Error::Internal(_))), "{crl:?}");
    }
}

#[test]
fn renewal_keeps_the_bytes_of_the_subject() {
    let foreign = Certificate::from_pem(data!("leaf.cert.pem")).unwrap();
    let issuer = root(&p256(), None);
    let request = Request { subject: foreign.subject().clone(), ..server(vec![dns("www.example.com")]) };
    let renewed = request.prepare(&issuer).unwrap().sign(&p256()).unwrap();
    assert_eq!(renewed.subject().der(), foreign.subject().der());
}

#[test]
fn p521_key_is_certified_but_issues_nothing() {
    let issuer = root(&p256(), None);
    let csr = crate::Csr::from_pem(data!("p521.csr.pem")).unwrap();
    let mut request = server(vec![dns("www.example.com")]);
    request.public_key = csr.public_key().clone();
    request.clone().prepare(&issuer).unwrap().sign(&p256()).unwrap();
    request.profile = Profile::Intermediate { path_len: None };
    let authority = request.prepare(&issuer).unwrap().sign(&p256()).unwrap();
    let refused = server(vec![dns("www.example.com")]).prepare(&authority);
    assert!(matches!(refused.err(), Some(Error::UnsupportedKey { .. })));
}

#[test]
fn fractions_of_a_second_are_dropped_from_a_root_too() {
    let mut request = request(Profile::Root { path_len: None }, "CN=x", &p256());
    let until = "2028-03-01T10:00:00.25Z".parse().unwrap();
    request.validity = Validity { not_before: now(), not_after: until };
    let root = request.prepare_self_signed(&p256()).unwrap().sign(&p256()).unwrap();
    assert_eq!(root.validity().not_before.to_string(), "2027-03-01T10:00:00Z");
}
