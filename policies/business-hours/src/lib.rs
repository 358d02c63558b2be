//! Moves nothing during the hours that matter. When they are is said by cron windows in a time zone, so that they stay
//! at nine in the morning when clocks change.

#![forbid(unsafe_code)]

mod cron;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use whittle_guest_sdk::prelude::*;

use crate::cron::Cron;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BusinessHours {
    /// The time zone by its name in the IANA database, such as `Europe/Berlin`.
    time_zone: String,
    /// When nothing moves.
    windows: Vec<Window>,
    /// Whether nodes without pods may go all the same.
    #[serde(default = "yes")]
    let_empty_go: bool,
}

/// A time that comes again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Window {
    /// When it begins: minute, hour, day of the month, month, day of the week.
    begins: String,
    /// How long it lasts, a day at most.
    lasts: Span,
}

fn yes() -> bool {
    true
}

/// A window longer than a day is written as one for each day.
const LASTS_MAX: Span = Span::from_secs(86_400);

impl Policy for BusinessHours {
    fn complaints(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if TimeZone::get(&self.time_zone).is_err() {
            let message = format!("found {:?}, expected a name such as Europe/Berlin", self.time_zone);
            complaints.push(Complaint::new("timeZone", message));
        }
        if self.windows.is_empty() {
            complaints.push(Complaint::new("windows", "is empty, expected at least one"));
        }
        for (place, window) in self.windows.iter().enumerate() {
            if Cron::parse(&window.begins).is_none() {
                let message = format!("found {:?}, expected five fields such as 0 9 * * 1-5", window.begins);
                complaints.push(Complaint::new(format!("windows[{place}].begins"), message));
            }
            if window.lasts.millis() < 60_000 || window.lasts > LASTS_MAX {
                complaints.push(Complaint::new(format!("windows[{place}].lasts"), "expected 1m to 24h"));
            }
        }
        complaints
    }
}

impl BusinessHours {
    /// When the window that is open at `now` closes; `None` when none is open. Of several the last to close counts.
    fn closes(&self, now: Instant) -> Option<Instant> {
        let zone = TimeZone::get(&self.time_zone).ok()?;
        let now = Timestamp::from_millisecond(i64::try_from(now).ok()?).ok()?;
        let local = zone.to_datetime(now);
        let closes = self.windows.iter().filter_map(|window| {
            let begin = last_begin(&Cron::parse(&window.begins)?, local, window.lasts)?;
            let begin = zone.to_timestamp(begin).ok()?;
            let close = begin.checked_add(i64::try_from(window.lasts.millis()).ok()?.milliseconds()).ok()?;
            (close > now).then_some(close)
        });
        u64::try_from(closes.max()?.as_millisecond()).ok()
    }
}

/// The last begin of a window at or before `local` and no longer ago than it lasts.
fn last_begin(cron: &Cron, local: DateTime, lasts: Span) -> Option<DateTime> {
    let minutes = i64::try_from(lasts.millis() / 60_000).ok()?;
    let whole = local.with().second(0).subsec_nanosecond(0).build().ok()?;
    // An hour more: when clocks are put back, an hour is lived twice.
    let candidates = (0..=minutes + 60).filter_map(|ago| whole.checked_sub(ago.minutes()).ok());
    candidates.into_iter().find(|candidate| cron.matches(*candidate))
}

impl Consolidation for BusinessHours {
    fn judge(&self, round: &Round<'_>, found: &Move) -> MoveVerdict {
        self.judge_at(self.closes(round.now), found)
    }

    /// When the window closes is the same for all moves.
    fn judge_all(&self, round: &Round<'_>, moves: &[Move]) -> Vec<MoveVerdict> {
        let closes = self.closes(round.now);
        moves.iter().map(|found| self.judge_at(closes, found)).collect()
    }
}

impl BusinessHours {
    fn judge_at(&self, closes: Option<Instant>, found: &Move) -> MoveVerdict {
        let may_go = self.let_empty_go && found.reason == Reason::Empty;
        match closes {
            Some(until) if !may_go => MoveVerdict::not_before(until, "business hours"),
            Some(_) | None => MoveVerdict::Allow,
        }
    }
}

export_policy!(BusinessHours: Policy, Consolidation);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(time_zone: &str) -> BusinessHours {
        let window = Window { begins: "0 9 * * 1-5".to_owned(), lasts: Span::from_secs(9 * 3_600) };
        BusinessHours { time_zone: time_zone.to_owned(), windows: vec![window], let_empty_go: true }
    }

    fn at(text: &str) -> Instant {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_begin_until_its_end() {
        let seoul = policy("Asia/Seoul");
        // 2026-03-16 is a Monday, and Seoul is nine hours ahead of UTC.
        let close = Some(at("2026-03-16T09:00:00Z"));
        assert_eq!(seoul.closes(at("2026-03-15T23:59:59Z")), None);
        assert_eq!(seoul.closes(at("2026-03-16T00:00:00Z")), close);
        assert_eq!(seoul.closes(at("2026-03-16T08:59:59Z")), close);
        assert_eq!(seoul.closes(at("2026-03-16T09:00:00Z")), None);
        assert_eq!(seoul.closes(at("2026-03-14T03:00:00Z")), None, "a Saturday");
    }

    #[test]
    fn nine_in_the_morning_stays_nine_when_clocks_change() {
        let berlin = policy("Europe/Berlin");
        // Clocks went forward on 2026-03-29.
        assert_eq!(berlin.closes(at("2026-03-27T08:00:00Z")), Some(at("2026-03-27T17:00:00Z")));
        assert_eq!(berlin.closes(at("2026-03-30T07:00:00Z")), Some(at("2026-03-30T16:00:00Z")));
        assert_eq!(berlin.closes(at("2026-03-30T06:59:59Z")), None);
    }

    #[test]
    fn nothing_moves_in_the_window_but_empty_nodes() {
        let policy = policy("Asia/Seoul");
        let round = Round { now: at("2026-03-16T01:00:00Z"), nodes: &[] };
        let moves = [moving([0]).moving_pods(3), moving([1]).because(Reason::Empty)];
        let until = MoveVerdict::not_before(at("2026-03-16T09:00:00Z"), "business hours");
        assert_eq!(policy.judge_all(&round, &moves), [until.clone(), MoveVerdict::Allow]);
        let strict = BusinessHours { let_empty_go: false, ..policy };
        assert_eq!(strict.judge_all(&round, &moves), [until.clone(), until]);
    }

    #[test]
    fn settings_that_cannot_be_kept_are_complained_about() {
        let wrong = BusinessHours {
            time_zone: "Mars/Olympus".to_owned(),
            windows: vec![Window { begins: "nine".to_owned(), lasts: Span::from_secs(0) }],
            let_empty_go: true,
        };
        let paths: Vec<String> = wrong.complaints().into_iter().map(|complaint| complaint.path).collect();
        assert_eq!(paths, ["timeZone", "windows[0].begins", "windows[0].lasts"]);
        assert_eq!(policy("UTC").complaints(), []);
    }
}
