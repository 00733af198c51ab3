//! Instants in UTC, to the microsecond.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC with a resolution of one microsecond, the databases' own.
///
/// Written as RFC 3339 with six decimals and `Z`; read with an offset, with `Z`, or with neither
/// (then it is UTC), with `T` or a blank between date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The instant this many microseconds after 1970-01-01T00:00:00Z; `None` outside of the years -9999 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        jiff::Timestamp::from_microsecond(micros).ok().map(Self)
    }

    /// The last whole second that can be told, on 9999-12-30: what says that it never ends, as certificates do by
    /// 9999-12-31T23:59:59Z, ends then.
    pub fn end_of_time() -> Self {
        let second = jiff::Timestamp::from_second(jiff::Timestamp::MAX.as_second());
        Self(second.expect("a second that began before an instant is within jiff's range"))
    }

    /// 1970-01-01T00:00:00Z.
    pub fn epoch() -> Self {
        Self(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.as_micros().div_euclid(1_000_000)
    }

    /// This instant moved by so many seconds, at the most to the end of time.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        let span = jiff::SignedDuration::from_secs(seconds);
        Self(self.0.saturating_add(span).expect("a signed duration carries no calendar units"))
    }

    /// `YYYY-MM-DD HH:MM:SS.ffffff`: the text that SQLite holds.
    pub fn to_sql_text(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self::from_micros(instant.as_microsecond()).unwrap_or_else(Self::end_of_time)
    }
}

impl From<Timestamp> for jiff::Timestamp {
    fn from(instant: Timestamp) -> Self {
        instant.0
    }
}

/// A text that is no instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTimestamp;

impl std::fmt::Display for BadTimestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a date and time such as 2030-01-31T12:00:00Z")
    }
}

impl std::error::Error for BadTimestamp {}

impl std::str::FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::from(instant));
        }
        let civil: jiff::civil::DateTime = text.parse().map_err(|_| BadTimestamp)?;
        jiff::tz::Offset::UTC.to_timestamp(civil).map(Self::from).map_err(|_| BadTimestamp)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn is_written_with_microseconds_and_z() {
        let instant = Timestamp::from_micros(1_700_000_000_000_000).unwrap();
        assert_eq!(instant.to_string(), "2023-11-14T22:13:20.000000Z");
        assert_eq!(instant.to_sql_text(), "2023-11-14 22:13:20.000000");
    }

    #[test]
    fn is_read_with_offset_with_z_and_with_neither() {
        let expected = Timestamp::from_micros(1_700_000_000_123_456).unwrap();
        for text in [
            "2023-11-14T22:13:20.123456Z",
            "2023-11-14T23:13:20.123456+01:00",
            "2023-11-14T22:13:20.123456",
            "2023-11-14 22:13:20.123456",
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_end_of_time_is_an_instant() {
        let end = Timestamp::from(jiff::Timestamp::MAX);
        assert!(end <= jiff::Timestamp::MAX.into());
        assert_eq!(end.as_seconds(), jiff::Timestamp::MAX.as_second());
        assert_eq!(Timestamp::from_micros(end.as_micros()), Some(end), "it survives the databases");
        assert_eq!(Timestamp::from(jiff::Timestamp::MIN).as_seconds(), jiff::Timestamp::MIN.as_second());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "yesterday", "2023-13-01T00:00:00Z", "12"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
