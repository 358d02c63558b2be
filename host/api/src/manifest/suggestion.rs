//! What somebody may have meant.

/// More names than this are not listed: nobody reads them.
const LISTED_MAX: usize = 12;
/// Two names that differ in more letters than this are not mistaken for each other.
const DISTANCE_MAX: usize = 2;

/// What is expected in place of the unknown field `found`.
pub(super) fn fields<'a>(found: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match nearest(found, &known) {
        Some(meant) => format!("a known field; did you mean '{meant}'?"),
        None if known.len() <= LISTED_MAX => format!("one of the fields {}", known.join(", ")),
        None => "a known field".to_owned(),
    }
}

/// What is expected in place of the unknown value `found`.
pub(super) fn options(found: &str, allowed: &[&str]) -> String {
    let hint = nearest(found, allowed).map(|meant| format!("; did you mean '{meant}'?")).unwrap_or_default();
    format!("one of {}{hint}", allowed.join(", "))
}

/// The name most like `found`, if one is like it.
fn nearest<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    // Long texts are no misspelt names, and comparing them takes long.
    if found.len() > 64 {
        return None;
    }
    let lower = found.to_lowercase();
    let distances = known.iter().map(|name| (distance(&lower, &name.to_lowercase()), *name));
    let limit = DISTANCE_MAX.min(found.len() / 3);
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// How many letters must be added, removed or changed to make one name the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{fields, options};

    #[test]
    fn a_misspelt_name_is_recognised() {
        let known = ["consolidateAfter".to_owned(), "budgets".to_owned()];
        assert_eq!(
            fields("consolidateafter", known.iter()),
            "a known field; did you mean 'consolidateAfter'?"
        );
        assert_eq!(fields("budget", known.iter()), "a known field; did you mean 'budgets'?");
        assert_eq!(fields("x", known.iter()), "one of the fields consolidateAfter, budgets");
        assert_eq!(options("in", &["In", "NotIn"]), "one of In, NotIn; did you mean 'In'?");
    }
}
