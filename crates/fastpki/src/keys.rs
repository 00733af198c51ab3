//! `fastpki keys`: the keys that private keys lie under in the database, for those who run it.

use std::{io::IsTerminal, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use fastpki_engine::{
    DatabaseConfig, FernetKey, Fingerprint, KeyTable, KeysAtRest, Progress, Stored, Survey, SystemClock,
    SystemEntropy, Traces, UnreadableKeys, new_encryption_key,
};
use fastpki_server::{
    database_config, encryption_keys,
    settings::{LogLevel, Settings},
};
use serde_json::{Value, json};

use crate::{environment, output::print, progress::Watch};

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Print a new encryption key.
    ///
    /// The key is made on the spot and kept nowhere: store it where you store secrets. Whoever has it and the
    /// database has every private key in it; without it, encrypted private keys are lost. With --json its fingerprint
    /// is there too, which is safe to show: messages and `fastpki keys status` name the key by it.
    #[command(after_help = "Examples:
  echo PRIVATE_KEY_ENCRYPTION_KEY=$(fastpki keys generate) >> .env
  (umask 077; fastpki keys generate > /etc/fastpki/keys)     # for PRIVATE_KEY_ENCRYPTION_KEY_FILE")]
    Generate(Output),
    /// Show how private keys lie: under which encryption key, in plaintext, or unreadable.
    ///
    /// Every private key is decrypted and held against its certificate, on all cores: a million take some ten
    /// seconds. None is changed, and a server may run meanwhile. (A database of FastPKI 0.4 is brought up to date
    /// first, as by every command.)
    #[command(after_help = "Examples:\n  fastpki keys status\n  fastpki keys status --json | jq .tables")]
    Status(Output),
    /// Check that every private key can be read and belongs to its certificate.
    ///
    /// Exits with 1, and names the first 20, if any cannot. The same check is made at every start. It is written to
    /// the audit log.
    #[command(
        after_help = "Example:\n  fastpki keys verify || mail -s 'private keys' ops@example.com < /dev/null"
    )]
    Verify(Output),
    /// Encrypt every private key that lies in plaintext.
    ///
    /// Every start with an encryption key does the same. First everything is checked; if any private key cannot be
    /// read, nothing is changed. Then they are encrypted, some hundred to a transaction, and what is left in the
    /// database of how they lay before is overwritten; writers wait meanwhile. Can be cut short and repeated. Stop
    /// servers that have no encryption key set: what they store goes on lying in plaintext.
    #[command(
        after_help = "Example:\n  PRIVATE_KEY_ENCRYPTION_KEY_FILE=/etc/fastpki/keys fastpki keys encrypt"
    )]
    Encrypt(Output),
    /// Put every private key under the first encryption key
    ///
    /// For when a key may have been seen, or has served its time. Servers go on serving meanwhile, and everything
    /// stays readable at every moment as long as both keys are set. Can be cut short and repeated.
    ///
    /// 1. Make a new key, and put it BEHIND the old one in PRIVATE_KEY_ENCRYPTION_KEY or its file, on every server;
    ///    restart them, or send SIGHUP where it is a file. Now all can read what any of them will write.
    /// 2. Put it in FRONT of the old one, and restart or SIGHUP again. New private keys lie under it.
    /// 3. fastpki keys rotate
    /// 4. fastpki keys retire FINGERPRINT-OF-THE-OLD-KEY
    /// 5. Take the old key out, and restart or SIGHUP. Keep it as long as backups from before.
    ///
    /// With one server, begin with step 2. Where the database is larger than 8 MiB, traces of private keys under the
    /// old key are left until `fastpki keys wipe`, which makes others wait.
    #[command(
        verbatim_doc_comment,
        after_help = "Example:\n  PRIVATE_KEY_ENCRYPTION_KEY=$NEW,$OLD fastpki keys rotate"
    )]
    Rotate(Output),
    /// Put every private key back into plaintext.
    ///
    /// Only to leave encryption at rest behind: stop the server, run this with the keys still set, then remove the
    /// setting and start the server again. If any private key cannot be read, nothing is changed.
    #[command(after_help = "Example:\n  fastpki keys decrypt --yes")]
    Decrypt {
        /// Do not ask. Needed where there is no terminal.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Prove that no private key needs an encryption key any more.
    ///
    /// Opens every private key. If one lies under this key, or cannot be opened at all, exits with 1 and says how
    /// many; nothing is changed. Run it before you take an old key out of the settings.
    #[command(after_help = "Example:\n  fastpki keys retire 3f9a0c5de1b27a84")]
    Retire {
        /// The key's fingerprint, as `fastpki keys status` shows it.
        fingerprint: Fingerprint,
        #[command(flatten)]
        output: Output,
    },
    /// Overwrite what is left in the database of private keys as they lay before.
    ///
    /// After `keys rotate` on a large database. Writers wait meanwhile, and with PostgreSQL readers too, some seconds
    /// for each gigabyte (VACUUM FULL, which needs as much free space again). Copies elsewhere are yours to destroy: backups, snapshots, replicas, PostgreSQL's archived WAL.
    #[command(after_help = "Example:\n  fastpki keys wipe")]
    Wipe(Output),
}

