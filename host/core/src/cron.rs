//! Cron schedules with five fields, in UTC, as NodePool budgets and CronJobs have them.
//!
//! Numbers, names of months and days, `*`, lists, ranges, steps and the usual words (`@hourly`). When both days are
//! restricted, either will do, as everywhere. Time zones are left out: budgets have none.

use crate::model::time::{Duration, Timestamp};

/// When something recurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MILLIS_PER_MINUTE: u64 = 60_000;
const MINUTES_PER_DAY: u64 = 1_440;
/// A schedule that names 29 February comes round within eight years, or never.
const DAYS_AHEAD_MAX: u64 = 8 * 366;

impl Schedule {
    /// The schedule that `text` says; `None` when it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let weekday_bits = field(weekdays, 0, 7, &WEEKDAYS, 0)?;
        Some(Self {
            minutes: field(minutes, 0, 59, &[], 0)?,
            hours: field(hours, 0, 23, &[], 0)?,
            days: field(days, 1, 31, &[], 0)?,
            months: field(months, 1, 12, &MONTHS, 1)?,
            // Sunday is both 0 and 7.
            weekdays: (weekday_bits | weekday_bits >> 7) & 0x7f,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        })
    }

    /// The first time after `after`; `None` when there is none.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let first = after.millis() / MILLIS_PER_MINUTE + 1;
        let mut day = first / MINUTES_PER_DAY;
        let mut minute = first % MINUTES_PER_DAY;
        for _ in 0..DAYS_AHEAD_MAX {
            if self.has_day(day)
                && let Some(found) = (minute..MINUTES_PER_DAY).find(|minute| self.has_minute(*minute))
            {
                let minutes = day * MINUTES_PER_DAY + found;
                return Some(Timestamp::EPOCH + Duration::from_millis(minutes * MILLIS_PER_MINUTE));
            }
            (day, minute) = (day + 1, 0);
        }
        None
    }

    fn has_minute(&self, minute_of_day: u64) -> bool {
        has(self.hours, minute_of_day / 60) && has(self.minutes, minute_of_day % 60)
    }

    fn has_day(&self, days_since_epoch: u64) -> bool {
        let (month, day) = month_and_day(days_since_epoch);
        // 1 January 1970 was a Thursday.
        let by_weekday = has(self.weekdays, (days_since_epoch + 4) % 7);
        let by_day = has(self.days, day);
        has(self.months, month) && if self.either_day { by_day || by_weekday } else { by_day && by_weekday }
    }
}

fn has(bits: u64, number: u64) -> bool {
    bits >> number & 1 == 1
}

/// The numbers that a field names, as bits.
fn field(text: &str, low: u64, high: u64, names: &[&str], first_name: u64) -> Option<u64> {
    let number = |text: &str| {
        let name = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let number = match name {
            Some(position) => first_name + u64::try_from(position).ok()?,
            None => text.parse().ok()?,
        };
        (low..=high).contains(&number).then_some(number)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step: u64 = step.map_or(Some(1), |step| step.parse().ok().filter(|step| *step > 0))?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return None;
        }
        let mut next = from;
        while next <= to {
            bits |= 1 << next;
            next = next.saturating_add(step);
        }
    }
    Some(bits)
}

/// Month and day of the month in the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
fn month_and_day(days_since_epoch: u64) -> (u64, u64) {
    let shifted = days_since_epoch + 719_468;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::{Schedule, Timestamp};

    #[test]
    fn the_next_time_of_a_schedule() {
        // Monday, 5 January 2026, 00:00 UTC.
        let monday = 1_767_571_200_u64;
        let table = [
            ("*/15 * * * *", 15 * 60),
            ("30 4 * * *", 4 * 3_600 + 30 * 60),
            ("0 9 * * tue-fri", 86_400 + 9 * 3_600),
            ("0 0 1 2 *", 27 * 86_400),
            ("0 0 13 * fri", 4 * 86_400),
            ("@hourly", 3_600),
            ("0 12 * * 7", 6 * 86_400 + 12 * 3_600),
        ];
        for (text, wanted) in table {
            let next = Schedule::parse(text).and_then(|s| s.next(Timestamp::from_millis(monday * 1_000)));
            assert_eq!(next, Some(Timestamp::from_millis((monday + wanted) * 1_000)), "{text}");
        }
    }

    #[test]
    fn malformed_schedules_are_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
            "1/0 * * * *",
            "0 0 0 * *",
        ] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
        let never = Schedule::parse("0 0 30 2 *").unwrap();
        assert_eq!(never.next(Timestamp::EPOCH), None);
    }
}
