//! Times in a scenario: spans, times of day, offsets from UTC, and how they are printed.

use jiff::tz::{Offset, TimeZone};
use whittle_core::model::time::{Duration, Timestamp};

const SECONDS_PER_DAY: u64 = 86_400;

/// A clock on the wall: an offset from UTC in seconds, east positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    offset_seconds: i32,
}

/// When something of a scenario happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// So long after the start.
    After(Duration),
    /// At this second of a day.
    TimeOfDay(u64),
}

impl Clock {
    /// The clock with this offset: `+09:00`, `-03:30`, `Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "Z" {
            return Some(Self::default());
        }
        let (sign, rest) = match text.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let (hours, minutes) = (two_digits(hours, 14)?, two_digits(minutes, 59)?);
        let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
        Some(Self { offset_seconds: sign * seconds })
    }

    /// The clock with this offset from UTC in seconds, east positive.
    #[must_use]
    pub const fn of_offset(offset_seconds: i32) -> Self {
        Self { offset_seconds }
    }

    /// The offset from UTC in seconds, east positive.
    #[must_use]
    pub const fn offset_seconds(self) -> i32 {
        self.offset_seconds
    }

    /// The first time at or after `start` at which this clock shows a second of the day.
    pub(crate) fn first(self, start: Timestamp, second_of_day: u64) -> Timestamp {
        let day_millis = SECONDS_PER_DAY * 1_000;
        let shown = self.shown_millis(start) % day_millis;
        let wanted = second_of_day * 1_000;
        start + Duration::from_millis((wanted + day_millis - shown) % day_millis)
    }

    /// The time of day that this clock shows: `09:30:15`.
    #[must_use]
    pub fn time_of_day(self, at: Timestamp) -> String {
        let second = self.shown_millis(at) / 1_000 % SECONDS_PER_DAY;
        format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
    }

    /// Which day this clock shows, counted from the Unix epoch.
    #[must_use]
    pub fn day(self, at: Timestamp) -> u64 {
        self.shown_millis(at) / 1_000 / SECONDS_PER_DAY
    }

    /// The date that this clock shows: `2026-03-14`.
    #[must_use]
    pub fn date(self, at: Timestamp) -> String {
        let seconds = i64::try_from(at.millis() / 1_000).unwrap_or(i64::MAX);
        let offset = Offset::from_seconds(self.offset_seconds).unwrap_or(Offset::UTC);
        match jiff::Timestamp::from_second(seconds) {
            Ok(timestamp) => timestamp.to_zoned(TimeZone::fixed(offset)).date().to_string(),
            // Beyond the year 9999 nobody reads dates.
            Err(_) => format!("{seconds} s"),
        }
    }

    /// How the clock is called: `UTC` or `UTC+09:00`.
    #[must_use]
    pub fn name(self) -> String {
        if self.offset_seconds == 0 {
            return "UTC".to_owned();
        }
        let sign = if self.offset_seconds < 0 { '-' } else { '+' };
        let minutes = self.offset_seconds.unsigned_abs() / 60;
        format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    fn shown_millis(self, at: Timestamp) -> u64 {
        let offset = i64::from(self.offset_seconds) * 1_000;
        at.millis().saturating_add_signed(offset)
    }
}

/// A point in time as RFC 3339, and the clock that it is written by.
#[must_use]
pub(crate) fn parse_timestamp(text: &str) -> Option<(Timestamp, Clock)> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    let millis = u64::try_from(timestamp.as_millisecond()).ok()?;
    let clock = text.split_at_checked(text.len().checked_sub(6)?).and_then(|(_, end)| Clock::parse(end));
    Some((Timestamp::from_millis(millis), clock.unwrap_or_default()))
}

/// A time of day (`09:30`, `09:30:15`) or a span after the start (`+1h30m`).
pub(crate) fn parse_when(text: &str) -> Option<When> {
    if let Some(span) = text.strip_prefix('+') {
        return whittle_api::duration::parse(span).map(When::After);
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (hours, minutes, "00"),
        [hours, minutes, seconds] => (hours, minutes, *seconds),
        _ => return None,
    };
    let second = two_digits(hours, 23)? * 3_600 + two_digits(minutes, 59)? * 60 + two_digits(seconds, 59)?;
    Some(When::TimeOfDay(second))
}

fn two_digits(text: &str, most: u64) -> Option<u64> {
    let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?.filter(|number| *number <= most)
}

#[cfg(test)]
mod tests {
    use super::{Clock, Duration, Timestamp, When, parse_timestamp, parse_when};

    #[test]
    fn a_start_says_by_which_clock_it_is_written() {
        let (start, clock) = parse_timestamp("2026-03-14T06:00:00+09:00").unwrap();
        assert_eq!(start, Timestamp::from_millis(1_773_435_600_000));
        assert_eq!((clock.name(), clock.time_of_day(start)), ("UTC+09:00".into(), "06:00:00".into()));
        assert_eq!(clock.date(start), "2026-03-14");
        assert_eq!(parse_timestamp("2026-03-13T21:00:00Z").unwrap(), (start, Clock::default()));
    }

    #[test]
    fn a_time_of_day_is_the_first_one_after_the_start() {
        let (start, clock) = parse_timestamp("2026-03-14T06:00:00+09:00").unwrap();
        let at = |text| match parse_when(text) {
            Some(When::TimeOfDay(second)) => clock.first(start, second).since(start).to_string(),
            Some(When::After(span)) => span.to_string(),
            None => "nothing".to_owned(),
        };
        let table = ["06:00", "20:00:30", "05:59", "+1h30m", "24:00", "9:30", "soon"];
        let wanted = ["0s", "14h30s", "23h59m", "1h30m", "nothing", "nothing", "nothing"];
        assert_eq!(table.map(at), wanted);
        assert_eq!(Duration::ZERO.to_string(), "0s");
    }
}
