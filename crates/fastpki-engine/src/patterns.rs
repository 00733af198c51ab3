//! The patterns of one rule of an issuance policy, made ready once for many names.

use std::collections::HashSet;

use fastpki_x509::{DnsName, forms};

use crate::{
    Error,
    glob::{Glob, lower},
};

/// Patterns of which a name must fit one.
pub(crate) struct Patterns {
    /// Those without wildcards, in lower case.
    exact: HashSet<Vec<char>>,
    globs: Vec<Glob>,
}

/// The work that checking the names of one certificate may still take.
pub(crate) struct Budget(u64);

impl Patterns {
    pub(crate) fn new(patterns: &[String]) -> Self {
        let (globs, exact): (Vec<String>, Vec<String>) = (patterns.iter())
            .flat_map(|pattern| variants(pattern))
            .partition(|pattern| has_wildcard(pattern));
        Self {
            exact: exact.iter().map(|pattern| lower(pattern)).collect(),
            globs: globs.iter().map(|pattern| Glob::new(pattern)).collect(),
        }
    }

    /// The form of a name that fits no pattern; `None` where each of its forms fits one.
    pub(crate) fn refused(&self, name: &str, budget: &mut Budget) -> Result<Option<String>, Error> {
        for form in forms(name) {
            if !self.fits(&lower(&form), budget)? {
                return Ok(Some(form));
            }
        }
        Ok(None)
    }

    fn fits(&self, name: &[char], budget: &mut Budget) -> Result<bool, Error> {
        if self.exact.contains(name) {
            return Ok(true);
        }
        for glob in &self.globs {
            let fits = glob.matches(name, &mut budget.0);
            if budget.0 == 0 {
                return Err(Error::Invalid(
                    "these names cannot be checked against the issuance policy in reasonable time: ask for fewer names at once, or an admin for a policy with fewer patterns".into(),
                ));
            }
            if fits {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self(MAX_STEPS)
    }
}

/// A pattern as it is written, and with its labels outside of ASCII as A-labels and as U-labels, as far as they have no
/// wildcards: the forms of a name that it allows are allowed too.
fn variants(pattern: &str) -> Vec<String> {
    let with = |form: fn(&DnsName) -> String| {
        let label = |label: &str| {
            let name = if has_wildcard(label) { None } else { label.parse::<DnsName>().ok() };
            name.map_or_else(|| label.to_owned(), |name| form(&name))
        };
        pattern.split('.').map(label).collect::<Vec<_>>().join(".")
    };
    let mut variants = vec![pattern.to_owned()];
    if !pattern.is_ascii() || pattern.to_ascii_lowercase().contains("xn--") {
        variants.extend([with(DnsName::to_string), with(DnsName::to_unicode)]);
        variants.sort();
        variants.dedup();
    }
    variants
}

fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Steps of matching, each a few nanoseconds: a quarter of a second at the most. 1,000 names take 50 steps for each of
/// 1,000 patterns, of which those that do not fit take two or three.
const MAX_STEPS: u64 = 50_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(patterns: &[&str], name: &str) -> Option<String> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Patterns::new(&patterns).refused(name, &mut Budget::new()).unwrap()
    }

    #[test]
    fn every_form_of_a_name_must_fit() {
        for name in ["ｐrod.svc", "\u{ad}prod.svc", "\u{200b}prod.svc", " prod.svc"] {
            assert_eq!(refused(&["[!p]*.svc"], name).as_deref(), Some("prod.svc"), "{name}");
        }
        // The Kelvin sign is K in lower case, and in no other way.
        assert_eq!(refused(&["[!k]*.svc"], "\u{212a}8s.svc").as_deref(), Some("k8s.svc"));
        assert_eq!(refused(&["k8s.svc"], "\u{212a}8s.svc").as_deref(), Some("\u{212a}8s.svc"));
        // "pröd": the U-label counts as the A-label does.
        assert_eq!(refused(&["[!p]*.svc"], "xn--prd-tna.svc").as_deref(), Some("pröd.svc"));
        assert_eq!(refused(&["[!x]*.svc"], "pröd.svc").as_deref(), Some("xn--prd-tna.svc"));
    }

    #[test]
    fn patterns_allow_their_names_in_either_form() {
        for pattern in ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "*.example", "bücher.*"]
        {
            for name in ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example"] {
                assert_eq!(refused(&[pattern], name), None, "{pattern} {name}");
            }
        }
        assert_eq!(refused(&["*.bücher.example"], "www.xn--bcher-kva.example"), None);
        assert!(refused(&["bücher.example"], "bucher.example").is_some());
    }

    #[test]
    fn work_is_bounded_by_the_steps_it_takes() {
        let costly: Vec<String> = (0..1000).map(|number| format!("*{}b{number}*", "a".repeat(240))).collect();
        let patterns = Patterns::new(&costly);
        let mut budget = Budget::new();
        let name = "a".repeat(253);
        let refusal = (0..1000).find_map(|_| patterns.refused(&name, &mut budget).err());
        assert!(refusal.unwrap().to_string().contains("fewer names"));
    }

    #[test]
    fn many_names_and_patterns_of_the_usual_kind_stay_far_below_the_bound() {
        let usual = (0..1000).map(|number| format!("*.team-{number}.svc.example.com"));
        let patterns = Patterns::new(&usual.collect::<Vec<_>>());
        let mut budget = Budget::new();
        for number in 0..1000 {
            let name = format!("host.team-{number}.svc.example.com");
            assert_eq!(patterns.refused(&name, &mut budget).unwrap(), None);
        }
        assert!(budget.0 > MAX_STEPS / 2, "{}", budget.0);
    }
}
