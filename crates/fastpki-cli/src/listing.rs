//! Lists that may be long: page by page, with what a server does not do itself done here.

use std::io::IsTerminal;

use fastpki_types::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    client::{Answer, Client},
    error::Error,
    options::Page,
    output::{self, Output},
    progress::Progress,
    table::Column,
};

/// A list of CAs or certificates that is to be shown.
pub(crate) struct Listing<'a> {
    /// Where it is.
    pub(crate) path: &'static str,
    /// The filters, as the server takes them.
    pub(crate) filters: Vec<(&'static str, Option<String>)>,
    /// The same filters, for servers that know none (FastPKI 0.4).
    pub(crate) matches: &'a dyn Fn(&Row) -> bool,
    /// Which part of it.
    pub(crate) page: Page,
    /// Everything, whatever the page says.
    pub(crate) all: bool,
    /// Whether to apply them here in any case, since a server may not know them all.
    pub(crate) check: bool,
    /// In which order; by id if not given.
    pub(crate) sort: Option<Sort>,
}

/// What filters and orders look at. FastPKI 0.4 leaves out some.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Row {
    /// Its id.
    pub(crate) id: i64,
    /// The common name.
    pub(crate) common_name: String,
    /// Hex.
    pub(crate) serial_number: String,
    /// `server`, …
    pub(crate) certificate_type: String,
    /// As the server calls it.
    pub(crate) status: String,
    /// The last instant of its validity.
    pub(crate) not_after: Option<Timestamp>,
    /// PEM.
    pub(crate) certificate: String,
}

/// What is at a place of a list: what filters look at, and all of it as it came.
pub(crate) type Item = (Row, Box<RawValue>);

impl Row {
    /// The status at an instant: FastPKI 0.4 goes on calling a certificate valid that has ended.
    pub(crate) fn status_at(&self, now: Timestamp) -> &str {
        let ended = self.not_after.is_some_and(|end| end < now);
        if self.status == "valid" && ended { "expired" } else { &self.status }
    }
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sort {
    key: SortKey,
    descending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SortKey {
    Id,
    NotAfter,
    CommonName,
}

impl std::str::FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let key = match name {
            "id" => SortKey::Id,
            "not_after" => SortKey::NotAfter,
            "common_name" => SortKey::CommonName,
            _ => return Err("should be id, not_after or common_name, or one of these behind a '-'".into()),
        };
        Ok(Self { key, descending })
    }
}

impl Sort {
    const BY_ID: Self = Self { key: SortKey::Id, descending: false };

    fn order(self, items: &mut [Item]) {
        items.sort_by(|(a, _), (b, _)| {
            let order = match self.key {
                SortKey::Id => a.id.cmp(&b.id),
                SortKey::NotAfter => a.not_after.cmp(&b.not_after),
                SortKey::CommonName => a.common_name.to_lowercase().cmp(&b.common_name.to_lowercase()),
            };
            let order = order.then(a.id.cmp(&b.id));
            if self.descending { order.reverse() } else { order }
        });
    }
}

