use super::*;
use crate::{Profile, San, Serial, Urls, testing};
use testing::{dns, name, p256, p384, rsa};

type Change = fn(&mut Request);

fn asked() -> Request {
    Request {
        sans: vec![dns("www.example.com")],
        ..testing::request(Profile::Server, "CN=www.example.com", &rsa())
    }
}

/// What a certificate made for one request is found to lack by another.
fn found(made: Request, change: Change) -> Result<(), Error> {
    let authority = testing::root(&p256(), None);
    let issuer = Issuer {
        name: authority.subject().clone(),
        key: p256().public_key().clone(),
        key_id: authority.subject_key_id().map(<[u8]>::to_vec),
        validity: authority.validity(),
    };
    let mut expected = made.clone();
    change(&mut expected);
    let certificate = made.prepare(&authority).unwrap().sign(&p256()).unwrap();
    super::certificate(&Parsed::from_der(certificate.der()).unwrap(), &expected, &issuer)
}

fn url(change: fn(&mut Urls) -> &mut String) -> impl Fn(&mut Request) {
    move |it| change(it.urls.as_mut().unwrap()).push('x')
}

#[test]
fn certificate_that_is_not_the_one_asked_for_is_refused() {
    assert_eq!(found(asked(), |_| {}), Ok(()));
    let changes: [(&str, Change); 15] = [
        ("subject", |it| it.subject = name("CN=other")),
        ("empty subject", |it| it.subject = crate::Name::empty()),
        ("another name", |it| it.sans = vec![dns("other.example.com")]),
        ("more names", |it| it.sans.push(San::parse_ip("192.0.2.1").unwrap())),
        ("no names", |it| it.sans.clear()),
        ("key", |it| it.public_key = p384().public_key().clone()),
        ("client", |it| it.profile = Profile::Client),
        ("dual purpose", |it| it.profile = Profile::DualPurpose),
        ("CA", |it| it.profile = Profile::Intermediate { path_len: None }),
        ("no URLs", |it| it.urls = None),
        ("URL of the list", |it| url(|urls| &mut urls.crl)(it)),
        ("URL of the CA", |it| url(|urls| &mut urls.ca)(it)),
        ("serial", |it| it.serial = Serial::from_random([0x3c; 20])),
        ("start", |it| it.validity.not_before = "2027-03-01T10:00:01Z".parse().unwrap()),
        ("end", |it| it.validity.not_after = "2027-03-02T10:00:00Z".parse().unwrap()),
    ];
    for (what, change) in changes {
        let refused = found(asked(), change);
        assert!(matches!(refused, Err(Error::Lint(_))), "{what}: {refused:?}");
    }
}

#[test]
fn path_length_and_absence_of_urls_are_checked() {
    let authority =
        |path_len| testing::request(Profile::Intermediate { path_len }, "CN=Test Intermediate", &p384());
    assert_eq!(found(authority(Some(1)), |_| {}), Ok(()));
    for change in [(|it| it.profile = Profile::Intermediate { path_len: None }) as Change, |it| {
        it.profile = Profile::Intermediate { path_len: Some(2) }
    }] {
        assert!(matches!(found(authority(Some(1)), change), Err(Error::Lint(_))));
    }
    let silent = Request { urls: None, ..asked() };
    let refused = found(silent, |it| it.urls = asked().urls);
    assert_eq!(refused, Err(Error::Lint("the published URLs are not the ones given")));
}
