//! Everything that is wrong with an input, at once.

use std::fmt;

use whittle_api::problem::{Defect, Path, Problem, Segment, Source};

/// Everything that is wrong with an input; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    /// One problem per paragraph.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&shown.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Problems of one file, as they are found.
#[derive(Clone, Debug)]
pub(crate) struct Finder {
    source: Source,
    /// Places whose problem is told already: what is wrong there, in or around it follows from that.
    told: Vec<Path>,
    pub(crate) found: Vec<Problem>,
}

impl Finder {
    pub(crate) fn new(source: Source) -> Self {
        Self::after(source, Vec::new())
    }

    /// Goes on where the problems of these places are told already.
    pub(crate) fn after(source: Source, told: Vec<Path>) -> Self {
        Self { source, told, found: Vec::new() }
    }

    /// Something is wrong at a place.
    pub(crate) fn add(&mut self, path: &Path, found: impl Into<String>, expected: impl Into<String>) {
        if self.told.iter().any(|told| told.0.starts_with(&path.0) || path.0.starts_with(&told.0)) {
            return;
        }
        let defect = Defect { path: path.clone(), found: found.into(), expected: expected.into() };
        self.found.push(Problem { source: self.source.clone(), defect });
    }
}

/// The path `spec.events[3].at` from its parts.
pub(crate) fn path(parts: &[&str]) -> Path {
    Path(parts.iter().map(|part| Segment::Key((*part).to_owned())).collect())
}

/// The names nearest in spelling first, for messages: what people mistype is rarely far off.
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>, wanted: &str) -> String {
    const NAMES_SHOWN_MAX: usize = 8;
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| (distance(name, wanted), *name));
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
    use super::one_of;

    #[test]
    fn the_nearest_name_comes_first() {
        assert_eq!(one_of(["api", "web", "worker"], "wbe"), "one of web, api, worker");
    }
}
