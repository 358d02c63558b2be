//! Everything that is wrong with an input, at once.

use std::collections::BTreeSet;
use std::fmt;

use whittle_api::problem::{Defect, Path, Problem, Segment, Source};

/// Everything that is wrong with an input; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// More problems than this are one mistake made often, or no manifests at all.
const SHOWN_MAX: usize = 1_000;

impl fmt::Display for Problems {
    /// One problem per paragraph. Of very many the first are shown, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown: Vec<String> = self.0.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
        let more = self.0.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        f.write_str(&shown.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Problems of one file, as they are found.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    source: Source,
    /// Places whose problem is told already: what is wrong there, in or around it follows from that.
    told: BTreeSet<Path>,
    pub(crate) found: Vec<Problem>,
}

impl Finder {
    pub(crate) fn new(source: Source) -> Self {
        Self::after(source, Vec::new())
    }

    /// Goes on where the problems of these places are told already.
    pub(crate) fn after(source: Source, told: Vec<Path>) -> Self {
        Self { source, told: told.into_iter().collect(), found: Vec::new() }
    }

    /// Something is wrong at a place.
    pub(crate) fn add(&mut self, path: &Path, found: impl Into<String>, expected: impl Into<String>) {
        if self.is_told(path) {
            return;
        }
        let defect = Defect::at_path(path.clone(), found, expected);
        self.found.push(Problem { source: self.source.clone(), defect });
    }

    /// Whether the problem of a place in or around this one is told already.
    fn is_told(&self, path: &Path) -> bool {
        let around = (0..=path.0.len()).any(|length| self.told.contains(&Path(path.0[..length].to_vec())));
        // What is in it comes right after it.
        let within = || self.told.range(path..).next().is_some_and(|told| told.0.starts_with(&path.0));
        around || within()
    }
}

/// The path `spec.events[3].at` from its parts.
pub(crate) fn path(parts: &[&str]) -> Path {
    Path(parts.iter().map(|part| Segment::Key((*part).to_owned())).collect())
}

/// The names nearest in spelling first, for messages: what people mistype is rarely far off.
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>, wanted: &str) -> String {
    const NAMES_SHOWN_MAX: usize = 8;
    // Comparing takes the product of the lengths, and what is so long is no mistyped name.
    const WANTED_CHARS_MAX: usize = 64;
    let wanted: String = wanted.chars().take(WANTED_CHARS_MAX).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_cached_key(|name| (distance(name, &wanted), *name));
    names.dedup();
    let more = names.len().saturating_sub(NAMES_SHOWN_MAX);
    names.truncate(NAMES_SHOWN_MAX);
    match (names.is_empty(), more) {
        (true, _) => "one that exists, but there are none".to_owned(),
        (false, 0) => format!("one of {}", names.join(", ")),
        (false, more) => format!("one of {} and {more} more", names.join(", ")),
    }
}

/// How many letters must be added, taken out or changed to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use whittle_api::problem::{Problem, Source};

    use super::{Finder, Problems, SHOWN_MAX, one_of, path};

    #[test]
    fn the_nearest_name_comes_first() {
        assert_eq!(one_of(["api", "web", "worker"], "wbe"), "one of web, api, worker");
    }

    #[test]
    fn of_very_many_problems_the_first_are_shown_and_how_many_more_there_are() {
        let problems = Problems(vec![Problem::default(); SHOWN_MAX + 7]);
        let shown = problems.to_string();
        assert_eq!(shown.matches("expected").count(), SHOWN_MAX);
        assert_eq!(shown.lines().last(), Some("and 7 more"));
    }

    #[test]
    fn what_follows_from_a_problem_that_is_told_is_not_told() {
        let told = vec![path(&["spec", "duration"]), path(&["spec", "timings", "join"])];
        let mut finder = Finder::after(Source::default(), told);
        let places: [&[&str]; 6] = [
            &["spec", "duration"],
            &["spec", "duration", "unit"],
            &["spec"],
            &["spec", "timings"],
            &["spec", "timings", "ready"],
            &["spec", "durations"],
        ];
        for place in places {
            finder.add(&path(place), "this", "that");
        }
        let found: Vec<String> = finder.found.iter().map(|one| one.defect.path.to_string()).collect();
        assert_eq!(found, ["spec.timings.ready", "spec.durations"]);
    }
}
