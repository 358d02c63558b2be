//! `docs/conformance.md`: every behaviour once, each with what holds it or with the reason why nothing does.

use std::collections::{BTreeMap, BTreeSet};

/// Where the page is.
pub(crate) const PAGE: &str = "docs/conformance.md";

/// Behaviours are numbered from one to this.
const BEHAVIOURS: u32 = 210;

/// How a row begins that names nothing.
const REASONS: [&str; 4] = ["**Differs.**", "**Absent.**", "**Adapter.**", PENDING_WORD];
const PENDING_WORD: &str = "**Pending.**";

/// Behaviours that are being worked on. Each release has none.
pub(crate) const PENDING: [u32; 0] = [];

/// What is wrong with the page. `pending` are the numbers that may still say so, and must.
pub(crate) fn broken(
    page: &str,
    sources: &BTreeMap<String, String>,
    exists: impl Fn(&str) -> bool,
    pending: &[u32],
) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let mut last = 0;
    for (number, held_by) in page.lines().filter_map(row) {
        if !seen.insert(number) {
            findings.push(format!("behaviour {number} is there twice"));
        } else if number < last {
            findings.push(format!("behaviour {number} comes after {last}"));
        }
        last = number;
        findings.extend(held(number, held_by, sources, &exists));
        if held_by.starts_with(PENDING_WORD) != pending.contains(&number) {
            findings.push(format!("behaviour {number} is pending on the page or in the table, not in both"));
        }
    }
    findings
        .extend((1..=BEHAVIOURS).filter(|n| !seen.contains(n)).map(|n| format!("behaviour {n} is missing")));
    findings
        .extend(seen.iter().filter(|n| **n > BEHAVIOURS).map(|n| format!("behaviour {n} is one too many")));
    findings
}

/// The number and the last cell of a line that is a row of a behaviour.
fn row(line: &str) -> Option<(u32, &str)> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let mut cells = cells.splitn(3, " | ");
    let number = cells.next()?.parse().ok()?;
    Some((number, cells.nth(1).unwrap_or_default()))
}

/// What is wrong with what a row names.
fn held(
    number: u32,
    held_by: &str,
    sources: &BTreeMap<String, String>,
    exists: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut findings = Vec::new();
    let tests: Vec<&str> = held_by.split('`').skip(1).step_by(2).filter(|code| is_name(code)).collect();
    for test in &tests {
        if !sources.values().any(|source| is_test(source, test)) {
            findings.push(format!("behaviour {number} names the test {test}, which is not there"));
        }
    }
    let links = held_by.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    let scenarios: Vec<&str> = links.filter_map(|link| link.strip_prefix("../")).collect();
    for scenario in &scenarios {
        if !scenario.starts_with("tests/scenarios/") || !exists(scenario) {
            findings.push(format!("behaviour {number} names the scenario {scenario}, which is not there"));
        }
    }
    let has_reason = REASONS.iter().any(|reason| held_by.starts_with(reason));
    if tests.is_empty() && scenarios.is_empty() && !has_reason {
        findings.push(format!("behaviour {number} is held by nothing, and there is no reason"));
    }
    findings
}

fn is_name(code: &str) -> bool {
    code.contains('_')
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a source has a function of this name that is marked as a test, or a trial that is named by a text.
fn is_test(source: &str, name: &str) -> bool {
    let declaration = format!("fn {name}(");
    let is_marked = |at: usize| {
        let before = source[..at].trim_end();
        let mark = before.strip_suffix("async").unwrap_or(before).trim_end();
        mark.ends_with("#[test]") || mark.ends_with("#[tokio::test]")
    };
    source.match_indices(&declaration).any(|(at, _)| is_marked(at))
        || source.contains(&format!("\"{name}\","))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::broken;

    #[test]
    fn every_way_to_break_the_page_is_found() {
        let text =
            "#[test]\nfn a_test_that_is_there() {}\nfn no_test_at_all() {}\nstory(\"it_is_told\", told)";
        let sources = BTreeMap::from([("tests/x.rs".to_owned(), text.to_owned())]);
        let exists = |path: &str| path == "tests/scenarios/there/README.md";
        let good: Vec<String> =
            (1..=super::BEHAVIOURS).map(|n| format!("| {n} | b | `a_test_that_is_there` |")).collect();
        let page = |changes: &[(usize, &str)]| {
            let mut rows = good.clone();
            changes.iter().for_each(|(row, text)| (*text).clone_into(&mut rows[*row]));
            rows.join("\n")
        };
        let found = |changes: &[(usize, &str)]| broken(&page(changes), &sources, exists, &[]);
        let nothing: [&str; 0] = [];
        assert_eq!(found(&[]), nothing);
        assert_eq!(found(&[(0, "| 1 | b | [s](../tests/scenarios/there/README.md) |")]), nothing);
        assert_eq!(found(&[(0, "| 1 | b | `it_is_told` |")]), nothing);
        assert_eq!(found(&[(0, "| 1 | b | **Adapter.** Later. |")]), nothing);
        for (row, finding) in [
            ("| 1 | b |  |", "behaviour 1 is held by nothing, and there is no reason"),
            ("| 1 | b | in spirit |", "behaviour 1 is held by nothing, and there is no reason"),
            ("| 1 | b | `no_test_at_all` |", "behaviour 1 names the test no_test_at_all, which is not there"),
            ("| 1 | b | `gone_for_good` |", "behaviour 1 names the test gone_for_good, which is not there"),
            (
                "| 1 | b | [s](../tests/scenarios/gone/README.md) |",
                "behaviour 1 names the scenario tests/scenarios/gone/README.md, which is not there",
            ),
            ("| 1 | b | **Pending.** |", "behaviour 1 is pending on the page or in the table, not in both"),
            ("", "behaviour 1 is missing"),
        ] {
            assert_eq!(found(&[(0, row)]), [finding], "{row}");
        }
        let twice = found(&[(1, "| 1 | b | `a_test_that_is_there` |")]);
        assert_eq!(twice, ["behaviour 1 is there twice", "behaviour 2 is missing"]);
        let swapped =
            found(&[(0, "| 2 | b | `a_test_that_is_there` |"), (1, "| 1 | b | `a_test_that_is_there` |")]);
        assert_eq!(swapped, ["behaviour 1 comes after 2"]);
        let more = format!("{}\n| {} | b | **Absent.** |", page(&[]), super::BEHAVIOURS + 1);
        let finding = format!("behaviour {} is one too many", super::BEHAVIOURS + 1);
        assert_eq!(broken(&more, &sources, exists, &[]), [finding]);
        assert_eq!(
            broken(&page(&[]), &sources, exists, &[7]),
            ["behaviour 7 is pending on the page or in the table, not in both"]
        );
    }
}
