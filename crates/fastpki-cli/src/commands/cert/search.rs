//! `fastpki cert list`: certificates, searched and sorted.

use clap::Args;
use fastpki_types::{CertificateStatus, CertificateType, Named, Timestamp};
use jiff::SignedDuration;

use super::{LIST, find};
use crate::{
    clock,
    commands::Context,
    error::Error,
    listing::{Listing, Row, Sort},
    options::{Page, duration, instant, named},
};

#[derive(Args)]
pub(super) struct Search {
    /// Only of the CA with this id.
    #[arg(short, long, value_name = "ID")]
    ca: Option<i32>,
    /// Only with this status.
    #[arg(long, value_parser = named::<CertificateStatus>())]
    status: Option<CertificateStatus>,
    /// Only of this type.
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = named::<CertificateType>())]
    certificate_type: Option<CertificateType>,
    /// Only with this in the common name, in any case.
    #[arg(short = 'n', long, value_name = "TEXT")]
    cn: Option<String>,
    /// Only with this serial number, in hex.
    #[arg(long, value_name = "HEX", value_parser = find::serial)]
    serial: Option<String>,
    /// Only those that end within this time, and have not ended: 30d, 2w, 12h.
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["expires_before", "expires_after"])]
    expires_in: Option<SignedDuration>,
    /// Only those that end before: 2030-01-31, 2030-01-31T12:00:00Z.
    #[arg(long, value_name = "DATE", value_parser = instant)]
    expires_before: Option<Timestamp>,
    /// Only those that end after.
    #[arg(long, value_name = "DATE", value_parser = instant)]
    expires_after: Option<Timestamp>,
    /// In this order: id, not_after or common_name; the other way round behind a '-', as in --sort=-not_after.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<Sort>,
    #[command(flatten)]
    page: Page,
    /// Show all, page by page.
    #[arg(long, conflicts_with_all = ["skip", "limit"])]
    all: bool,
}

pub(super) fn run(context: &Context, search: &Search) -> Result<(), Error> {
    let now = Timestamp::from(clock::now());
    let page = Page { limit: search.page.limit.or((!search.all).then_some(DEFAULT_LIMIT)), ..search.page };
    let listing = Listing {
        path: "/certificates/",
        filters: search.filters(now),
        matches: &|row| search.is_met_by(row, now),
        page,
        all: search.all,
        check: false,
        sort: search.sort,
    };
    listing.show(&context.client, context.output, &LIST)
}

impl Search {
    /// As the server takes it.
    fn filters(&self, now: Timestamp) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("ca_id", self.ca.map(|id| id.to_string())),
            ("status", self.status.map(|status| status.to_string())),
            ("certificate_type", self.certificate_type.map(|kind| kind.to_string())),
            ("common_name", self.cn.clone()),
            ("serial_number", self.serial.clone()),
            ("expires_before", self.before(now).map(|instant| instant.to_string())),
            ("expires_after", self.after(now).map(|instant| instant.to_string())),
        ]
    }

    /// What a server of FastPKI 0.4 leaves to us; the CA is the one filter that it has.
    fn is_met_by(&self, row: &Row, now: Timestamp) -> bool {
        let has = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        self.status.is_none_or(|status| row.status_at(now) == status.name())
            && self.certificate_type.is_none_or(|kind| row.certificate_type == kind.name())
            && self.cn.as_ref().is_none_or(|cn| has(&row.common_name, cn))
            && self.serial.as_ref().is_none_or(|serial| row.serial_number == *serial)
            && self.before(now).is_none_or(|before| row.not_after.is_some_and(|end| end < before))
            && self.after(now).is_none_or(|after| row.not_after.is_some_and(|end| end > after))
    }

    fn before(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_in.map(|time| now.plus_seconds(time.as_secs())).or(self.expires_before)
    }

    fn after(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_in.map(|_| now).or(self.expires_after)
    }
}

/// As many as FastPKI 0.4's client asks for.
const DEFAULT_LIMIT: u64 = 100;
