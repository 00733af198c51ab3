//! Whether the clock can be believed: certificates and CRLs carry its time.

use fastpki_store::Store;
use fastpki_types::Timestamp;

use super::Finding;
use crate::Error;

pub(super) async fn check(store: &Store, now: Timestamp, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let newest = store.newest_audit().await?;
    findings.push(judge(now, store.clock().await?, newest));
    Ok(())
}

fn judge(now: Timestamp, database: Option<Timestamp>, newest_audit: Option<Timestamp>) -> Finding {
    let mend = "set it, and keep it with NTP";
    if now.as_seconds() < EARLIEST {
        return Finding::error("clock", format!("it says {now}, which is long past: {mend}"));
    }
    if let Some(ahead) = newest_audit.map(|at| at.as_seconds() - now.as_seconds()).filter(|by| *by > LIMIT) {
        let text = format!(
            "it says {now}, {ahead} s before the newest entry of the audit log: it was set back, or was wrong then; {mend}"
        );
        return Finding::warning("clock", text);
    }
    match database.map(|database| (now.as_seconds() - database.as_seconds()).abs()) {
        Some(apart) if apart > LIMIT => Finding::warning(
            "clock",
            format!("it and the database server's are {apart} s apart: {mend} on both"),
        ),
        Some(apart) => Finding::ok("clock", format!("{now}, {apart} s from the database server's")),
        None => Finding::ok("clock", now.to_string()),
    }
}

/// 2026-01-01: before this program was written.
const EARLIEST: i64 = 1_767_225_600;
/// Seconds that clocks may be apart.
const LIMIT: i64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkup::Level;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn clock_is_held_against_reason_the_audit_log_and_the_database() {
        let now = at(EARLIEST + 1_000_000);
        let off = now.plus_seconds(LIMIT + 1);
        assert_eq!(judge(at(0), None, None).level, Level::Error);
        assert_eq!(judge(now, None, Some(off)).level, Level::Warning);
        assert_eq!(judge(now, Some(off), None).level, Level::Warning);
        assert_eq!(judge(off, Some(now), Some(now)).level, Level::Warning);
        assert_eq!(judge(now, Some(now), Some(now)).level, Level::Ok);
        assert_eq!(judge(now, None, None).level, Level::Ok);
    }
}
