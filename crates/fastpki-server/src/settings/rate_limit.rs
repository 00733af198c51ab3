//! How often something may be done.

use super::reader::Fault;

/// Limits that hold at once.
pub type RateLimits = Vec<RateLimit>;

/// So many times in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Times allowed in one window; at least 1.
    pub count: u32,
    /// Length of the window; at least 1.
    pub window_seconds: u64,
}

pub(super) const DEFAULT: [RateLimit; 1] = [RateLimit { count: 5, window_seconds: 60 }];

/// Limits such as `5/minute`, `5 per minute` or `10/5minutes`, joined by `;`, `,` or `|`.
pub(super) fn parse(text: &str) -> Result<RateLimits, Fault> {
    let limits: Option<RateLimits> = text.split([';', ',', '|']).map(limit).collect();
    limits.ok_or_else(|| {
        Fault::new("not a rate limit", "write one such as 5/minute or 10/5minutes, several joined by \";\"")
    })
}

fn limit(text: &str) -> Option<RateLimit> {
    let (count, rest) = number(text.trim());
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('/').or_else(|| strip_per(rest))?;
    let (multiple, unit) = number(rest.trim_start());
    let count = count.parse().ok().filter(|count| *count > 0)?;
    let multiple =
        if multiple.is_empty() { 1 } else { multiple.parse::<u64>().ok().filter(|times| *times > 0)? };
    let window_seconds = multiple.checked_mul(unit_seconds(unit.trim_start())?)?;
    Some(RateLimit { count, window_seconds })
}

fn number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn strip_per(text: &str) -> Option<&str> {
    let (word, rest) = text.split_at_checked("per".len())?;
    word.eq_ignore_ascii_case("per").then_some(rest)
}

fn unit_seconds(unit: &str) -> Option<u64> {
    match unit.to_ascii_lowercase().as_str() {
        "second" | "seconds" => Some(1),
        "minute" | "minutes" => Some(60),
        "hour" | "hours" => Some(60 * 60),
        "day" | "days" => Some(DAY),
        "month" | "months" => Some(30 * DAY),
        "year" | "years" => Some(12 * 30 * DAY),
        _ => None,
    }
}

const DAY: u64 = 24 * 60 * 60;
