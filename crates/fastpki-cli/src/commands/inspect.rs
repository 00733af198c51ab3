//! `fastpki inspect`: what files are, without asking anybody.

use std::{
    fmt::Write,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use fastpki_types::Password;
use fastpki_x509::{
    Error as PkiError,
    inspect::{Object, Verdict, fits, inspect},
};
use serde_json::{Map, Value, json};

use crate::{
    ask, clock,
    config::Config,
    error::Error,
    options,
    output::{self, Output},
    pki, table,
};

/// `fastpki inspect`.
#[derive(Args)]
pub struct Inspect {
    /// Certificates, CSRs, CRLs, keys, PKCS#12 files, in PEM or DER; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The first line of this file opens what is encrypted. Without it, you are asked.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    output: options::Output,
}

/// Something that was found, and in which file.
struct Found {
    file: String,
    object: Object,
}

pub(super) fn run(inspect: Inspect) -> Result<(), Error> {
    let password = inspect.password_file.as_deref().map(pki::first_line).transpose()?;
    let mut found = Vec::new();
    for path in &inspect.files {
        let file = path.display().to_string();
        let objects = look(path, password.as_ref())?;
        found.extend(objects.into_iter().map(|object| Found { file: file.clone(), object }));
    }
    let objects: Vec<Object> = found.iter().map(|found| found.object.clone()).collect();
    let fits = fits(&objects);
    if Output::of(inspect.output, &Config::load()?).is_json() {
        let fits: Vec<Value> = fits
            .iter()
            .map(
                |fit| json!({"fits": verdict(fit.verdict), "of": fit.of, "with": fit.with, "text": fit.text}),
            )
            .collect();
        let objects: Vec<Value> = found.iter().map(as_json).collect();
        output::print(&json!({"objects": objects, "fits": fits}).to_string())?;
    } else {
        let mut text = found.iter().map(as_text).collect::<Vec<_>>().join("\n\n");
        if !fits.is_empty() {
            text.push_str("\n\n");
            for fit in &fits {
                let file = found.get(fit.of).map_or("", |found| found.file.as_str());
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{} {}: {}", sign(fit.verdict), table::harmless(file), fit.text);
            }
        }
        output::print(&text)?;
    }
    let locked = found.iter().find(|found| found.object.locked.is_some());
    if let Some((found, cause)) = locked.and_then(|found| Some((found, found.object.locked.clone()?))) {
        return Err(Error::Pki { what: found.file.clone(), cause });
    }
    if fits.iter().any(|fit| fit.verdict == Verdict::DoesNotFit) {
        return Err(Error::Failed("something does not fit: see above".into()));
    }
    Ok(())
}

/// Opens a file; asks for its password where it needs one and somebody is there.
fn look(path: &Path, password: Option<&Password>) -> Result<Vec<Object>, Error> {
    let bytes = read(path)?;
    let open = |password: Option<&Password>| {
        let objects = inspect(&bytes, password.map(Password::expose), clock::now());
        objects.map_err(|cause| Error::Pki { what: path.display().to_string(), cause })
    };
    let objects = open(password)?;
    let locked = |object: &Object| matches!(object.locked, Some(PkiError::PasswordNeeded { .. }));
    if password.is_some() || !objects.iter().any(locked) || !ask::at_terminal() {
        return Ok(objects);
    }
    open(Some(&ask::password(&format!("Password of {}", path.display()))?))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    if path.as_os_str() != "-" {
        return fs::read(path).map_err(|error| Error::file(path, error));
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn as_text(Found { file, object }: &Found) -> String {
    let mut text = table::harmless(&format!("{file}: {} {}", object.kind.words(), object.name));
    let lines =
        object.fields.iter().flat_map(|field| {
            field.lines.iter().enumerate().map(|(at, line)| {
                (if at == 0 { field.label.to_owned() } else { String::new() }, line.clone())
            })
        });
    for line in table::pairs(lines).lines() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {line}");
    }
    for warning in &object.warnings {
        let _ = write!(text, "\n  ! {warning}");
    }
    if let Some(error) = &object.locked {
        let _ = write!(text, "\n  ! {error}");
    }
    text
}

fn as_json(Found { file, object }: &Found) -> Value {
    let fields: Map<String, Value> =
        object.fields.iter().map(|field| (field.label.to_owned(), json!(field.lines))).collect();
    json!({"file": file, "kind": object.kind.words(), "name": object.name, "fields": fields,
           "warnings": object.warnings, "locked": object.locked.as_ref().map(ToString::to_string)})
}

fn verdict(verdict: Verdict) -> Option<bool> {
    match verdict {
        Verdict::Fits => Some(true),
        Verdict::DoesNotFit => Some(false),
        Verdict::Unknown => None,
    }
}

fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fits => "ok:",
        Verdict::DoesNotFit => "WRONG:",
        Verdict::Unknown => "unknown:",
    }
}
