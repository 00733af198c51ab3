//! Tables and details for people: as wide as the terminal, one line to a row where there is none.

use std::io::IsTerminal;

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use fastpki_types::Timestamp as WireTime;
use fastpki_x509::{Certificate, printable};
use jiff::Timestamp;
use serde_json::Value;

/// What is shown of an object: a title, the field it is from, and how that is shown.
#[derive(Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str, pub(crate) Kind);

/// How a field is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is; lists with commas.
    Plain,
    /// A date.
    Date,
    /// A date and a time.
    Time,
    /// What becomes of a certificate, with its `status` and `not_after`.
    CertificateStatus,
    /// What becomes of a CA, from its certificate.
    CaStatus,
    /// The last day of a certificate in PEM.
    EndOfPem,
    /// `disabled` where there is an instant, else `active`.
    Disabled,
    /// The capability flags that are set. The field's name is not looked at.
    Flags,
    /// What becomes of a service account's token.
    TokenStatus,
    /// Who did what an entry of the audit log tells of, by name and id: nobody has another's id, not even after a deletion.
    Actor,
}

/// How good something still is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nothing to be said.
    Good,
    /// Fewer than thirty days are left.
    Ending,
    /// Over, revoked or disabled.
    Over,
}

/// A list with a row for each object.
pub(crate) fn list(objects: &[Value], columns: &[Column], now: Timestamp) -> String {
    let mut table = plain_table();
    table.set_header(columns.iter().map(|column| Cell::new(column.0).add_attribute(Attribute::Bold)));
    for object in objects {
        let cells: Vec<(String, Health)> = columns.iter().map(|column| cell(object, *column, now)).collect();
        let worst = cells.iter().map(|(_, health)| *health).find(|health| *health != Health::Good);
        table.add_row(cells.into_iter().map(|(text, _)| coloured(text, worst.unwrap_or(Health::Good))));
    }
    finished(table)
}

/// One object, a line to a field; fields that are missing are left out.
pub(crate) fn detail(object: &Value, columns: &[Column], now: Timestamp) -> String {
    let mut table = plain_table();
    for column in columns {
        let (text, health) = cell(object, *column, now);
        if text != NOTHING {
            table.add_row([Cell::new(column.0).add_attribute(Attribute::Bold), coloured(text, health)]);
        }
    }
    finished(table)
}

/// Pairs of a title and a text.
pub(crate) fn pairs(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let mut table = plain_table();
    for (title, text) in pairs {
        table.add_row([
            Cell::new(harmless(&title)).add_attribute(Attribute::Bold),
            Cell::new(harmless(&text)),
        ]);
    }
    finished(table)
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).style_text_only();
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    if std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()) {
        table.force_no_tty();
        table.set_width(terminal_width());
    }
    table
}

