//! Spans of time as Go and Kubernetes write them: `1h30m`, `45s`, `Never`.
//!
//! The core counts milliseconds; what is finer is cut off. Negative spans are refused.

use whittle_core::model::time::Duration;

/// The word for a span without an end.
pub const NEVER: &str = "Never";

/// The span that `text` says, by the grammar of Go's `time.ParseDuration`; `None` when it is malformed, negative or
/// beyond 2^63 nanoseconds.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let (part, remaining) = part(rest)?;
        nanos = nanos.checked_add(part).filter(|nanos| *nanos <= i64::MAX as u128)?;
        rest = remaining;
    }
    u64::try_from(nanos / 1_000_000).ok().map(Duration::from_millis)
}

/// The span that `text` says, where `Never` says that there is no end: `Some(None)`.
#[must_use]
pub fn parse_or_never(text: &str) -> Option<Option<Duration>> {
    if text == NEVER { Some(None) } else { parse(text).map(Some) }
}

/// A span as Kubernetes writes it, `Never` for none.
#[must_use]
pub fn display_or_never(span: Option<Duration>) -> String {
    span.map_or_else(|| NEVER.to_owned(), |span| span.to_string())
}

/// The first number with its unit in nanoseconds, and what follows.
fn part(text: &str) -> Option<(u128, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(end);
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if integer.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit = nanos_per(unit)?;
    let whole = if integer.is_empty() { 0 } else { integer.parse::<u64>().ok()? };
    // Digits that say less than a nanosecond of an hour change nothing.
    let fraction = &fraction[..fraction.len().min(15)];
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some((u128::from(whole) * unit + u128::from(part) * unit / divisor, rest))
}

fn nanos_per(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use whittle_core::model::time::Duration;

    use super::{parse, parse_or_never};

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table: &[(&str, u64)] = &[
            ("0", 0),
            ("0s", 0),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("720h", 2_592_000_000),
            ("1h0m0s", 3_600_000),
            ("100ms", 100),
            ("1500us", 1),
            ("1500µs", 1),
            ("999999ns", 0),
            ("+5m", 300_000),
            ("30m10s30m", 3_610_000),
        ];
        for (text, millis) in table {
            assert_eq!(parse(text), Some(Duration::from_millis(*millis)), "{text}");
        }
    }

    #[test]
    fn malformed_negative_and_absurd_durations_are_refused() {
        for text in [
            "",
            "-1s",
            "5",
            "h",
            "1d",
            "1 h",
            "1h-5m",
            "..s",
            "1.2.3s",
            "99999999999999999999h",
            "2562048h",
            "Never",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn never_is_a_duration_without_an_end() {
        assert_eq!(parse_or_never("Never"), Some(None));
        assert_eq!(parse_or_never("1m"), Some(Some(Duration::from_secs(60))));
        assert_eq!(parse_or_never("never"), None);
    }
}
