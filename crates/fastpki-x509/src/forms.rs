//! The forms that a name has for those who read it.

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};

use crate::{San, san::MAX_WRITTEN};

/// A name as it is written, and as programs may read it: without blanks around it, with look-alikes and what is invisible
/// mapped as [UTS #46](https://www.unicode.org/reports/tr46/) and names in certificates are compared, with A-labels
/// and with U-labels. Each form once, the one that is written first.
pub fn forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned()];
    add(&mut forms, text.trim());
    if let Some((local, domain)) = text.trim().rsplit_once('@') {
        for domain in forms_of_host(domain) {
            add(&mut forms, &format!("{local}@{domain}"));
        }
    }
    for form in forms_of_host(text.trim()) {
        add(&mut forms, &form);
    }
    if let Ok(address) = San::parse_email(text.trim()) {
        add(&mut forms, &address.to_string());
    }
    forms
}

/// The other forms of what may be a host name.
fn forms_of_host(text: &str) -> Vec<String> {
    let plain = text.is_ascii() && !text.to_ascii_lowercase().contains("xn--");
    // A longer one is no name of a host, and IDNA takes time with the length of its input.
    if plain || text.len() > MAX_WRITTEN {
        return Vec::new();
    }
    let (mapped, _) = Uts46::new().to_unicode(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow);
    let ascii = San::parse_dns(text).ok().map(|name| name.to_string());
    [mapped.into_owned()].into_iter().chain(ascii).collect()
}

fn add(forms: &mut Vec<String>, form: &str) {
    if !forms.iter().any(|it| it == form) {
        forms.push(form.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::forms;

    #[test]
    fn plain_names_have_one_form() {
        for name in ["www.example.com", "*.example.com", "Bob Smith", "bob@example.com", "192.0.2.1", ""] {
            assert_eq!(forms(name), [name]);
        }
    }

    #[test]
    fn other_names_have_those_that_programs_read() {
        for (name, others) in [
            ("ｐrod.example.com", &["prod.example.com"][..]),
            ("\u{ad}prod.example.com", &["prod.example.com"]),
            ("prod。example.com", &["prod.example.com"]),
            ("ｐrod_1.example.com", &["prod_1.example.com"]),
            ("ｐrod db", &["prod db"]),
            (" prod.example.com ", &["prod.example.com"]),
            ("bücher.example", &["xn--bcher-kva.example"]),
            ("XN--BCHER-KVA.example", &["bücher.example", "xn--bcher-kva.example"]),
            ("*.bücher.example", &["*.xn--bcher-kva.example"]),
            ("eve@ｅvil.net", &["eve@evil.net"]),
            ("eve@bücher.example", &["eve@xn--bcher-kva.example"]),
            ("eve@xn--bcher-kva.example", &["eve@bücher.example"]),
        ] {
            let expected: Vec<&str> = [name].into_iter().chain(others.iter().copied()).collect();
            assert_eq!(forms(name), expected, "{name}");
        }
    }
}
