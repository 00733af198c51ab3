//! CAs that end, and CRLs that are over.

use fastpki_store::{AuthorityRow, CrlHead, Store, Visible};
use fastpki_types::{CaId, Timestamp};
use fastpki_x509::Certificate;

use super::Finding;
use crate::{Error, slug};

pub(super) async fn check(store: &Store, now: Timestamp, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let (mut authorities, mut lists) = (Tally::default(), Tally::default());
    let mut after = CaId(0);
    loop {
        let page = store.authorities(Visible::All, after, 0, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.ca.id;
        for row in &page {
            let is_over = judge_authority(row, now, &mut authorities);
            if !is_over && let Some(head) = store.crl_head(row.ca.id, now).await? {
                judge_list(row, &head, now, &mut lists);
            }
        }
    }
    authorities.report("CAs", "none ends within 90 days", findings);
    lists.report("CRLs", "none that was made is over", findings);
    Ok(())
}

/// How many there were, and what is to be said of which.
#[derive(Default)]
struct Tally {
    count: u64,
    remarks: Vec<Finding>,
    more: u64,
}

impl Tally {
    fn remark(&mut self, finding: Finding) {
        if self.remarks.len() < NAMED {
            self.remarks.push(finding);
        } else {
            self.more += 1;
        }
    }

    fn report(self, subject: &'static str, all_well: &str, findings: &mut Vec<Finding>) {
        if self.remarks.is_empty() {
            findings.push(Finding::ok(subject, format!("{}: {all_well}", self.count)));
        }
        findings.extend(self.remarks);
        if self.more > 0 {
            findings.push(Finding::warning(subject, format!("and {} more like these", self.more)));
        }
    }
}

/// Whether the CA's time is over.
fn judge_authority(row: &AuthorityRow, now: Timestamp, tally: &mut Tally) -> bool {
    tally.count += 1;
    let name = format!("{} '{}'", row.ca.id, row.ca.name.escape_debug());
    let Ok(certificate) = Certificate::from_pem(&row.ca.certificate) else {
        let text = format!("the certificate of CA {name} cannot be read: restore it from a backup");
        tally.remark(Finding::error("CAs", text));
        return false;
    };
    if !certificate.may_sign_revocation_lists() {
        let text = format!(
            "CA {name} publishes no CRL, since the key usage of its certificate does not include cRLSign: nobody sees what it revokes; create a successor"
        );
        tally.remark(Finding::warning("CAs", text));
    }
    let end = Timestamp::from(certificate.validity().not_after);
    if end < now {
        let text = format!(
            "CA {name} ended at {end}: nothing that it issued is valid any more; delete it when nobody needs its records"
        );
        tally.remark(Finding::warning("CAs", text));
    } else if end < now.plus_seconds(AHEAD) {
        let days = (end.as_seconds() - now.as_seconds()) / DAY;
        let text = format!(
            "CA {name} ends in {days} days, at {end}, and all that it issued with it: create its successor, and have certificates issued by that one"
        );
        tally.remark(Finding::warning("CAs", text));
    }
    end < now
}

fn judge_list(row: &AuthorityRow, head: &CrlHead, now: Timestamp, tally: &mut Tally) {
    // One that nobody has asked for yet is made when somebody does.
    let (Some(made), Some(end)) = (head.this_update, head.next_update) else { return };
    tally.count += 1;
    let name = slug(row.public_name(), row.ca.id);
    let name = name.as_str();
    let mend = format!(
        "a download of /crl/{name} makes a new one: let the server run, and whoever copies CRLs fetch them daily"
    );
    if made > now.plus_seconds(SLACK) {
        let text =
            format!("the one of CA {} was made at {made}, which is yet to come: set the clock", row.ca.id);
        tally.remark(Finding::warning("CRLs", text));
    } else if end < now {
        tally.remark(Finding::warning(
            "CRLs",
            format!("the last one of CA {} was over at {end}; {mend}", row.ca.id),
        ));
    } else if end < now.plus_seconds(DAY) {
        tally.remark(Finding::warning(
            "CRLs",
            format!("the last one of CA {} is over at {end}; {mend}", row.ca.id),
        ));
    }
}

const DAY: i64 = 24 * 3600;
/// How long before its end a CA wants a successor: 90 days.
const AHEAD: i64 = 90 * DAY;
/// Seconds that clocks may be apart.
const SLACK: i64 = 60;
/// CAs that are read at once.
const PAGE: i64 = 200;
/// Remarks of each kind.
const NAMED: usize = 20;
