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