#[derive(Args, Clone, Copy)]
pub(crate) struct Output {
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What a command found: for people, for programs, and whether it is well.
struct Report {
    text: String,
    json: Value,
    well: bool,
}

/// Runs a command. An error is a text for the operator.
pub(crate) fn run(command: KeysCommand) -> Result<ExitCode, String> {
    let (Output { json }, report) = match command {
        KeysCommand::Generate(output) => (output, generate()?),
        KeysCommand::Status(output) => (output, with_keys(async |keys| status(keys).await)?),
        KeysCommand::Verify(output) => (output, with_keys(async |keys| verify(keys).await)?),
        KeysCommand::Encrypt(output) => {
            (output, with_keys(async |keys| Ok(stored("encrypted", keys.encrypt().await?)))?)
        }
        KeysCommand::Rotate(output) => {
            (output, with_keys(async |keys| Ok(stored("moved under the first key", keys.rotate().await?)))?)
        }
        KeysCommand::Decrypt { yes, output } => {
            confirm_decrypt(yes)?;
            (output, with_keys(async |keys| Ok(stored("put into plaintext", keys.decrypt().await?)))?)
        }
        KeysCommand::Retire { fingerprint, output } => {
            let retire = async |keys: &KeysAtRest| {
                let (needing, unreadable) = keys.needing(fingerprint).await?;
                Ok(retire(fingerprint, needing, &unreadable))
            };
            (output, with_keys(retire)?)
        }
        KeysCommand::Wipe(output) => (output, with_keys(async |keys| wipe(keys).await)?),
    };
    let printed = if json { print(&report.json.to_string()) } else { print(&report.text) };
    Ok(if report.well { printed } else { ExitCode::FAILURE })
}

/// Opens the database that the settings name, works on its keys, and shows how far it is.
fn with_keys(
    work: impl AsyncFnOnce(&KeysAtRest) -> Result<Report, fastpki_engine::Error>,
) -> Result<Report, String> {
    let settings = environment::settings()?;
    environment::start_log(LogLevel::Warning, settings.log_format);
    let (database, keys) = place(&settings)?;
    // A server on this machine comes first; a command that is refused this is only quicker.
    let _ = rustix::process::nice(10);
    environment::runtime()?.block_on(async {
        let progress: Arc<Progress> = Arc::default();
        let watch = Watch::over(&progress, |line| eprintln!("{line}"));
        let result = async {
            let keys = KeysAtRest::open(&database, keys, Arc::new(SystemClock), progress).await?;
            let report = work(&keys).await;
            keys.close().await;
            report
        };
        let result = result.await;
        drop(watch);
        result.map_err(|error| format!("error: {error}"))
    })
}

fn place(settings: &Settings) -> Result<(DatabaseConfig, Vec<FernetKey>), String> {
    let database = database_config(&settings.database);
    if let DatabaseConfig::Sqlite { path } = &database
        && !path.exists()
    {
        return Err(format!(
            "error: there is no database {}: run this in the server's working directory, or set DATABASE_URL",
            path.display()
        ));
    }
    let keys = encryption_keys(&settings.encryption_keys).map_err(|error| format!("error: {error}"))?;
    Ok((database, keys))
}

fn generate() -> Result<Report, String> {
    let key = new_encryption_key(&SystemEntropy);
    let fingerprint = FernetKey::parse(&key).map_err(|error| format!("error: {error}"))?.fingerprint();
    let json = json!({"key": *key, "fingerprint": fingerprint.to_string()});
    Ok(Report { text: key.to_string(), json, well: true })
}

async fn status(keys: &KeysAtRest) -> Result<Report, fastpki_engine::Error> {
    let survey = keys.survey().await?;
    let traces = keys.traces_left().await?;
    let set = keys.fingerprints();
    let mut text = String::new();
    for (place, fingerprint) in set.iter().enumerate() {
        let does = if place == 0 { "encrypts and decrypts" } else { "decrypts" };
        text.push_str(&format!("encryption key {fingerprint}  {does}\n"));
    }
    if set.is_empty() {
        text.push_str("no encryption key is set: new private keys lie in plaintext\n");
    }
    text.push_str(&table(&survey, &set));
    if survey.unreadable.count > 0 {
        text.push_str(&format!("\n{}", survey.unreadable));
    }
    if traces {
        text.push_str("\ntraces of private keys as they lay before are left: run `fastpki keys wipe`");
    }
    let tables: serde_json::Map<String, Value> = KeyTable::ALL
        .map(|table| (table.name().to_owned(), table_json(&survey, table)))
        .into_iter()
        .collect();
    let json = json!({
        "keys": set.iter().map(Fingerprint::to_string).collect::<Vec<_>>(),
        "tables": tables,
        "unreadable": unreadable_json(&survey.unreadable),
        "traces_left": traces,
    });
    Ok(Report { text, json, well: true })
}

fn table(survey: &Survey, set: &[Fingerprint]) -> String {
    let mut head = vec!["table".to_owned(), "private keys".to_owned()];
    head.extend(set.iter().map(|fingerprint| format!("under {fingerprint}")));
    head.extend(["in plaintext".to_owned(), "unreadable".to_owned()]);
    let mut shown = Table::new();
    shown.load_style(presets::NOTHING).set_header(head);
    for table in KeyTable::ALL {
        let keys = survey.table(table);
        let mut row = vec![table.name().to_owned(), keys.count().to_string()];
        row.extend(set.iter().map(|key| keys.under.get(key).copied().unwrap_or(0).to_string()));
        row.extend([keys.plaintext.to_string(), keys.unreadable.to_string()]);
        shown.add_row(row);
    }
    for column in shown.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    shown.to_string()
}

fn table_json(survey: &Survey, table: KeyTable) -> Value {
    let keys = survey.table(table);
    let under: serde_json::Map<String, Value> =
        keys.under.iter().map(|(key, count)| (key.to_string(), (*count).into())).collect();
    json!({"keys": keys.count(), "under": under, "plaintext": keys.plaintext, "unreadable": keys.unreadable})
}

async fn verify(keys: &KeysAtRest) -> Result<Report, fastpki_engine::Error> {
    let survey = keys.verify().await?;
    let (total, unreadable) = (survey.total(), &survey.unreadable);
    let well = unreadable.count == 0;
    let text = if well {
        format!(
            "all {} private keys can be read and belong to their certificates: {} encrypted, {} in plaintext",
            total.count(),
            total.encrypted(),
            total.plaintext
        )
    } else {
        unreadable.to_string()
    };
    let json = json!({
        "keys": total.count(),
        "encrypted": total.encrypted(),
        "plaintext": total.plaintext,
        "unreadable": unreadable_json(unreadable),
    });
    Ok(Report { text, json, well })
}

fn stored(what: &str, stored: Stored) -> Report {
    let mut text = format!("{} private keys were {what}", stored.keys);
    let traces = match &stored.traces {
        Traces::None => "none",
        Traces::Wiped => "wiped",
        Traces::Left => {
            text.push_str("\ntraces of how they lay before are left: run `fastpki keys wipe` when the database's users can wait");
            "left"
        }
        Traces::NotWiped(error) => {
            text.push_str(&format!(
                "\ntraces of how they lay before are left: {error}; `fastpki keys wipe` tries again"
            ));
            "not_wiped"
        }
    };
    if stored.keys > 0 && stored.traces != Traces::None {
        text.push_str("\ncopies elsewhere are yours to destroy: backups, snapshots, replicas, PostgreSQL's archived WAL");
    }
    let well = stored.unreadable.count == 0 && !matches!(stored.traces, Traces::NotWiped(_));
    if stored.unreadable.count > 0 {
        text.push_str(&format!("\nleft as they are: {}", stored.unreadable));
    }
    let json =
        json!({"keys": stored.keys, "unreadable": unreadable_json(&stored.unreadable), "traces": traces});
    Report { text, json, well }
}

fn retire(fingerprint: Fingerprint, needing: u64, unreadable: &UnreadableKeys) -> Report {
    let mut text = match needing {
        0 if unreadable.count == 0 => format!(
            "no private key needs the encryption key {fingerprint}: take it out of the settings of every server, and keep it as long as backups from before"
        ),
        0 => format!("of those that can be read, no private key needs the encryption key {fingerprint}"),
        count => format!(
            "{count} private keys need the encryption key {fingerprint}: run `fastpki keys rotate` first"
        ),
    };
    if unreadable.count > 0 {
        text.push_str(&format!("\n{unreadable}"));
    }
    let json = json!({
        "fingerprint": fingerprint.to_string(),
        "needed_by": needing,
        "unreadable": unreadable_json(unreadable),
    });
    Report { text, json, well: needing == 0 && unreadable.count == 0 }
}

async fn wipe(keys: &KeysAtRest) -> Result<Report, fastpki_engine::Error> {
    keys.wipe().await?;
    let text = "nothing is left in the database of private keys as they lay before\ncopies elsewhere are yours to destroy: backups, snapshots, replicas, PostgreSQL's archived WAL";
    Ok(Report { text: text.into(), json: json!({"traces": "wiped"}), well: true })
}

fn confirm_decrypt(yes: bool) -> Result<(), String> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            "error: this puts every private key into plaintext: say --yes where there is no terminal to ask"
                .into(),
        );
    }
    let prompt = "Put every private key in the database into plaintext?";
    match dialoguer::Confirm::new().with_prompt(prompt).default(false).interact() {
        Ok(true) => Ok(()),
        Ok(false) => Err("error: nothing was changed".into()),
        Err(error) => Err(format!("error: the terminal cannot be asked: {error}")),
    }
}

fn unreadable_json(unreadable: &UnreadableKeys) -> Value {
    let first: Vec<Value> = unreadable
        .first
        .iter()
        .map(|key| json!({"kind": key.owner.kind(), "id": key.owner.id(), "name": key.owner.name(), "reason": key.reason.to_string()}))
        .collect();
    json!({"count": unreadable.count, "first": first})
}
