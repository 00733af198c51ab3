//! What service accounts may have issued.

use std::{collections::HashSet, net::IpAddr};

use fastpki_types::{CaId, CertificateType, IssuanceRules, Named};
use fastpki_x509::{DnsName, San};
use ipnet::IpNet;

use crate::{
    Caller, Engine, Error,
    patterns::{Budget, Patterns},
    subject::Subject,
};

/// What one service account is allowed to issue, ready to check names.
pub(crate) struct Policy {
    rules: IssuanceRules,
    common_names: Patterns,
    dns_names: Patterns,
    networks: Vec<IpNet>,
    /// Domains of e-mail addresses with A-labels, in lower case.
    domains: HashSet<String>,
}

impl Engine {
    /// The policy that the caller is subject to: users to none; a service account without one may have nothing issued.
    pub(crate) async fn policy_of(&self, caller: &Caller) -> Result<Option<Policy>, Error> {
        let Some(account) = caller.service_account_id() else { return Ok(None) };
        let policy = self.store.policy(account).await?.ok_or(Error::NoPolicy)?;
        self.lanes.sign(move || Some(Policy::new(policy.rules))).await
    }
}

impl Policy {
    fn new(rules: IssuanceRules) -> Self {
        Self {
            common_names: Patterns::new(&rules.cn_patterns),
            dns_names: Patterns::new(&rules.san_dns_patterns),
            networks: rules.san_ip_cidrs.iter().filter_map(|text| parse_network(text)).collect(),
            domains: rules.san_email_domains.iter().map(|domain| domain_of(domain.trim())).collect(),
            rules,
        }
    }

    /// What it says.
    pub(crate) fn rules(&self) -> &IssuanceRules {
        &self.rules
    }

    /// Refuses what the policy does not allow: the first rule that does not, in a fixed order. The names are those
    /// that will be in the certificate, wherever they come from, in each form in which somebody may read them.
    pub(crate) fn check(
        &self,
        certificate_type: CertificateType,
        issuer: CaId,
        subject: &Subject,
        days: u32,
    ) -> Result<(), Error> {
        let rules = &self.rules;
        if !rules.allowed_certificate_types.contains(&certificate_type) {
            return violation("allowed_certificate_types", certificate_type.name());
        }
        if !rules.allowed_ca_ids.contains(&issuer.0) {
            return violation("allowed_ca_ids", issuer.0);
        }
        let mut budget = Budget::new();
        for name in subject.name.common_names().iter().chain([&subject.common_name]) {
            if let Some(form) = self.common_names.refused(name, &mut budget)? {
                return violation("cn_patterns", form);
            }
        }
        self.check_sans(subject, &mut budget)?;
        if days > rules.max_validity_days {
            return violation("max_validity_days", days);
        }
        Ok(())
    }

    fn check_sans(&self, subject: &Subject, budget: &mut Budget) -> Result<(), Error> {
        // The common name is allowed by now in all its forms, and so is the SAN that is made of it.
        let by_common_name =
            [San::parse_dns(&subject.common_name).ok(), San::parse_email(&subject.common_name).ok()];
        let others = || subject.sans.iter().filter(|san| !by_common_name.contains(&Some((*san).clone())));
        let dns = others().filter_map(|san| match san {
            San::Dns(name) => Some(name.as_str()),
            San::Ip(_) | San::Email(_) => None,
        });
        for name in dns {
            if let Some(form) = self.dns_names.refused(name, budget)? {
                return violation("san_dns_patterns", form);
            }
        }
        let addresses = subject.sans.iter().filter_map(|san| match san {
            San::Ip(address) => Some(*address),
            San::Dns(_) | San::Email(_) => None,
        });
        all("san_ip_cidrs", addresses, |address| {
            self.networks.iter().any(|network| network.contains(address))
        })?;
        let emails = others().filter_map(|san| match san {
            San::Email(address) => Some(address.as_str().to_owned()),
            San::Dns(_) | San::Ip(_) => None,
        });
        // An address in the subject is one that the certificate is for, too.
        let in_subject = subject.name.email_addresses().into_iter().filter(|it| *it != subject.common_name);
        all("san_email_domains", emails.chain(in_subject), |address| {
            address.rsplit_once('@').is_some_and(|(_, domain)| self.domains.contains(&domain_of(domain)))
        })
    }
}

/// Networks as policies write them: with a prefix length, or a single address. Bits beyond the prefix do not count.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).map(|net| net.trunc())
}

/// A domain as it is compared: with A-labels where it is the name of a host.
fn domain_of(text: &str) -> String {
    text.parse::<DnsName>().map_or_else(|_| text.to_ascii_lowercase(), |name| name.as_str().to_owned())
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
