//! YAML and JSON text as values with the line of each, document by document.
//!
//! Scalars mean what they mean to `kubectl`, which reads YAML 1.1: a plain `yes` is a boolean. A document that is broken
//! does not hide the others. Nesting and what aliases copy are limited, so no text can exhaust stack or memory.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use super::scalar;
use crate::problem::{Path, Segment};

/// Deeper nesting than this is refused. A pod's deepest field is about fifteen levels down.
const NESTING_MAX: usize = 64;
/// Aliases may copy this many bytes in one document: far more than a person reuses, far less than a bomb needs.
const ALIASED_BYTES_MAX: usize = 16 << 20;
/// What a value costs beside its text, roughly.
const NODE_BYTES: usize = 128;

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) lines: Lines,
    /// Keys that occur a second time in their map, with the line of the second; the first one stands.
    pub(super) duplicates: Vec<(Path, usize)>,
}

/// A document that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) found: String,
    pub(super) expected: &'static str,
}

/// The line on which each part of a value begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    line: usize,
    within: Within,
}

#[derive(Clone, Debug, Default)]
enum Within {
    #[default]
    Scalar,
    Map(Vec<(String, Lines)>),
    List(Vec<Lines>),
}

impl Lines {
    /// The line of the deepest part of `path` that is there.
    pub(super) fn line_of(&self, path: &Path) -> usize {
        let mut part = self;
        for segment in &path.0 {
            let next = match (segment, &part.within) {
                (Segment::Key(key), Within::Map(fields)) => {
                    fields.iter().find(|(name, _)| name == key).map(|(_, lines)| lines)
                }
                (Segment::Index(index), Within::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => part = next,
                None => break,
            }
        }
        part.line
    }
}

/// All documents of a text that hold anything, in order.
pub(super) fn documents(text: &str) -> Vec<Result<Document, Broken>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    for (first_line, chunk) in chunks(text) {
        if chunk.lines().all(says_nothing) {
            continue;
        }
        let mut parser = Parser::new_from_str_with_options(
            chunk,
            granit_parser::options! { flow_nesting_limit: NESTING_MAX, block_nesting_limit: NESTING_MAX },
        );
        loop {
            match document(&mut parser, first_line) {
                Ok(Some(document)) if document.value.is_null() => {}
                Ok(Some(document)) => documents.push(Ok(document)),
                Ok(None) => break,
                Err(broken) => {
                    documents.push(Err(broken));
                    break;
                }
            }
        }
    }
    documents
}

/// The text cut before each line that begins with `---`, each piece with the number of lines before it. YAML allows
/// that mark nowhere but between documents.
fn chunks(text: &str) -> Vec<(usize, &str)> {
    let mut chunks = Vec::new();
    let (mut begin, mut first_line, mut offset) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let is_mark = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if is_mark {
            chunks.push((first_line, &text[begin..offset]));
            (begin, first_line) = (offset, number);
        }
        offset += line.len();
    }
    chunks.push((first_line, &text[begin..]));
    chunks
}

/// Comments, directives and marks.
fn says_nothing(line: &str) -> bool {
    let line = line.trim_end();
    line.trim_start().is_empty()
        || line.trim_start().starts_with('#')
        || line.starts_with('%')
        || line == "---"
        || line == "..."
}

/// A map or list that is not complete yet.
struct Open {
    lines: Lines,
    anchor: usize,
    value: OpenValue,
}

enum OpenValue {
    Map { map: Map<String, Value>, key: Option<String>, merged: Vec<(Value, Lines)> },
    List(Vec<Value>),
}

/// A document on its way.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    done: Option<(Value, Lines)>,
    anchors: BTreeMap<usize, (Value, Lines)>,
    aliased_bytes: usize,
    duplicates: Vec<(Path, usize)>,
}

fn document<'a>(
    parser: &mut Parser<'a, granit_parser::StrInput<'a>>,
    first_line: usize,
) -> Result<Option<Document>, Broken> {
    let mut builder = Builder::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| Broken {
            line: first_line + error.marker().line(),
            found: error.info(),
            expected: "YAML",
        })?;
        let line = first_line + span.start.line();
        match event {
            Event::StreamEnd => return Ok(None),
            Event::DocumentEnd => {
                let (value, lines) = builder.done.unwrap_or_default();
                return Ok(Some(Document { value, lines, duplicates: builder.duplicates }));
            }
            event => builder.add(event, line)?,
        }
    }
    Ok(None)
}

