//! What RFC 5280 and our profile demand, asked of everything that was signed before anyone sees it.

use const_oid::{
    AssociatedOid,
    db::rfc5280::{
        ID_AD_CA_ISSUERS, ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_CRL_NUMBER,
        ID_PE_AUTHORITY_INFO_ACCESS,
    },
};
use der::{Decode, Reader, SliceReader, asn1::OctetStringRef};
use x509_cert::{
    Version,
    ext::pkix::{
        AuthorityInfoAccessSyntax, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
        SubjectAltName, SubjectKeyIdentifier,
        name::{DistributionPointName, GeneralName},
    },
    time::Time,
};

use crate::{
    Error, Request, Urls,
    asn1::{ExtensionRef, Signed, decode},
    certificate::{Parsed, key_identifier_of},
    crl::{Entry, Expected, TbsCertList},
    issue::Issuer,
    san,
    serial::SERIAL_LEN,
};

/// Checks a certificate that was just signed against what was asked for.
pub(crate) fn certificate(parsed: &Parsed<'_>, request: &Request, issuer: &Issuer) -> Result<(), Error> {
    let tbs = &parsed.tbs;
    let validity = tbs.validity.to_validity();
    check(tbs.version == Version::V3, "the version is not 3")?;
    check(tbs.serial.as_bytes() == request.serial.magnitude(), "the serial number is not the one given")?;
    check(
        is_short_positive(tbs.serial.as_bytes()),
        "the serial number is not positive or has more than 20 octets",
    )?;
    check(tbs.signature == parsed.signed.algorithm, "the two signature algorithms differ")?;
    check(tbs.issuer.0 == issuer.name.der(), "the issuer is not the subject of the issuer's certificate")?;
    check(!issuer.name.is_empty(), "the issuer's name is empty")?;
    check(tbs.subject.0 == request.subject.der(), "the subject is not the one given")?;
    check(tbs.spki.0 == request.public_key.spki_der(), "the key is not the one given")?;
    check(validity == request.validity.truncated(), "the validity is not the one given")?;
    check(validity.not_before < validity.not_after, "the validity is empty")?;
    check(validity.not_before >= issuer.validity.not_before, "the certificate is valid before its issuer")?;
    check(validity.not_after <= issuer.validity.not_after, "the certificate outlives its issuer")?;
    check(is_rfc5280_time(tbs.validity.not_before), "notBefore has the wrong type of time")?;
    check(is_rfc5280_time(tbs.validity.not_after), "notAfter has the wrong type of time")?;
    check(tbs.issuer_unique_id.is_none() && tbs.subject_unique_id.is_none(), "there is a unique identifier")?;
    extensions(parsed, request, issuer)
}

fn extensions(parsed: &Parsed<'_>, request: &Request, issuer: &Issuer) -> Result<(), Error> {
    let find = |id| parsed.extension(id);
    basic_constraints(find(BasicConstraints::OID), request)?;
    usages(find(KeyUsage::OID), find(ExtendedKeyUsage::OID), request)?;
    alternative_names(find(SubjectAltName::OID), request)?;
    key_identifiers(find(SubjectKeyIdentifier::OID), find(ID_CE_AUTHORITY_KEY_IDENTIFIER), request, issuer)?;
    urls(find(ID_CE_CRL_DISTRIBUTION_POINTS), find(ID_PE_AUTHORITY_INFO_ACCESS), request.urls.as_ref())
}

fn basic_constraints(extension: Option<&ExtensionRef<'_>>, request: &Request) -> Result<(), Error> {
    let extension = extension.ok_or(Error::Lint("there are no basic constraints"))?;
    let basic: BasicConstraints = decode(extension.value.as_bytes(), "basic constraints")?;
    check(extension.critical, "the basic constraints are not critical")?;
    check(basic.ca == request.profile.is_ca(), "the basic constraints do not fit the profile")?;
    check(basic.path_len_constraint == request.profile.path_len(), "the path length is not the one given")
}

fn usages(
    key_usage: Option<&ExtensionRef<'_>>,
    extended: Option<&ExtensionRef<'_>>,
    request: &Request,
) -> Result<(), Error> {
    let key_usage = key_usage.ok_or(Error::Lint("there is no key usage"))?;
    let usage: KeyUsage = decode(key_usage.value.as_bytes(), "key usage")?;
    check(key_usage.critical, "the key usage is not critical")?;
    check(usage == request.key_usage(), "the key usage does not fit the profile")?;
    check(usage.key_cert_sign() == request.profile.is_ca(), "only CAs sign certificates")?;

    let Some(extended) = extended else {
        return check(request.profile.is_ca(), "there is no extended key usage");
    };
    let purposes: ExtendedKeyUsage = decode(extended.value.as_bytes(), "extended key usage")?;
    check(!request.profile.is_ca(), "a CA has an extended key usage")?;
    check(!extended.critical, "the extended key usage is critical")?;
    check(purposes == request.extended_key_usage(), "the extended key usage does not fit the profile")
}

fn alternative_names(extension: Option<&ExtensionRef<'_>>, request: &Request) -> Result<(), Error> {
    let Some(extension) = extension else {
        let nothing_asked = request.profile.is_ca() || request.sans.is_empty();
        return check(nothing_asked, "the subject alternative names are missing");
    };
    check(!request.profile.is_ca(), "a CA has subject alternative names")?;
    // RFC 5280 §4.2.1.6: critical "if the subject field contains an empty sequence".
    let criticality = "subject alternative names are critical exactly where the subject is empty";
    check(extension.critical == request.subject.is_empty(), criticality)?;
    let names = san::decode_sans(extension.value.as_bytes())?;
    check(names == request.sans, "the subject alternative names are not the ones given")
}

