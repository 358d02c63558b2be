//! Several documents as one: MIME, multipart/mixed, as cloud-init reads it.

/// Separates the parts. Karpenter's, so that user data which was split by it goes on being so.
const BOUNDARY: &str = "//";

/// A part: its type and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: String,
    pub(super) text: String,
}

impl Part {
    pub(super) fn new(kind: &str, text: &str) -> Self {
        Self { kind: kind.to_owned(), text: text.to_owned() }
    }
}

/// Whether a text is a MIME archive already.
pub(super) fn is_archive(text: &str) -> bool {
    text.lines().take_while(|line| !line.trim().is_empty()).any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("mime-version:") || line.starts_with("content-type: multipart/")
    })
}

/// The parts of an archive, each with its type; `text/plain` where a part says none.
pub(super) fn parts(archive: &str) -> Vec<Part> {
    let lines: Vec<&str> = archive.lines().collect();
    let header = lines.iter().find(|line| line.to_ascii_lowercase().contains("boundary="));
    let boundary = header
        .and_then(|line| line.split_once('=').map(|(_, rest)| rest))
        .map_or(BOUNDARY, |rest| rest.trim().trim_matches('"'));
    let (opening, closing) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in lines {
        let bare = line.trim_end();
        if bare == opening || bare == closing {
            parts.extend(open.take().map(|lines| part(&lines)));
            open = (bare == opening).then(Vec::new);
        } else if let Some(open) = &mut open {
            open.push(line);
        }
    }
    parts.extend(open.map(|lines| part(&lines)));
    parts
}

fn part(lines: &[&str]) -> Part {
    let head = lines.iter().take_while(|line| !line.trim().is_empty());
    let kind = head.clone().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    });
    let text = lines[(head.count() + 1).min(lines.len())..].join("\n");
    Part { kind: kind.unwrap_or_else(|| "text/plain".to_owned()), text: text.trim_end().to_owned() }
}

/// An archive of these parts.
pub(super) fn archive(parts: &[Part]) -> String {
    let mut text = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\n\n");
    for part in parts {
        text += &format!("--{BOUNDARY}\nContent-Type: {}\n\n{}\n\n", part.kind, part.text.trim_end());
    }
    text + &format!("--{BOUNDARY}--\n")
}
