//! Two simulations of the same day side by side: what differs, in money, evictions, interruptions and waiting.

use std::fmt::Write as _;

use whittle_core::model::time::Duration;

use crate::record::Record;

/// The difference between two records in a table, one line for each figure.
#[must_use]
pub fn text((left_name, left): (&str, &Record), (right_name, right): (&str, &Record)) -> String {
    let rows: [(&str, Figure, [u64; 2]); 10] = [
        ("cost", Figure::Money, [left.totals.cost_micros, right.totals.cost_micros]),
        (
            "most at one time",
            Figure::Money,
            [left.totals.price_peak.micros(), right.totals.price_peak.micros()],
        ),
        ("evictions", Figure::Count, [left.totals.evictions, right.totals.evictions]),
        ("pods lost", Figure::Count, [left.totals.interrupted_pods, right.totals.interrupted_pods]),
        ("waited, p50", Figure::Time, [left.totals.waits.p50_millis, right.totals.waits.p50_millis]),
        ("waited, p95", Figure::Time, [left.totals.waits.p95_millis, right.totals.waits.p95_millis]),
        ("waiting at end", Figure::Count, [left.totals.waiting_at_end, right.totals.waiting_at_end]),
        ("launches", Figure::Count, [left.totals.launches, right.totals.launches]),
        ("most nodes", Figure::Count, [left.totals.nodes_peak, right.totals.nodes_peak]),
        ("broken plans", Figure::Count, [left.violations.len() as u64, right.violations.len() as u64]),
    ];
    let estimated = left.totals.estimated || right.totals.estimated;
    let cells: Vec<[String; 4]> = rows
        .iter()
        .map(|(name, figure, [before, after])| {
            let name =
                if estimated && *figure == Figure::Money { format!("~{name}") } else { (*name).to_owned() };
            [name, figure.shown(*before), figure.shown(*after), figure.difference(*before, *after)]
        })
        .collect();
    let head = [String::new(), left_name.to_owned(), right_name.to_owned(), "DIFFERENCE".to_owned()];
    let lines = [head].into_iter().chain(cells).collect::<Vec<_>>();
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for cells in &lines {
        let [name, before, after, difference] = cells;
        let [first, second, third, fourth] = widths;
        let line = format!("{name:<first$}  {before:>second$}  {after:>third$}  {difference:>fourth$}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    /// Micro-dollars.
    Money,
    /// Things.
    Count,
    /// Milliseconds.
    Time,
}

impl Figure {
    fn shown(self, amount: u64) -> String {
        match self {
            Self::Money => format!("${}.{:02}", amount / 1_000_000, amount % 1_000_000 / 10_000),
            Self::Count => amount.to_string(),
            Self::Time => Duration::from_millis(amount / 1_000 * 1_000).to_string(),
        }
    }

    /// `+` for more, `-` for less, nothing for the same.
    fn difference(self, before: u64, after: u64) -> String {
        let sign = match after.cmp(&before) {
            std::cmp::Ordering::Less => "-",
            std::cmp::Ordering::Equal => return "=".to_owned(),
            std::cmp::Ordering::Greater => "+",
        };
        let amount = before.abs_diff(after);
        let share = match before {
            0 => String::new(),
            _ => format!(" ({sign}{} %)", u128::from(amount) * 100 / u128::from(before)),
        };
        format!("{sign}{}{share}", self.shown(amount))
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_difference_says_in_which_direction_and_by_how_much() {
        assert_eq!(Figure::Money.difference(40_000_000, 30_000_000), "-$10.00 (-25 %)");
        assert_eq!(Figure::Count.difference(0, 3), "+3");
        assert_eq!(Figure::Time.difference(60_000, 90_500), "+30s (+50 %)");
        assert_eq!(Figure::Count.difference(7, 7), "=");
    }
}