fn finished(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| _ = column.set_padding((0, GAP)));
    spare_short_columns(&mut table);
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Where the terminal is too narrow, it is the long columns whose text is wrapped.
fn spare_short_columns(table: &mut Table) {
    let Some(mut left) = table.width() else { return };
    let widths = table.column_max_content_widths();
    let mut order: Vec<usize> = (0..widths.len()).collect();
    order.sort_by_key(|column| widths[*column]);
    for (done, column) in order.iter().enumerate() {
        let others: u16 = order[done + 1..].iter().map(|other| widths[*other].min(NARROW) + GAP).sum();
        let own = widths[*column] + GAP;
        if own.saturating_add(others) > left {
            return;
        }
        left -= own;
        if let Some(column) = table.column_mut(*column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

fn coloured(text: String, health: Health) -> Cell {
    let cell = Cell::new(text);
    match health {
        Health::Good => cell,
        Health::Ending => cell.fg(Color::Yellow),
        Health::Over => cell.fg(Color::Red),
    }
}

fn cell(object: &Value, Column(_, field, kind): Column, now: Timestamp) -> (String, Health) {
    let value = &object[field];
    let good = |text: String| (text, Health::Good);
    match kind {
        Kind::Plain => good(plain(value)),
        Kind::Date => good(instant(value).map_or_else(|| plain(value), date)),
        Kind::Time => good(instant(value).map_or_else(|| plain(value), time)),
        Kind::CertificateStatus => certificate_status(object, now),
        // FastPKI 0.4 tells no status, and revokes no CA.
        Kind::CaStatus if object["status"] == "revoked" => ("revoked".into(), Health::Over),
        Kind::CaStatus => ca_status(value, now),
        Kind::EndOfPem => good(end_of_pem(value).map_or(NOTHING.into(), date)),
        Kind::Disabled if value.is_null() => good("active".into()),
        Kind::Disabled => ("disabled".into(), Health::Over),
        Kind::Flags => good(flags(object)),
        Kind::TokenStatus => token_status(object, now),
        Kind::Actor => good(actor(object, field)),
    }
}

fn certificate_status(object: &Value, now: Timestamp) -> (String, Health) {
    match (object["status"].as_str(), instant(&object["not_after"])) {
        (Some("revoked"), _) => ("revoked".into(), Health::Over),
        // FastPKI 0.4 goes on calling it valid.
        (Some("valid"), Some(end)) => time_left(end, now),
        (Some("expired"), _) => ("expired".into(), Health::Over),
        (status, _) => (status.unwrap_or(NOTHING).into(), Health::Good),
    }
}

fn ca_status(pem: &Value, now: Timestamp) -> (String, Health) {
    end_of_pem(pem).map_or((NOTHING.into(), Health::Good), |end| time_left(end, now))
}

fn token_status(object: &Value, now: Timestamp) -> (String, Health) {
    if object["revoked"].as_bool() == Some(true) {
        return ("revoked".into(), Health::Over);
    }
    instant(&object["expires_at"]).map_or(("valid".into(), Health::Good), |end| time_left(end, now))
}

fn time_left(end: Timestamp, now: Timestamp) -> (String, Health) {
    let days = end.duration_since(now).as_secs().div_euclid(86_400);
    match days {
        ..0 => ("expired".into(), Health::Over),
        0 => ("expires today".into(), Health::Ending),
        1 => ("expires in 1 day".into(), Health::Ending),
        2..SOON_DAYS => (format!("expires in {days} days"), Health::Ending),
        _ => ("valid".into(), Health::Good),
    }
}

fn flags(object: &Value) -> String {
    let set = FLAGS.into_iter().filter(|(field, _)| object[field].as_bool() == Some(true));
    let names: Vec<&str> = set.map(|(_, name)| name).collect();
    if names.is_empty() { NOTHING.into() } else { names.join(", ") }
}

/// `root (1)`, `root (7, deleted)`, or the name alone of who is neither user nor service account.
fn actor(entry: &Value, kind: &str) -> String {
    let name = match kind {
        "user" => plain(&entry["username"]),
        kind => plain(&entry[format!("{kind}_name")]),
    };
    let (id, original) = (&entry[format!("{kind}_id")], &entry[format!("original_{kind}_id")]);
    match (id.as_i64(), original.as_i64()) {
        (Some(id), _) => format!("{name} ({id})"),
        (None, Some(id)) => format!("{name} ({id}, deleted)"),
        (None, None) => name,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) if text.is_empty() => NOTHING.into(),
        Value::String(text) => harmless(text),
        Value::Array(values) if values.is_empty() => NOTHING.into(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A text that cannot move the cursor, change colours, turn a row around or break it, and hides nothing.
pub(crate) fn harmless(text: &str) -> String {
    let in_a_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    printable(&in_a_line)
}

/// The same of several lines.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse::<WireTime>().ok().map(Timestamp::from)
}

fn end_of_pem(pem: &Value) -> Option<Timestamp> {
    Certificate::from_pem(pem.as_str()?).ok().map(|certificate| certificate.validity().not_after)
}

fn date(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d").to_string()
}

fn time(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn terminal_width() -> u16 {
    Table::new().width().unwrap_or(120)
}

/// Blanks between columns.
const GAP: u16 = 2;
/// Width that a wrapped column has at least, if there is any room.
const NARROW: u16 = 10;
/// What stands where there is nothing.
const NOTHING: &str = "-";
/// Days before its end from which on something is marked.
const SOON_DAYS: i64 = 30;
const FLAGS: [(&str, &str); 5] = [
    ("can_create_ca", "create CAs"),
    ("can_create_cert", "create certificates"),
    ("can_revoke_cert", "revoke certificates"),
    ("can_export_private_key", "export keys"),
    ("can_delete_ca", "delete CAs"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: [Column; 3] = [
        Column("ID", "id", Kind::Plain),
        Column("Status", "status", Kind::CertificateStatus),
        Column("Until", "not_after", Kind::Date),
    ];

    fn now() -> Timestamp {
        "2030-01-01T00:00:00Z".parse().unwrap()
    }

    fn certificate(status: &str, not_after: &str) -> Value {
        json!({"id": 1, "status": status, "not_after": not_after})
    }

    #[test]
    fn rows_that_need_a_look_say_so_in_words() {
        for (status, not_after, words) in [
            ("valid", "2031-01-01T00:00:00", "valid"),
            ("valid", "2030-01-31T00:00:00Z", "valid"),
            ("valid", "2030-01-30T23:59:59Z", "expires in 29 days"),
            ("valid", "2030-01-01T12:00:00Z", "expires today"),
            ("valid", "2029-12-31T23:59:59", "expired"),
            ("revoked", "2029-12-31T23:59:59", "revoked"),
        ] {
            let (text, _) = certificate_status(&certificate(status, not_after), now());
            assert_eq!(text, words, "{not_after}");
        }
    }

    #[test]
    fn list_has_a_line_for_each_row_and_no_colour_without_a_terminal() {
        let shown = list(&[certificate("valid", "2029-01-01T00:00:00.000000")], &COLUMNS, now());
        assert_eq!(shown, "ID  Status   Until\n1   expired  2029-01-01");
    }

    #[test]
    fn detail_leaves_out_what_is_missing() {
        assert_eq!(detail(&json!({"id": 7}), &COLUMNS, now()), "ID  7");
    }

    #[test]
    fn actors_are_told_apart_by_their_ids() {
        for (entry, shown) in [
            (json!({"username": "root", "user_id": 1}), "root (1)"),
            (json!({"username": "root", "user_id": null, "original_user_id": 7}), "root (7, deleted)"),
            (json!({"username": "fastpki admin", "user_id": null}), "fastpki admin"),
            (json!({}), "-"),
        ] {
            assert_eq!(actor(&entry, "user"), shown);
        }
        let entry = json!({"service_account_name": "runner", "original_service_account_id": 3});
        assert_eq!(actor(&entry, "service_account"), "runner (3, deleted)");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(plain(&json!("a\u{1b}[2J\nb")), "a [2J b");
        assert_eq!(plain(&json!("\u{202e}nimda\u{200b}")), "\\u{202e}nimda\\u{200b}");
        assert_eq!(harmless_lines("one\ntwo\u{9b}2J\u{2066}\n"), "one\ntwo 2J\\u{2066}");
    }
}
