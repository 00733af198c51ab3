use crate::{Certificate, Error, Name, Profile, San};

/// Checks that a chain of CAs lets a new certificate be.
///
/// The chain begins with the issuer and goes on with its parents, as far as they are known, up to the root. Every CA in
/// it must be one that may sign certificates, must have room left in its path length
/// ([RFC 5280 §4.2.1.9](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.9)), its name constraints must permit
/// the subject and all alternative names, its extended key usage the purpose, and nothing in it may make programs refuse
/// what is issued below it. The subject must not be the issuer's, nor that of any CA of the chain where it is a CA's.
pub fn check_chain(
    chain: &[Certificate],
    profile: Profile,
    subject: &Name,
    sans: &[San],
) -> Result<(), Error> {
    check_subject(chain, profile, subject)?;
    let mut below = usize::from(profile.is_ca());
    for (place, authority) in chain.iter().enumerate() {
        if !authority.may_sign_certificates() {
            return Err(Error::NotACa);
        }
        if let Some(limit) = authority.path_len()
            && below > usize::from(limit)
        {
            return Err(Error::PathLenExceeded { limit });
        }
        check_names(authority, profile, subject, sans)?;
        let is_self_issued = authority.subject() == authority.issuer();
        let is_anchor = is_self_issued && place + 1 == chain.len();
        authority.limits().check(authority.subject(), profile, below, is_anchor)?;
        // Self-issued certificates do not count.
        below += usize::from(!is_self_issued);
    }
    Ok(())
}

/// The path length a new intermediate gets: the one asked for, or one less than the issuer's.
pub fn intermediate_path_len(issuer: &Certificate, asked: Option<u8>) -> Result<Option<u8>, Error> {
    let Some(limit) = issuer.path_len() else { return Ok(asked) };
    let exceeded = Error::PathLenExceeded { limit };
    let most = limit.checked_sub(1).ok_or_else(|| exceeded.clone())?;
    match asked {
        Some(asked) if asked > most => Err(exceeded),
        Some(asked) => Ok(Some(asked)),
        None => Ok(Some(most)),
    }
}

/// A subject that is the issuer's makes a certificate look self-signed, and a CA's name twice in a path leads programs
/// round in circles.
fn check_subject(chain: &[Certificate], profile: Profile, subject: &Name) -> Result<(), Error> {
    if subject.is_empty() {
        return Ok(());
    }
    let looked_at = if profile.is_ca() { chain.len() } else { 1 };
    match chain.iter().take(looked_at).find(|authority| authority.subject().is_same(subject)) {
        Some(authority) => Err(Error::SubjectOfIssuer { subject: authority.subject().to_string() }),
        None => Ok(()),
    }
}

fn check_names(authority: &Certificate, profile: Profile, subject: &Name, sans: &[San]) -> Result<(), Error> {
    let Some(constraints) = authority.name_constraints()? else { return Ok(()) };
    match constraints.offending(subject, sans, profile) {
        Some(name) => Err(Error::NameConstraint { name, authority: authority.subject().to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