impl Listing<'_> {
    /// Fetches and shows it.
    pub(crate) fn show(&self, client: &Client, output: Output, columns: &[Column]) -> Result<(), Error> {
        let sort = self.sort.filter(|sort| *sort != Sort::BY_ID);
        match sort {
            None if !self.all => self.show_page(client, output, columns),
            None if output.is_json() => self.stream(client),
            _ => {
                let mut items = self.everything(client, output, columns)?;
                if let Some(sort) = sort {
                    sort.order(&mut items);
                }
                let items = if self.all { items } else { part(items, self.page) };
                show(&items, output, columns)
            }
        }
    }

    /// Fetches what matches, all of it; for a table no more of each than that shows.
    pub(crate) fn everything(
        &self,
        client: &Client,
        output: Output,
        columns: &[Column],
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        self.each_page(client, true, |page| {
            for (mut row, text) in page {
                row.certificate.clear();
                items.push((row, if output.is_json() { text } else { slim(&text, columns)? }));
            }
            Ok(())
        })?;
        Ok(items)
    }

    fn show_page(&self, client: &Client, output: Output, columns: &[Column]) -> Result<(), Error> {
        let answer = client.get(self.path, &self.asked(&self.page, None))?;
        let Some(total) = answer.total else {
            return show(&part(self.matching(&answer)?, self.page), output, columns);
        };
        output.list(&answer, columns)?;
        self.tell_of_the_rest(total);
        Ok(())
    }

    /// Prints everything as JSON, as it comes.
    fn stream(&self, client: &Client) -> Result<(), Error> {
        let mut separator = "[";
        // A bar would run into what is printed.
        let bar = !std::io::stdout().is_terminal();
        self.each_page(client, bar, |page| {
            for (_, text) in page {
                output::print_part(separator)?;
                output::print_part(text.get())?;
                separator = ",";
            }
            Ok(())
        })?;
        output::print(if separator == "[" { "[]" } else { "]" })
    }

    /// Fetches what matches, and has a look at it page by page.
    fn each_page(
        &self,
        client: &Client,
        bar: bool,
        mut see: impl FnMut(Vec<Item>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let page = Page { skip: None, limit: Some(PAGE) };
        let mut answer = client.get(self.path, &self.asked(&page, None))?;
        let Some(total) = answer.total else { return see(self.matching(&answer)?) };
        let progress = bar.then(|| Progress::fetching("fetching", total));
        let mut seen = 0;
        loop {
            let mut items = self.items(&answer)?;
            let (count, last) = (items.len(), items.last().map(|(row, _)| row.id));
            if self.check {
                items.retain(|(row, _)| (self.matches)(row));
            }
            see(items)?;
            seen += count;
            progress.iter().for_each(|progress| progress.reached(seen));
            if count < PAGE_LENGTH {
                return Ok(());
            }
            answer = client.get(self.path, &self.asked(&page, last))?;
        }
    }

    fn asked(&self, page: &Page, after: Option<i64>) -> Vec<(&'static str, Option<String>)> {
        let mut asked = self.filters.clone();
        asked.push(("skip", page.skip.map(|skip| skip.to_string())));
        asked.push(("limit", page.limit.map(|limit| limit.to_string())));
        asked.push(("after_id", after.map(|id| id.to_string())));
        asked
    }

    fn items(&self, answer: &Answer) -> Result<Vec<Item>, Error> {
        let raw: Vec<Box<RawValue>> = answer.parse()?;
        raw.into_iter().map(|raw| Ok((answer.part(&raw)?, raw))).collect()
    }

    fn matching(&self, answer: &Answer) -> Result<Vec<Item>, Error> {
        let mut items = self.items(answer)?;
        items.retain(|(row, _)| (self.matches)(row));
        Ok(items)
    }

    fn tell_of_the_rest(&self, total: u64) {
        let skip = self.page.skip.unwrap_or(0);
        if let Some(limit) = self.page.limit.filter(|limit| skip.saturating_add(*limit) < total) {
            output::note(&format!("{total} in all: more with --skip {}", skip + limit));
        }
    }
}

/// Shows a part of a list that the server gives as a whole.
pub(crate) fn show_part(
    answer: &Answer,
    page: Page,
    output: Output,
    columns: &[Column],
) -> Result<(), Error> {
    if page.skip.is_none() && page.limit.is_none() {
        return output.list(answer, columns);
    }
    let items = answer.parse::<Vec<Box<RawValue>>>()?.into_iter().map(|text| (Row::default(), text));
    show(&part(items.collect(), page), output, columns)
}

fn part(items: Vec<Item>, page: Page) -> Vec<Item> {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let limit = page.limit.map_or(usize::MAX, number);
    items.into_iter().skip(page.skip.map_or(0, number)).take(limit).collect()
}

/// Shows items as they came.
pub(crate) fn show(items: &[Item], output: Output, columns: &[Column]) -> Result<(), Error> {
    if output.is_json() {
        let texts: Vec<&str> = items.iter().map(|(_, text)| text.get()).collect();
        return output::print(&format!("[{}]", texts.join(",")));
    }
    let objects: Result<Vec<Value>, _> =
        items.iter().map(|(_, text)| serde_json::from_str(text.get())).collect();
    output::print_list(&objects.map_err(failed)?, columns)
}

/// An item without what these columns do not show: certificates would take most of the memory.
fn slim(text: &RawValue, columns: &[Column]) -> Result<Box<RawValue>, Error> {
    let mut fields: Map<String, Value> = serde_json::from_str(text.get()).map_err(failed)?;
    fields.retain(|name, _| columns.iter().any(|Column(_, field, _)| field == name));
    serde_json::value::to_raw_value(&fields).map_err(failed)
}

fn failed(error: serde_json::Error) -> Error {
    Error::Failed(error.to_string())
}

/// Rows in one answer: certificates of 5 KB make 5 MB.
const PAGE: u64 = 1000;
const PAGE_LENGTH: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(sort: &str) -> Vec<i64> {
        let row = |id, name: &str, end: &str| {
            let row = Row { id, common_name: name.into(), not_after: end.parse().ok(), ..Row::default() };
            (row, RawValue::from_string("null".into()).unwrap())
        };
        let mut rows =
            [row(2, "b", "2030-01-02T00:00:00"), row(1, "A", "2030-01-03T00:00:00Z"), row(3, "c", "")];
        sort.parse::<Sort>().unwrap().order(&mut rows);
        rows.iter().map(|(row, _)| row.id).collect()
    }

    #[test]
    fn rows_are_sorted_both_ways() {
        assert_eq!(sorted("id"), [1, 2, 3]);
        assert_eq!(sorted("-id"), [3, 2, 1]);
        assert_eq!(sorted("common_name"), [1, 2, 3]);
        assert_eq!(sorted("not_after"), [3, 2, 1]);
        assert_eq!(sorted("-not_after"), [1, 2, 3]);
        assert!("serial".parse::<Sort>().is_err());
    }
}
