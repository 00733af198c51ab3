use const_oid::{
    AssociatedOid, ObjectIdentifier,
    db::rfc5280::{
        ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES,
        ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE, ID_CE_INHIBIT_ANY_POLICY, ID_CE_KEY_USAGE,
        ID_CE_NAME_CONSTRAINTS, ID_CE_POLICY_CONSTRAINTS, ID_CE_POLICY_MAPPINGS, ID_CE_SUBJECT_ALT_NAME,
        ID_CE_SUBJECT_KEY_IDENTIFIER, ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH,
    },
};
use der::Decode;
use x509_cert::ext::pkix::{ExtendedKeyUsage, PolicyConstraints};

use crate::{Error, Name, Profile, certificate::Parsed};

/// What the certificate of a CA asks of everything below it, beside path length and names.
#[derive(Clone, Default)]
pub(crate) struct Limits {
    /// The first critical extension that is not understood, or cannot be read.
    unknown: Option<String>,
    /// What certificates below may be for; `None` sets no limit.
    purposes: Option<Purposes>,
    /// After how many certificates of a path each needs a policy.
    explicit_policy: Option<u32>,
}

#[derive(Clone, Copy)]
struct Purposes {
    server: bool,
    client: bool,
}

impl Limits {
    pub(crate) fn of(parsed: &Parsed<'_>) -> Self {
        let mut limits = Self::default();
        for extension in parsed.extensions() {
            let understood = if extension.id == ExtendedKeyUsage::OID {
                limits.read_purposes(extension.value.as_bytes())
            } else if extension.id == PolicyConstraints::OID {
                limits.read_policies(extension.value.as_bytes())
            } else {
                !extension.critical || UNDERSTOOD.iter().any(|known| extension.id == *known)
            };
            if !understood && limits.unknown.is_none() {
                limits.unknown = Some(extension.id.to_string());
            }
        }
        limits
    }

    fn read_purposes(&mut self, value: &[u8]) -> bool {
        self.purposes = ExtendedKeyUsage::from_der(value).ok().as_ref().map(Purposes::of);
        self.purposes.is_some()
    }

    fn read_policies(&mut self, value: &[u8]) -> bool {
        let constraints = PolicyConstraints::from_der(value);
        self.explicit_policy = constraints.as_ref().ok().and_then(|it| it.require_explicit_policy);
        constraints.is_ok()
    }

    /// Checks that programs accept a certificate of this profile below the CA, with so many CAs between the two, the
    /// certificate itself included where it is a CA. The policies of a trust anchor ask nothing.
    pub(crate) fn check(
        &self,
        authority: &Name,
        profile: Profile,
        below: usize,
        is_anchor: bool,
    ) -> Result<(), Error> {
        let authority = || authority.to_string();
        if let Some(extension) = self.unknown.clone() {
            return Err(Error::UnknownExtension { authority: authority(), extension });
        }
        if let Some(purpose) = self.purposes.and_then(|it| it.missing(profile)) {
            return Err(Error::PurposeNotAllowed { authority: authority(), purpose });
        }
        // RFC 5280 §6.1.4 (h) and §6.1.5 (a): each certificate of the path that is not self-issued counts one down, the
        // last one too, and nothing issued here has a policy.
        if !is_anchor && self.explicit_policy.is_some_and(|skipped| skipped as usize <= below + 1) {
            return Err(Error::PolicyRequired { authority: authority() });
        }
        Ok(())
    }
}

impl Purposes {
    /// OpenSSL wants the purpose itself: `anyExtendedKeyUsage` of a CA is not enough for a TLS server or client.
    fn of(usage: &ExtendedKeyUsage) -> Self {
        Self { server: usage.0.contains(&ID_KP_SERVER_AUTH), client: usage.0.contains(&ID_KP_CLIENT_AUTH) }
    }

    fn missing(self, profile: Profile) -> Option<&'static str> {
        if profile.is_server() && !self.server {
            return Some("TLS servers");
        }
        (profile.is_client() && !self.client).then_some("TLS clients")
    }
}

/// The critical extensions that are honoured when something is issued below a CA, or that ask nothing of it.
pub(crate) const UNDERSTOOD: [ObjectIdentifier; 12] = [
    ID_CE_AUTHORITY_KEY_IDENTIFIER,
    ID_CE_BASIC_CONSTRAINTS,
    ID_CE_CERTIFICATE_POLICIES,
    ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_EXT_KEY_USAGE,
    ID_CE_INHIBIT_ANY_POLICY,
    ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS,
    ID_CE_POLICY_CONSTRAINTS,
    ID_CE_POLICY_MAPPINGS,
    ID_CE_SUBJECT_ALT_NAME,
    ID_CE_SUBJECT_KEY_IDENTIFIER,
];
