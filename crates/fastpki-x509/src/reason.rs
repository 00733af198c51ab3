/// Why a certificate was revoked, [RFC 5280 §5.3.1](https://www.rfc-editor.org/rfc/rfc5280#section-5.3.1).
///
/// `removeFromCRL` is left out: it belongs to delta lists, which there are none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No reason is stated.
    Unspecified,
    /// The subject's private key is, or may be, known to others.
    KeyCompromise,
    /// The private key of the CA is, or may be, known to others.
    CaCompromise,
    /// The subject's name or other data changed.
    AffiliationChanged,
    /// Another certificate took this one's place.
    Superseded,
    /// The certificate is no longer needed.
    CessationOfOperation,
    /// The certificate is suspended.
    CertificateHold,
    /// A privilege the certificate stood for was withdrawn.
    PrivilegeWithdrawn,
    /// The private key of the attribute authority is, or may be, known to others.
    AaCompromise,
}

impl Reason {
    /// The reason a free text names, however its words are joined or capitalised; anything else is unspecified.
    pub fn from_text(text: Option<&str>) -> Self {
        let letters = text.unwrap_or_default().chars().filter(|c| !matches!(c, '_' | '-' | ' '));
        match letters.collect::<String>().to_ascii_lowercase().as_str() {
            "keycompromise" => Self::KeyCompromise,
            "cacompromise" => Self::CaCompromise,
            "affiliationchanged" => Self::AffiliationChanged,
            "superseded" => Self::Superseded,
            "cessationofoperation" => Self::CessationOfOperation,
            "certificatehold" => Self::CertificateHold,
            "privilegewithdrawn" => Self::PrivilegeWithdrawn,
            "aacompromise" => Self::AaCompromise,
            _ => Self::Unspecified,
        }
    }

    /// The reason that a reasonCode extension states; `None` where it is none of these.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code().unwrap_or_default() == code)
    }

    /// The reason in words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unspecified => "no reason stated",
            Self::KeyCompromise => "key compromise",
            Self::CaCompromise => "CA compromise",
            Self::AffiliationChanged => "affiliation changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation of operation",
            Self::CertificateHold => "certificate hold",
            Self::PrivilegeWithdrawn => "privilege withdrawn",
            Self::AaCompromise => "attribute authority compromise",
        }
    }

    /// The reason as [`Reason::from_text`] reads it and programs write it; `None` where none is stated.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some("key_compromise"),
            Self::CaCompromise => Some("ca_compromise"),
            Self::AffiliationChanged => Some("affiliation_changed"),
            Self::Superseded => Some("superseded"),
            Self::CessationOfOperation => Some("cessation_of_operation"),
            Self::CertificateHold => Some("certificate_hold"),
            Self::PrivilegeWithdrawn => Some("privilege_withdrawn"),
            Self::AaCompromise => Some("aa_compromise"),
        }
    }

    const ALL: [Self; 9] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The value of the reasonCode extension; `None` where it is left out.
    pub(crate) fn code(self) -> Option<u8> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(1),
            Self::CaCompromise => Some(2),
            Self::AffiliationChanged => Some(3),
            Self::Superseded => Some(4),
            Self::CessationOfOperation => Some(5),
            Self::CertificateHold => Some(6),
            Self::PrivilegeWithdrawn => Some(9),
            Self::AaCompromise => Some(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_reasons_are_recognised_in_any_spelling() {
        for text in ["key_compromise", "key-compromise", "Key Compromise", "keyCompromise", "KEYCOMPROMISE"] {
            assert_eq!(Reason::from_text(Some(text)), Reason::KeyCompromise, "{text}");
        }
        assert_eq!(Reason::from_text(Some("cACompromise")), Reason::CaCompromise);
        assert_eq!(Reason::from_text(Some("aA_compromise")), Reason::AaCompromise);
        assert_eq!(Reason::from_text(Some("cessationOfOperation")), Reason::CessationOfOperation);
    }

    #[test]
    fn names_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_text(reason.name()), reason);
        }
    }

    #[test]
    fn reasons_are_found_by_their_codes() {
        assert_eq!(Reason::from_code(0), Some(Reason::Unspecified));
        for reason in Reason::ALL {
            assert_eq!(reason.code().map_or(Some(Reason::Unspecified), Reason::from_code), Some(reason));
        }
        for code in [7, 8, 11, 255] {
            assert_eq!(Reason::from_code(code), None);
        }
    }

    #[test]
    fn free_text_never_becomes_remove_from_crl() {
        for text in
            [None, Some(""), Some("removeFromCRL"), Some("remove_from_crl"), Some("laptop stolen"), Some("8")]
        {
            assert_eq!(Reason::from_text(text), Reason::Unspecified, "{text:?}");
        }
    }
}
