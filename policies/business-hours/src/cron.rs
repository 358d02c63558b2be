//! Cron expressions with five fields, and whether a minute is one of theirs. As in cron, when both days are narrowed a
//! minute that fits either is one.

use jiff::civil::DateTime;

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
}

/// The values that fit one field, by bit, and whether the field says more than `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    bits: u64,
    is_narrowed: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits & (1_u64 << value) != 0)
    }
}

impl Cron {
    /// Reads an expression; `None` for what is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
        let mut weekdays = field(weekdays, 0, 7)?;
        // Sunday is 0 and 7.
        weekdays.bits |= weekdays.bits >> 7 & 1;
        Some(Self {
            minutes: field(minutes, 0, 59)?,
            hours: field(hours, 0, 23)?,
            days: field(days, 1, 31)?,
            months: field(months, 1, 12)?,
            weekdays,
        })
    }

    /// Whether a minute is one of the expression's.
    pub(crate) fn matches(&self, minute: DateTime) -> bool {
        let day = self.days.has(minute.day());
        let weekday = self.weekdays.has(minute.weekday().to_sunday_zero_offset());
        let day_fits = match (self.days.is_narrowed, self.weekdays.is_narrowed) {
            (true, true) => day || weekday,
            (_, _) => day && weekday,
        };
        self.minutes.has(minute.minute())
            && self.hours.has(minute.hour())
            && self.months.has(minute.month())
            && day_fits
    }
}

/// Reads `*`, `5`, `1-5`, `*/15`, `8-18/2`, and lists of them.
fn field(text: &str, least: u32, most: u32) -> Option<Field> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (least, most),
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => {
                let value = range.parse().ok()?;
                (value, if part.contains('/') { most } else { value })
            }
        };
        if first < least || last > most || first > last {
            return None;
        }
        (first..=last).step_by(step).for_each(|value| bits |= 1_u64 << value);
    }
    Some(Field { bits, is_narrowed: !text.starts_with('*') })
}

#[cfg(test)]
mod tests {
    use super::Cron;

    fn matches(expression: &str, minute: &str) -> bool {
        Cron::parse(expression).unwrap().matches(minute.parse().unwrap())
    }

    #[test]
    fn each_field_narrows() {
        // A Monday.
        let minute = "2026-03-16T09:30:00";
        for expression in ["* * * * *", "30 9 16 3 1", "*/15 8-18/1 * 1,3 1-5", "30 9 * * 1"] {
            assert!(matches(expression, minute), "{expression}");
        }
        for expression in ["31 * * * *", "* 10 * * *", "* * * 4 *", "* * * * 0", "* * 17 * *", "*/20 * * * *"]
        {
            assert!(!matches(expression, minute), "{expression}");
        }
    }

    #[test]
    fn when_both_days_are_narrowed_either_will_do() {
        assert!(matches("0 0 1 * 1", "2026-03-16T00:00:00"));
        assert!(matches("0 0 1 * 1", "2026-04-01T00:00:00"));
        assert!(!matches("0 0 1 * 1", "2026-03-17T00:00:00"));
    }

    #[test]
    fn sunday_has_two_numbers() {
        for expression in ["0 0 * * 0", "0 0 * * 7"] {
            assert!(matches(expression, "2026-03-15T00:00:00"), "{expression}");
        }
    }

    #[test]
    fn what_is_not_an_expression_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "x * * * *",
            "* * 0 * *",
        ] {
            assert_eq!(Cron::parse(text), None, "{text}");
        }
    }
}
