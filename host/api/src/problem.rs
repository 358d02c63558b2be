//! What is wrong with an input: where, what was found, what was expected.
//!
//! A [`Defect`] is found inside one object; a [`Problem`] says in which file and document that object is. Nothing
//! here decides what is wrong.

use std::fmt;

/// Where in an object a reader is: a chain on the stack that costs nothing until something is wrong.
#[derive(Clone, Copy, Debug)]
pub enum At<'a> {
    /// The object itself.
    Root,
    /// A field of a place.
    Key(&'a At<'a>, &'a str),
    /// An item of a list.
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// The field `name` of this place.
    #[must_use]
    pub fn key<'b>(&'b self, name: &'b str) -> At<'b> {
        At::Key(self, name)
    }

    /// The item at `position`, counted from zero.
    #[must_use]
    pub fn index(&self, position: usize) -> At<'_> {
        At::Index(self, position)
    }

    /// This place as a path that outlives the reader.
    #[must_use]
    pub fn path(&self) -> Path {
        match self {
            At::Root => Path::default(),
            At::Key(parent, name) => parent.path().with(Segment::Key((*name).to_owned())),
            At::Index(parent, position) => parent.path().with(Segment::Index(*position)),
        }
    }
}

/// A place inside an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Segment>);

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// To a field.
    Key(String),
    /// To an item of a list, counted from zero.
    Index(usize),
}

impl Path {
    /// This path and one step more.
    #[must_use]
    pub fn with(mut self, segment: Segment) -> Self {
        self.0.push(segment);
        self
    }

    /// The path that leads along `self` and then along `rest`.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }
}

impl fmt::Display for Path {
    /// `spec.template.spec.requirements[0].operator`; a key that is not a plain word is quoted in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if !is_word(key) => write!(f, "[{:?}]", shortened(key))?,
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_word(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= FOUND_CHARS_MAX
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Something wrong at one place of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Defect {
    /// The place.
    pub path: Path,
    /// What is there, shortened.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

impl Defect {
    /// A defect at `at`.
    #[must_use]
    pub fn new(at: &At<'_>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::at_path(at.path(), found, expected)
    }

    /// A defect at a place that is known as a path.
    #[must_use]
    pub fn at_path(path: Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path, found: shortened(&found.into()), expected: expected.into() }
    }
}

impl fmt::Display for Defect {
    /// `spec.weight: found 200, expected at most 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string();
        let separator = if path.is_empty() { "" } else { ": " };
        write!(f, "{path}{separator}found {}, expected {}", self.found, self.expected)
    }
}

/// Values longer than this are cut when they are quoted in a message: a message is read by people.
const FOUND_CHARS_MAX: usize = 120;

fn shortened(text: &str) -> String {
    if text.chars().count() <= FOUND_CHARS_MAX {
        return text.to_owned();
    }
    let head: String = text.chars().take(FOUND_CHARS_MAX).collect();
    format!("{head}…")
}

/// Where an object was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The file as it was named to the reader.
    pub file: String,
    /// Which document of the file, counted from one.
    pub document: usize,
    /// The line of the file at which the object begins, counted from one.
    pub line: usize,
    /// The object's kind, empty when it has none.
    pub kind: String,
    /// The object's name, with its namespace before a slash; empty when it has none.
    pub name: String,
}

/// Something wrong in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The object; its `line` is that of the defect.
    pub source: Source,
    /// What is wrong with it.
    pub defect: Defect,
}

impl fmt::Display for Problem {
    /// ```text
    /// pools.yaml:14 (document 2, NodePool general) spec.weight
    ///   found    200
    ///   expected at most 100
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source: Source { file, document, line, kind, name }, defect } = self;
        f.write_str(file)?;
        if *line > 0 {
            write!(f, ":{line}")?;
        }
        if *document > 0 {
            let object = format!("{} {}", shortened(kind), shortened(name));
            let separator = if object.trim().is_empty() { "" } else { ", " };
            write!(f, " (document {document}{separator}{})", object.trim())?;
        }
        let path = defect.path.to_string();
        if !path.is_empty() {
            write!(f, " {path}")?;
        }
        write!(f, "\n  found    {}\n  expected {}", defect.found, defect.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::{At, Defect, Problem, Source};

    #[test]
    fn a_path_quotes_keys_that_are_not_plain_words() {
        let (root, metadata) = (At::Root, "metadata");
        let place = root.key(metadata);
        let labels = place.key("labels");
        assert_eq!(
            labels.key("app.kubernetes.io/name").path().to_string(),
            r#"metadata.labels["app.kubernetes.io/name"]"#
        );
        assert_eq!(root.key("items").index(3).path().to_string(), "items[3]");
    }

    #[test]
    fn a_problem_names_file_line_document_object_path_found_and_expected() {
        let source = Source {
            file: "pools.yaml".into(),
            document: 2,
            line: 14,
            kind: "NodePool".into(),
            name: "general".into(),
        };
        let defect = Defect::new(&At::Root.key("spec").key("weight"), "200", "at most 100");
        let shown = Problem { source, defect }.to_string();
        let wanted = "pools.yaml:14 (document 2, NodePool general) spec.weight\n  found    200\n  expected at most 100";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_long_value_is_cut_in_messages() {
        let defect = Defect::new(&At::Root, "x".repeat(10_000), "less");
        assert_eq!(defect.found.chars().count(), 121);
    }

    #[test]
    fn a_long_name_and_a_long_path_are_cut_in_messages() {
        let long = "x".repeat(10_000);
        let source = Source { kind: long.clone(), name: long.clone(), document: 1, ..Source::default() };
        let problem = Problem { source, defect: Defect::new(&At::Root.key(&long), &*long, "less") };
        assert!(problem.to_string().len() < 1_000, "{problem}");
    }
}
