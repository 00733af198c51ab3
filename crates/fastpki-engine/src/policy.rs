//! What service accounts may have issued.

use std::net::IpAddr;

use fastpki_types::{CaId, CertificateType, IssuanceRules, Named};
use fastpki_x509::San;
use ipnet::IpNet;

use crate::{Caller, Engine, Error, glob::Glob, subject::Subject};

/// What one service account may have issued.
#[derive(Clone)]
pub(crate) struct Policy(IssuanceRules);

impl Engine {
    /// The policy that the caller is subject to: users to none; a service account without one may have nothing issued.
    pub(crate) async fn policy_of(&self, caller: &Caller) -> Result<Option<Policy>, Error> {
        let Some(account) = caller.service_account_id() else { return Ok(None) };
        let policy = self.store.policy(account).await?.ok_or(Error::NoPolicy)?;
        Ok(Some(Policy(policy.rules)))
    }
}

impl Policy {
    /// What it says.
    pub(crate) fn rules(&self) -> &IssuanceRules {
        &self.0
    }

    /// Refuses what the policy does not allow: the first rule that does not, in a fixed order. The names are those
    /// that will be in the certificate, wherever they come from.
    pub(crate) fn check(
        &self,
        certificate_type: CertificateType,
        issuer: CaId,
        subject: &Subject,
        days: u32,
    ) -> Result<(), Error> {
        let rules = &self.0;
        if !rules.allowed_certificate_types.contains(&certificate_type) {
            return violation("allowed_certificate_types", certificate_type.name());
        }
        if !rules.allowed_ca_ids.contains(&issuer.0) {
            return violation("allowed_ca_ids", issuer.0);
        }
        let common_names = subject.name.common_names();
        all("cn_patterns", common_names.iter().chain([&subject.common_name]), |name| {
            fits(&rules.cn_patterns, name)
        })?;
        self.check_sans(subject)?;
        if days > rules.max_validity_days {
            return violation("max_validity_days", days);
        }
        Ok(())
    }

    fn check_sans(&self, subject: &Subject) -> Result<(), Error> {
        let rules = &self.0;
        // The common name is allowed by now, and so is the SAN that is made of it.
        let by_common_name =
            [San::parse_dns(&subject.common_name).ok(), San::parse_email(&subject.common_name).ok()];
        let others = || subject.sans.iter().filter(|san| !by_common_name.contains(&Some((*san).clone())));
        let dns = others().filter_map(|san| match san {
            San::Dns(name) => Some(name.as_str().to_owned()),
            San::Ip(_) | San::Email(_) => None,
        });
        all("san_dns_patterns", dns, |name| fits(&rules.san_dns_patterns, name))?;
        let addresses = subject.sans.iter().filter_map(|san| match san {
            San::Ip(address) => Some(*address),
            San::Dns(_) | San::Email(_) => None,
        });
        all("san_ip_cidrs", addresses, |address| in_networks(&rules.san_ip_cidrs, *address))?;
        let emails = others().filter_map(|san| match san {
            San::Email(address) => Some(address.as_str().to_owned()),
            San::Dns(_) | San::Ip(_) => None,
        });
        // An address in the subject is one that the certificate is for, too.
        let in_subject = subject.name.email_addresses().into_iter().filter(|it| *it != subject.common_name);
        all("san_email_domains", emails.chain(in_subject), |address| {
            of_domains(&rules.san_email_domains, address)
        })
    }
}

/// Networks as policies write them: with a prefix length, or a single address. Bits beyond the prefix do not count.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).map(|net| net.trunc())
}

fn fits(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| Glob::new(pattern).matches(name))
}

fn in_networks(networks: &[String], address: IpAddr) -> bool {
    networks.iter().filter_map(|text| parse_network(text)).any(|network| network.contains(&address))
}

fn of_domains(domains: &[String], address: &str) -> bool {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain);
    domain.is_some_and(|domain| domains.iter().any(|allowed| allowed.trim().eq_ignore_ascii_case(domain)))
}

fn all<T: ToString>(
    field: &'static str,
    values: impl IntoIterator<Item = T>,
    allowed: impl Fn(&T) -> bool,
) -> Result<(), Error> {
    match values.into_iter().find(|value| !allowed(value)) {
        Some(value) => violation(field, value),
        None => Ok(()),
    }
}

fn violation<T: ToString>(field: &'static str, value: T) -> Result<(), Error> {
    Err(Error::PolicyViolation { field, value: value.to_string() })
}
