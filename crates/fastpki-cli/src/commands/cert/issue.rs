//! New certificates: issued, requested, signed from a CSR, renewed.

use std::{fs, path::PathBuf};

use fastpki_types::{CaId, CertificateCreate, CertificateRenew, CsrSign, KeyType, SanRequest};

use super::{Context, DETAIL};
use crate::{
    client::Answer,
    config,
    delivery::Delivery,
    error::Error,
    output,
    pki::{self, Wish},
    progress::Progress,
};

mod options;

use options::SanOptions;
pub(super) use options::{Create, Renew, RequestCertificate, SignCsr};

pub(super) fn create(context: &Context, create: Create) -> Result<(), Error> {
    let rsa = create.key.key_type.is_none_or(|key_type| key_type == KeyType::Rsa);
    let (asked, default) = (create.key.key_size, config::CERT_KEY_SIZE);
    let body = CertificateCreate {
        subject_dn: create.names.subject_dn.unwrap_or_else(|| subject_of(&create.names.cn)),
        common_name: create.names.cn,
        certificate_type: create.terms.certificate_type,
        key_type: create.key.key_type,
        key_size: if rsa { context.or_default(asked, default)? } else { asked },
        valid_days: context.or_default(create.terms.valid_days, config::CERT_VALID_DAYS)?,
        include_private_key: !create.no_private_key,
        sans: create.names.sans.into(),
    };
    let delivery = create.out.prepare()?;
    if let Some(delivery) = delivery.as_ref().filter(|_| body.include_private_key) {
        delivery.spare_key(&body.common_name, create.force)?;
    }
    let progress = Progress::waiting("the server makes the key and the certificate");
    let answer = context.client.post("/certificates/", &[("ca_id", Some(create.ca.to_string()))], &body)?;
    drop(progress);
    finish(context, &answer, delivery.as_ref())
}

pub(super) fn request(context: &Context, request: RequestCertificate) -> Result<(), Error> {
    let names = request.names;
    let delivery = request.out.prepare()?;
    let delivery = delivery
        .ok_or_else(|| Error::Usage("say with --out-dir where the key and the certificate go".into()))?;
    delivery.spare_key(&names.cn, request.force.force)?;
    let size = match request.key_type {
        KeyType::Rsa => context.or_default(request.key_size, config::CERT_KEY_SIZE)?,
        _ => request.key_size,
    };
    let subject = names.subject_dn.unwrap_or_else(|| subject_of(&names.cn));
    let SanOptions { san_dns: dns, san_ip: ip, san_email: email } = &names.sans;
    let progress = Progress::waiting("making the key and the request");
    let key = pki::key_algorithm(request.key_type, size)?;
    let (key, csr) = pki::new_request(&Wish { subject: &subject, dns, ip, email }, key)?;
    drop(progress);
    let body = CsrSign {
        csr: csr.to_pem(),
        ca_id: request.authority.ca.map(CaId),
        ca_name: request.authority.ca_name,
        certificate_type: request.terms.certificate_type,
        valid_days: context.or_default(request.terms.valid_days, config::CERT_VALID_DAYS)?,
        common_name: Some(names.cn),
        subject_dn: None,
        sans: SanRequest::default(),
    };
    let answer = context.client.post("/certificates/sign-csr", &[], &body)?;
    delivery.write(&context.client, &answer, Some(&key))?;
    context.output.detail(&answer, &DETAIL)
}

pub(super) fn sign_csr(context: &Context, sign: SignCsr) -> Result<(), Error> {
    let body = CsrSign {
        csr: read_text(&sign.file)?,
        ca_id: sign.authority.ca.map(CaId),
        ca_name: sign.authority.ca_name,
        certificate_type: sign.terms.certificate_type,
        valid_days: context.or_default(sign.terms.valid_days, config::CERT_VALID_DAYS)?,
        common_name: sign.cn,
        subject_dn: sign.subject_dn,
        sans: sign.sans.into(),
    };
    let delivery = sign.out.prepare()?;
    let answer = context.client.post("/certificates/sign-csr", &[], &body)?;
    finish(context, &answer, delivery.as_ref())
}

pub(super) fn renew(context: &Context, renew: Renew) -> Result<(), Error> {
    let csr = renew.csr.as_ref().map(read_text).transpose()?;
    let delivery = renew.out.prepare()?;
    let progress = Progress::waiting("the server makes the certificate");
    let path = format!("/certificates/{}/renew", renew.id);
    let answer = context.client.post(&path, &[], &CertificateRenew { csr, renew_revoked: renew.revoked });
    drop(progress);
    finish(context, &answer.map_err(|error| with_advice(error, renew.id))?, delivery.as_ref())
}

fn finish(context: &Context, answer: &Answer, delivery: Option<&Delivery>) -> Result<(), Error> {
    if let Some(delivery) = delivery {
        delivery.write(&context.client, answer, None)?;
    }
    context.output.detail(answer, &DETAIL)?;
    let key: super::super::WithKey = answer.parse()?;
    if delivery.is_none() && !context.output.is_json() && key.private_key.is_some() {
        output::note("its private key is kept by the server: fastpki export cert-key writes it to a file");
    }
    Ok(())
}

/// What to do about what a renewal can be refused for.
fn with_advice(error: Error, id: i32) -> Error {
    match error {
        Error::Refused { status, detail, .. } if detail.contains("csr_required_for_csr_origin_cert") => {
            let advice = format!("its key came in a CSR: fastpki cert renew {id} --csr FILE");
            Error::Refused { status, detail, advice }
        }
        Error::Refused { status, detail, .. } if detail.contains("csr_not_allowed_for_server_key_cert") => {
            let advice = format!("the server made its key: fastpki cert renew {id}, without --csr");
            Error::Refused { status, detail, advice }
        }
        Error::Refused { status, detail, .. } if detail.contains("renew_revoked") => {
            let advice = format!("fastpki cert renew {id} --revoked");
            Error::Refused { status, detail, advice }
        }
        other => other,
    }
}

fn read_text(path: &PathBuf) -> Result<String, Error> {
    let read = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        fs::read_to_string(path)
    };
    read.map_err(|error| Error::file(path, error))
}

/// `CN=` and the name, with what means something in a subject escaped (RFC 4514).
pub(in crate::commands) fn subject_of(common_name: &str) -> String {
    let mut subject = String::from("CN=");
    let last = common_name.chars().count().saturating_sub(1);
    for (at, c) in common_name.chars().enumerate() {
        let edge = (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ');
        if edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=') {
            subject.push('\\');
        }
        subject.push(c);
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::subject_of;

    #[test]
    fn subject_made_of_a_name_is_that_name() {
        for name in ["www.example.com", "Müller, Söhne + Co", "#1", " a ", "a=b\\c", "\"q\""] {
            let subject = fastpki_x509::Name::parse(&subject_of(name)).unwrap();
            assert_eq!(subject.common_names(), [name]);
        }
    }
}