impl Builder {
    fn add(&mut self, event: Event<'_>, line: usize) -> Result<(), Broken> {
        let lines = Lines { line, within: Within::Scalar };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), lines)
            }
            Event::MappingStart(_, anchor, tag) => {
                plain_tag(tag.as_deref(), "map", line)?;
                let value = OpenValue::Map { map: Map::new(), key: None, merged: Vec::new() };
                self.begin(Open { lines: Lines { line, within: Within::Map(Vec::new()) }, anchor, value })
            }
            Event::SequenceStart(_, anchor, tag) => {
                plain_tag(tag.as_deref(), "seq", line)?;
                let value = OpenValue::List(Vec::new());
                self.begin(Open { lines: Lines { line, within: Within::List(Vec::new()) }, anchor, value })
            }
            Event::MappingEnd | Event::SequenceEnd => self.end(line),
            Event::Alias(id) => {
                let Some((value, lines)) = self.anchors.get(&id) else {
                    return Err(Broken {
                        line,
                        found: "an alias inside of what it stands for".to_owned(),
                        expected: "an alias of something complete",
                    });
                };
                let (value, lines) = (value.clone(), lines.clone());
                self.spend(&value, line)?;
                self.place(value, lines)
            }
            // Starts of stream and document, and what later versions of the parser may tell.
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), Broken> {
        if let Some(Open { value: OpenValue::Map { key: None, .. }, .. }) = self.open.last() {
            let found = "a map or a list as a key".to_owned();
            return Err(Broken { line: open.lines.line, found, expected: "a text as a key" });
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self, line: usize) -> Result<(), Broken> {
        let Some(Open { mut lines, anchor, value }) = self.open.pop() else { return Ok(()) };
        let value = match value {
            OpenValue::List(items) => Value::Array(items),
            OpenValue::Map { mut map, merged, .. } => {
                for (value, merged_lines) in merged {
                    merge(&mut map, &mut lines, value, merged_lines);
                }
                Value::Object(map)
            }
        };
        self.finish(value, lines, anchor, line)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        lines: Lines,
    ) -> Result<(), Broken> {
        let line = lines.line;
        if let Some(Open { value: OpenValue::Map { map, key: key @ None, .. }, .. }) = self.open.last_mut() {
            let is_merge = text == "<<" && style == ScalarStyle::Plain;
            // A plain `on` is a boolean as a key too, and JSON knows it as "true".
            let name = match scalar::value(text) {
                Value::Bool(value) if style == ScalarStyle::Plain => value.to_string(),
                _ => text.to_owned(),
            };
            let is_second = map.contains_key(&name) && !is_merge;
            *key = Some(name);
            if is_second {
                let path = self.path();
                self.duplicates.push((path, line));
            }
            return Ok(());
        }
        let value = match tag.map(|tag| tag.core_suffix()) {
            None if style == ScalarStyle::Plain => scalar::value(text),
            Some(Some("int" | "float" | "bool" | "null")) => scalar::value(text),
            None | Some(Some("str" | "timestamp" | "binary")) => Value::String(text.to_owned()),
            Some(_) => return Err(foreign_tag(tag, line)),
        };
        self.finish(value, lines, anchor, line)
    }

    fn finish(&mut self, value: Value, lines: Lines, anchor: usize, line: usize) -> Result<(), Broken> {
        if anchor != 0 {
            self.spend(&value, line)?;
            self.anchors.insert(anchor, (value.clone(), lines.clone()));
        }
        self.place(value, lines)
    }

    fn place(&mut self, value: Value, lines: Lines) -> Result<(), Broken> {
        let Some(open) = self.open.last_mut() else {
            self.done = Some((value, lines));
            return Ok(());
        };
        match (&mut open.value, &mut open.lines.within) {
            (OpenValue::List(items), Within::List(item_lines)) => {
                items.push(value);
                item_lines.push(lines);
            }
            (OpenValue::Map { map, key, merged }, Within::Map(field_lines)) => match key.take() {
                None => {
                    let found = "an alias as a key".to_owned();
                    return Err(Broken { line: lines.line, found, expected: "a text as a key" });
                }
                Some(key) if key == "<<" && (value.is_object() || value.is_array()) => {
                    merged.push((value, lines))
                }
                Some(key) => {
                    if !map.contains_key(&key) {
                        field_lines.push((key.clone(), lines));
                        map.insert(key, value);
                    }
                }
            },
            _ => {}
        }
        Ok(())
    }

    /// Counts what an anchor or alias copies.
    fn spend(&mut self, value: &Value, line: usize) -> Result<(), Broken> {
        self.aliased_bytes = self.aliased_bytes.saturating_add(bytes(value));
        if self.aliased_bytes <= ALIASED_BYTES_MAX {
            return Ok(());
        }
        let found = format!("aliases that copy more than {} MiB", ALIASED_BYTES_MAX >> 20);
        Err(Broken { line, found, expected: "a document that says what it means without so many aliases" })
    }

    /// Where the key that was just read is.
    fn path(&self) -> Path {
        let steps = self.open.iter().filter_map(|open| match &open.value {
            OpenValue::Map { key, .. } => key.clone().map(Segment::Key),
            OpenValue::List(items) => Some(Segment::Index(items.len())),
        });
        Path(steps.collect())
    }
}

fn bytes(value: &Value) -> usize {
    let within: usize = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + bytes(value)).sum(),
    };
    within + NODE_BYTES
}

/// Adds what a map lacks from one map or, the earlier first, from several.
fn merge(map: &mut Map<String, Value>, lines: &mut Lines, value: Value, merged: Lines) {
    let sources = match (value, merged.within) {
        (Value::Object(fields), Within::Map(lines)) => vec![(fields, lines)],
        (Value::Array(items), Within::List(lines)) => {
            let pairs = items.into_iter().zip(lines);
            pairs
                .filter_map(|(item, lines)| match (item, lines.within) {
                    (Value::Object(fields), Within::Map(lines)) => Some((fields, lines)),
                    _ => None,
                })
                .collect()
        }
        _ => Vec::new(),
    };
    let Within::Map(own) = &mut lines.within else { return };
    for (mut fields, field_lines) in sources {
        for (key, line) in field_lines {
            if let (false, Some(value)) = (map.contains_key(&key), fields.remove(&key)) {
                map.insert(key.clone(), value);
                own.push((key, line));
            }
        }
    }
}

fn plain_tag(tag: Option<&Tag>, wanted: &str, line: usize) -> Result<(), Broken> {
    match tag {
        Some(one) if one.core_suffix() != Some(wanted) => Err(foreign_tag(tag, line)),
        _ => Ok(()),
    }
}

fn foreign_tag(tag: Option<&Tag>, line: usize) -> Broken {
    let found = format!("the tag {}", tag.map(Tag::original).unwrap_or_default());
    Broken { line, found, expected: "plain YAML without tags" }
}
