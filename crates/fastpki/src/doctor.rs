//! `fastpki doctor`: what is well, what is not, and what to do about it.

use std::process::ExitCode;

use clap::Args;
use fastpki_engine::{Finding, Level, SystemClock, check_database};
use fastpki_server::{
    check_problems, check_settings, database_config, encryption_keys,
    settings::{LogFormat, LogLevel, Settings},
};
use serde_json::{Value, json};

use crate::{environment, output::Output};

#[derive(Args)]
pub(crate) struct Doctor {
    /// Open every private key, and not the newest of them only: a million take some ten seconds.
    #[arg(long)]
    all_keys: bool,
    /// Exit with 1 where there are warnings, too.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    output: Output,
}

/// Runs the command. An error is a text for the operator.
pub(crate) fn run(doctor: &Doctor) -> Result<ExitCode, String> {
    let findings = match environment::settings_or_problems()? {
        Ok(settings) => examine(&settings, doctor.all_keys)?,
        Err(problems) => check_problems(&problems),
    };
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    let printed = doctor.output.print(&text(&findings, worst), &json(&findings, worst));
    let bad = if doctor.strict { Level::Warning } else { Level::Error };
    Ok(if worst >= bad { ExitCode::FAILURE } else { printed })
}

fn examine(settings: &Settings, all_keys: bool) -> Result<Vec<Finding>, String> {
    // What is found is printed, once.
    environment::start_log(LogLevel::Error, LogFormat::Auto);
    let mut findings = check_settings(settings);
    let keys = encryption_keys(&settings.encryption_keys).map_err(|error| format!("error: {error}"))?;
    let database = database_config(&settings.database);
    let looked = environment::runtime()?.block_on(check_database(&database, keys, &SystemClock, all_keys));
    findings.extend(looked);
    Ok(findings)
}

fn text(findings: &[Finding], worst: Level) -> String {
    let mut lines: Vec<String> = findings
        .iter()
        .map(|finding| format!("{:<7}  {}: {}", finding.level.name(), finding.subject, finding.text))
        .collect();
    lines.push(String::new());
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    lines.push(match worst {
        Level::Ok => "all is well".to_owned(),
        _ => format!("{} errors, {} warnings", count(Level::Error), count(Level::Warning)),
    });
    lines.join("\n")
}

fn json(findings: &[Finding], worst: Level) -> Value {
    let list: Vec<Value> = findings
        .iter()
        .map(|finding| json!({"subject": finding.subject, "level": finding.level.name(), "text": finding.text}))
        .collect();
    json!({"level": worst.name(), "findings": list})
}
