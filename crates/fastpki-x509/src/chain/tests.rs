use super::*;
use crate::testing::*;

const LEAF: Profile = Profile::Server;
const CA: Profile = Profile::Intermediate { path_len: None };

fn subject() -> Name {
    name("CN=x,O=Example")
}

#[test]
fn chain_without_limits_permits_everything() {
    let chain = [intermediate(None), root(&p256(), None)];
    check_chain(&chain, LEAF, &subject(), &[dns("a.example")]).unwrap();
    check_chain(&chain, CA, &subject(), &[]).unwrap();
}

#[test]
fn path_length_counts_over_the_whole_chain() {
    let chain = [intermediate(None), root(&p256(), Some(1))];
    check_chain(&chain, LEAF, &subject(), &[]).unwrap();
    assert_eq!(check_chain(&chain, CA, &subject(), &[]), Err(Error::PathLenExceeded { limit: 1 }));
    assert_eq!(check_chain(&chain[1..], CA, &subject(), &[]), Ok(()));
    let chain = [intermediate(Some(0)), root(&p256(), Some(2))];
    check_chain(&chain, LEAF, &subject(), &[]).unwrap();
    assert_eq!(check_chain(&chain, CA, &subject(), &[]), Err(Error::PathLenExceeded { limit: 0 }));
    let broken = [intermediate(None), root(&p256(), Some(0))];
    assert_eq!(check_chain(&broken, LEAF, &subject(), &[]), Err(Error::PathLenExceeded { limit: 0 }));
}

#[test]
fn issuer_must_be_a_ca_that_signs_certificates() {
    for pem in [data!("nosign.cert.pem"), data!("leaf.cert.pem")] {
        let issuer = Certificate::from_pem(pem).unwrap();
        assert_eq!(check_chain(&[issuer], LEAF, &subject(), &[]), Err(Error::NotACa));
    }
}

#[test]
fn constraints_of_a_parent_hold_too() {
    let constrained = Certificate::from_pem(data!("nc.cert.pem")).unwrap();
    let chain = [intermediate(None), constrained];
    let subject = name("O=Example,CN=x");
    check_chain(&chain, LEAF, &subject, &[dns("www.example.com")]).unwrap();
    let refused = check_chain(&chain, LEAF, &subject, &[dns("www.example.org")]);
    let (name, authority) = ("www.example.org".to_owned(), "O=Example,CN=nc".to_owned());
    assert_eq!(refused, Err(Error::NameConstraint { name, authority }));
}

#[test]
fn intermediate_gets_one_less_than_its_issuer() {
    let issuer = |path_len| root(&p256(), path_len);
    assert_eq!(intermediate_path_len(&issuer(None), None), Ok(None));
    assert_eq!(intermediate_path_len(&issuer(None), Some(3)), Ok(Some(3)));
    assert_eq!(intermediate_path_len(&issuer(Some(2)), None), Ok(Some(1)));
    assert_eq!(intermediate_path_len(&issuer(Some(2)), Some(0)), Ok(Some(0)));
    assert_eq!(intermediate_path_len(&issuer(Some(2)), Some(2)), Err(Error::PathLenExceeded { limit: 2 }));
    assert_eq!(intermediate_path_len(&issuer(Some(0)), None), Err(Error::PathLenExceeded { limit: 0 }));
    assert_eq!(intermediate_path_len(&issuer(Some(0)), Some(0)), Err(Error::PathLenExceeded { limit: 0 }));
}

fn read(pem: &str) -> Certificate {
    Certificate::from_pem(pem).unwrap()
}

#[test]
fn nothing_is_issued_below_a_critical_extension_that_is_not_understood() {
    let (critical, extension) = (read(data!("critical.cert.pem")), "1.2.3.4".to_owned());
    let refused = Err(Error::UnknownExtension { authority: "O=Example,CN=critical".to_owned(), extension });
    assert_eq!(check_chain(std::slice::from_ref(&critical), LEAF, &subject(), &[]), refused);
    assert_eq!(check_chain(std::slice::from_ref(&critical), CA, &subject(), &[]), refused);
    assert_eq!(check_chain(&[intermediate(None), critical], LEAF, &subject(), &[]), refused);
}

#[test]
fn extended_key_usage_of_a_ca_limits_what_is_below() {
    for pem in [data!("ekuclient.cert.pem"), data!("ekuany.cert.pem")] {
        let chain = [intermediate(None), read(pem)];
        for profile in [LEAF, Profile::DualPurpose] {
            let refused = check_chain(&chain, profile, &subject(), &[]);
            assert!(
                matches!(refused, Err(Error::PurposeNotAllowed { purpose: "TLS servers", .. })),
                "{refused:?}"
            );
        }
        check_chain(&chain, CA, &subject(), &[]).unwrap();
    }
    check_chain(&[read(data!("ekuclient.cert.pem"))], Profile::Client, &subject(), &[]).unwrap();
    let refused = check_chain(&[read(data!("ekuany.cert.pem"))], Profile::Client, &subject(), &[]);
    assert!(matches!(refused, Err(Error::PurposeNotAllowed { purpose: "TLS clients", .. })), "{refused:?}");
}

#[test]
fn required_policies_count_down_along_the_path() {
    let check = |pem, profile, below: bool| {
        let chain = [intermediate(None), read(pem), root(&p256(), None)];
        let chain = if below { &chain[..] } else { &chain[1..] };
        check_chain(chain, profile, &subject(), &[])
    };
    for (pem, profile, below) in
        [(data!("explicit1.cert.pem"), LEAF, false), (data!("explicit3.cert.pem"), CA, true)]
    {
        let refused = check(pem, profile, below);
        assert!(matches!(refused, Err(Error::PolicyRequired { .. })), "{refused:?}");
    }
    check(data!("explicit3.cert.pem"), LEAF, false).unwrap();
    check(data!("explicit3.cert.pem"), LEAF, true).unwrap();
    check(data!("explicit3.cert.pem"), CA, false).unwrap();
    // Programs do not look at the policies of a trust anchor.
    check_chain(&[read(data!("explicit0.cert.pem"))], LEAF, &subject(), &[]).unwrap();
}

#[test]
fn subject_of_a_ca_is_not_given_again_below_it() {
    let chain = [intermediate(None), root(&p256(), None)];
    for (text, profile) in [
        ("CN=Test Intermediate,O=Example", LEAF),
        ("CN=test  intermediate,O=EXAMPLE", CA),
        ("CN=Test Root,O=Example", CA),
    ] {
        let refused = check_chain(&chain, profile, &name(text), &[]);
        assert!(matches!(refused, Err(Error::SubjectOfIssuer { .. })), "{text}: {refused:?}");
    }
    check_chain(&chain, LEAF, &name("CN=Test Root,O=Example"), &[]).unwrap();
    check_chain(&chain, LEAF, &Name::empty(), &[dns("a.example")]).unwrap();
}