fn key_identifiers(
    subject: Option<&ExtensionRef<'_>>,
    authority: Option<&ExtensionRef<'_>>,
    request: &Request,
    issuer: &Issuer,
) -> Result<(), Error> {
    let subject = subject.ok_or(Error::Lint("there is no subject key identifier"))?;
    let id: &OctetStringRef = decode(subject.value.as_bytes(), "subject key identifier")?;
    check(!subject.critical, "the subject key identifier is critical")?;
    check(
        id.as_bytes() == request.public_key.key_identifier(),
        "the subject key identifier is not the key's",
    )?;

    check(authority.is_none_or(|it| !it.critical), "the authority key identifier is critical")?;
    let id = authority.map(|it| key_identifier_of(it.value.as_bytes())).transpose()?;
    check(id.flatten() == issuer.key_id.as_deref(), "the authority key identifier is not the issuer's")
}

fn urls(
    crl: Option<&ExtensionRef<'_>>,
    ca: Option<&ExtensionRef<'_>>,
    expected: Option<&Urls>,
) -> Result<(), Error> {
    let not_critical = crl.into_iter().chain(ca).all(|it| !it.critical);
    check(not_critical, "the extension of a published URL is critical")?;
    let published = (crl.map(crl_url).transpose()?, ca.map(ca_url).transpose()?);
    let expected = (expected.map(|it| it.crl.clone()), expected.map(|it| it.ca.clone()));
    check(published == expected, "the published URLs are not the ones given")
}

/// The URL of the only distribution point.
fn crl_url(extension: &ExtensionRef<'_>) -> Result<String, Error> {
    let points: CrlDistributionPoints = decode(extension.value.as_bytes(), "CRL distribution points")?;
    if let [point] = &points.0[..]
        && point.reasons.is_none()
        && point.crl_issuer.is_none()
        && let Some(DistributionPointName::FullName(names)) = &point.distribution_point
        && let [GeneralName::UniformResourceIdentifier(url)] = &names[..]
    {
        return Ok(url.as_str().to_owned());
    }
    Err(Error::Lint("the CRL distribution points are not one URL"))
}

/// The URL of the only access description.
fn ca_url(extension: &ExtensionRef<'_>) -> Result<String, Error> {
    let access: AuthorityInfoAccessSyntax = decode(extension.value.as_bytes(), "authority info access")?;
    if let [description] = &access.0[..]
        && description.access_method == ID_AD_CA_ISSUERS
        && let GeneralName::UniformResourceIdentifier(url) = &description.access_location
    {
        return Ok(url.as_str().to_owned());
    }
    Err(Error::Lint("the authority information access is not one URL"))
}

/// Checks a revocation list that was just signed.
pub(crate) fn crl(signed: &Signed<'_>, expected: &Expected) -> Result<(), Error> {
    let tbs: TbsCertList<'_> = decode(signed.body.0, "new revocation list")?;
    check(tbs.version == 1, "the version of the list is not 2")?;
    check(tbs.signature == signed.algorithm, "the two signature algorithms of the list differ")?;
    check(
        tbs.issuer.0 == expected.issuer,
        "the list's issuer is not the subject of the issuer's certificate",
    )?;
    check(is_rfc5280_time(tbs.this_update), "thisUpdate has the wrong type of time")?;
    check(is_rfc5280_time(tbs.next_update), "nextUpdate has the wrong type of time")?;
    let (this, next) = (tbs.this_update.to_unix_duration(), tbs.next_update.to_unix_duration());
    check(this < next, "nextUpdate is not after thisUpdate")?;
    crl_extensions(tbs.extensions.as_deref().unwrap_or_default(), expected)?;

    let Some(entries) = tbs.entries else { return check(expected.count == 0, "the list lost its entries") };
    let count =
        crl_entries(entries.0).map_err(|_| Error::Malformed { what: "entry of a revocation list" })?;
    check(count > 0, "an empty list of entries is written instead of none")?;
    check(count == expected.count, "the list lost entries")
}

fn crl_extensions(extensions: &[ExtensionRef<'_>], expected: &Expected) -> Result<(), Error> {
    let [authority, number] = extensions else {
        return Err(Error::Lint("the list has not its two extensions"));
    };
    let ids_are_right = authority.id == ID_CE_AUTHORITY_KEY_IDENTIFIER && number.id == ID_CE_CRL_NUMBER;
    check(ids_are_right, "the list lacks its authority key identifier or its number")?;
    check(!authority.critical && !number.critical, "an extension of the list is critical")?;
    let key_id = key_identifier_of(authority.value.as_bytes())?;
    check(key_id == Some(&expected.key_id), "the authority key identifier of the list is not the issuer's")?;
    let number: u64 = decode(number.value.as_bytes(), "CRL number")?;
    check(number == expected.number, "the number of the list is not the one given")
}

fn crl_entries(entries: &[u8]) -> der::Result<usize> {
    let mut reader = SliceReader::new(entries)?;
    let mut count = 0;
    while !reader.is_finished() {
        Entry::decode(&mut reader)?;
        count += 1;
    }
    Ok(count)
}

fn is_short_positive(serial: &[u8]) -> bool {
    let encoded = serial.len() + usize::from(serial.first().is_some_and(|byte| *byte >= 0x80));
    encoded <= SERIAL_LEN && serial.iter().any(|byte| *byte != 0)
}

/// RFC 5280 §4.1.2.5: dates "through the year 2049 as UTCTime", those in 2050 or later as GeneralizedTime.
fn is_rfc5280_time(time: Time) -> bool {
    matches!(time, Time::UtcTime(_)) == (time.to_date_time().year() < 2050)
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Lint(otherwise)) }
}

#[cfg(test)]
mod tests;
