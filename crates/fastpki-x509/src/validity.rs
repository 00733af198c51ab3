use jiff::{SignedDuration, Timestamp};

use crate::{Certificate, Error};

/// The time a certificate is valid, from the first to the last second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// A validity of whole days from now on; fractions of the current second are dropped.
    ///
    /// There may be 1 to [`MAX_VALIDITY_DAYS`] days, and they must end within the year 9999.
    pub fn from(now: Timestamp, days: u32) -> Result<Self, Error> {
        if !(1..=MAX_VALIDITY_DAYS).contains(&days) {
            let reason = format!("{days} days asked, 1 to {MAX_VALIDITY_DAYS} are possible");
            return Err(Error::Validity { reason });
        }
        let beyond = |_| Error::Validity { reason: format!("{days} days end after the year 9999") };
        let not_before = Timestamp::from_second(now.as_second()).map_err(beyond)?;
        let length = SignedDuration::from_secs(i64::from(days) * SECONDS_PER_DAY);
        let not_after = not_before.checked_add(length).map_err(beyond)?;
        Ok(Self { not_before, not_after })
    }

    /// The part of this validity that lies within the issuer's: a certificate never outlives its issuer.
    pub fn within(self, issuer: &Certificate) -> Result<Self, Error> {
        let limit = issuer.validity();
        if self.not_before < limit.not_before {
            return Err(Error::IssuerNotYetValid { not_before: limit.not_before });
        }
        if limit.not_after <= self.not_before {
            return Err(Error::IssuerExpired { not_after: limit.not_after });
        }
        Ok(Self { not_after: self.not_after.min(limit.not_after), ..self })
    }

    /// What is left when fractions of seconds, which X.509 cannot express, are dropped.
    pub(crate) fn truncated(self) -> Self {
        let truncate = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        Self { not_before: truncate(self.not_before), not_after: truncate(self.not_after) }
    }

    /// The length in whole days, rounded down, at least one.
    pub fn whole_days(self) -> u32 {
        let seconds = self.not_after.as_second() - self.not_before.as_second();
        u32::try_from(seconds / SECONDS_PER_DAY).unwrap_or(0).max(1)
    }
}

/// The most days a validity may be asked for: enough to reach the year 9999 from any time that X.509 can express.
pub const MAX_VALIDITY_DAYS: u32 = 2_932_896;

const SECONDS_PER_DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn validity_starts_now_in_whole_seconds_and_lasts_its_days() {
        let validity = Validity::from(at("2027-03-01T10:00:00.999Z"), 30).unwrap();
        assert_eq!(validity.not_before, at("2027-03-01T10:00:00Z"));
        assert_eq!(validity.not_after, at("2027-03-31T10:00:00Z"));
        assert_eq!(validity.whole_days(), 30);
    }

    #[test]
    fn validity_beyond_the_year_9999_is_refused() {
        let now = at("2027-03-01T10:00:00Z");
        assert!(Validity::from(now, 2_911_000).is_ok());
        for days in [0, 2_913_000, MAX_VALIDITY_DAYS, u32::MAX] {
            assert!(matches!(Validity::from(now, days), Err(Error::Validity { .. })), "{days}");
        }
    }

    #[test]
    fn part_of_a_day_counts_as_one() {
        let validity =
            Validity { not_before: at("2027-03-01T10:00:00Z"), not_after: at("2027-03-01T11:00:00Z") };
        assert_eq!(validity.whole_days(), 1);
        let validity = Validity { not_after: at("2027-03-03T09:59:59Z"), ..validity };
        assert_eq!(validity.whole_days(), 1);
    }
}
