//! Several documents as one: MIME, multipart/mixed, as cloud-init reads it.

/// Separates the parts. Karpenter's, so that user data which was split by it goes on being so.
const BOUNDARY: &str = "//";

/// A part: its type, what else its head says, and its text, which may be encoded as its head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    kind: String,
    others: Vec<Header>,
    text: String,
}

/// A line of a head, however many lines it was folded into.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    name: String,
    value: String,
}

impl Header {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Part {
    pub(super) fn new(kind: &str, text: &str) -> Self {
        // As those of an archive end: a script whose lines end otherwise would not run.
        Self { kind: kind.to_owned(), others: Vec::new(), text: text.replace("\r\n", "\n") }
    }
}

/// Whether a text is a MIME archive already.
pub(super) fn is_archive(text: &str) -> bool {
    let (head, _) = split(&text.lines().collect::<Vec<_>>());
    head.iter().any(|header| header.is("mime-version") || is_multipart(header))
}

/// The parts of an archive, each with its type; `text/plain` where a part says none.
///
/// # Errors
///
/// Nothing of it can be read.
pub(super) fn parts(archive: &str) -> Result<Vec<Part>, String> {
    let (head, body) = split(&archive.lines().collect::<Vec<_>>());
    let Some(multipart) = head.iter().find(|header| is_multipart(header)) else {
        let rest = head.into_iter().filter(|header| !header.is("mime-version")).collect();
        return Ok(vec![part(rest, &body)]);
    };
    let boundary = parameter(&multipart.value, "boundary");
    let boundary = boundary.ok_or("spec.userData is a MIME archive and says no boundary of its parts")?;
    let parts = between(&boundary, &body);
    if parts.is_empty() {
        return Err(format!(
            "spec.userData is a MIME archive without a line --{boundary}, so it has no parts"
        ));
    }
    Ok(parts)
}

/// An archive of these parts.
pub(super) fn archive(parts: &[Part]) -> String {
    let mut text = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\n\n");
    for part in parts {
        text += &format!("--{BOUNDARY}\nContent-Type: {}\n", part.kind);
        for Header { name, value } in &part.others {
            text += &format!("{name}: {value}\n");
        }
        text += &format!("\n{}\n\n", part.text.trim_end());
    }
    text + &format!("--{BOUNDARY}--\n")
}

/// What is said before the first blank line, and the lines after it.
fn split<'a>(lines: &[&'a str]) -> (Vec<Header>, Vec<&'a str>) {
    let length = lines.iter().position(|line| line.trim().is_empty()).unwrap_or(lines.len());
    let (head, body) = lines.split_at(length);
    let mut headers: Vec<Header> = Vec::new();
    for line in head {
        match (line.split_once(':'), headers.last_mut()) {
            (_, Some(folded)) if line.starts_with([' ', '\t']) => {
                folded.value = format!("{} {}", folded.value, line.trim()).trim().to_owned();
            }
            (Some((name, value)), _) => {
                let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
                headers.push(Header { name, value });
            }
            (None, _) => {}
        }
    }
    (headers, body.iter().skip(1).copied().collect())
}

fn is_multipart(header: &Header) -> bool {
    header.is("content-type") && header.value.to_ascii_lowercase().starts_with("multipart/")
}

/// What a parameter of a header is: `a.b` of `multipart/mixed; charset=utf-8; boundary="a.b"`.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut fields = fields(value).into_iter().skip(1);
    fields.find_map(|field| {
        let (key, value) = field.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| unquoted(value.trim()))
    })
}

/// What semicolons separate, but for those in quotes.
fn fields(value: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for letter in value.chars() {
        if letter == ';' && !is_quoted {
            fields.push(String::new());
            continue;
        }
        is_quoted ^= letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && is_quoted && !is_escaped;
        if let Some(field) = fields.last_mut() {
            field.push(letter);
        }
    }
    fields
}

fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut letters = inner.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain
}

fn between(boundary: &str, lines: &[&str]) -> Vec<Part> {
    let (opening, closing) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    let read = |lines: Vec<&str>| {
        let (head, body) = split(&lines);
        part(head, &body)
    };
    for line in lines {
        let bare = line.trim_end();
        if bare == opening || bare == closing {
            parts.extend(open.take().map(read));
            open = (bare == opening).then(Vec::new);
        } else if let Some(open) = &mut open {
            open.push(line);
        }
    }
    parts.extend(open.map(read));
    parts
}

fn part(head: Vec<Header>, body: &[&str]) -> Part {
    let (kinds, others): (Vec<Header>, Vec<Header>) =
        head.into_iter().partition(|header| header.is("content-type"));
    let kind = kinds.into_iter().next().map_or_else(|| "text/plain".to_owned(), |header| header.value);
    Part { kind, others, text: body.join("\n").trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(archive: &str) -> Vec<(String, String)> {
        let parts = parts(archive).unwrap();
        parts.into_iter().map(|part| (part.kind, part.text)).collect()
    }

    #[test]
    fn an_archive_is_read_however_its_head_is_written() {
        let heads = [
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"OWN\"",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=OWN",
            "content-type: Multipart/Mixed; BOUNDARY=\"OWN\"; charset=\"us-ascii\"\nmime-version: 1.0",
            "Content-Type: multipart/mixed; charset=\"a;boundary=b\"; boundary=OWN ; x=y\nMIME-Version: 1.0",
            "MIME-Version: 1.0\nX-Note: boundary=no\nContent-Type: multipart/mixed;\n\tcharset=utf-8;\n boundary=\"O\\WN\"",
        ];
        let body = "\n\nno part\n--OWN\nContent-Type: text/x-shellscript\n\necho 1\n\necho 2\n--OWN\n\nplain\n--OWN--\nafter\n";
        let expected = [("text/x-shellscript", "echo 1\n\necho 2"), ("text/plain", "plain")];
        let expected = expected.map(|(kind, text)| (kind.to_owned(), text.to_owned()));
        for head in heads {
            let archive = format!("{head}{body}");
            for archive in [archive.replace('\n', "\r\n"), archive] {
                assert!(is_archive(&archive), "{archive}");
                assert_eq!(read(&archive), expected, "{archive}");
            }
        }
    }

    #[test]
    fn what_a_part_says_of_itself_is_kept() {
        let part = "--OWN\nContent-Transfer-Encoding: base64\nContent-Type: text/x-shellscript;\n charset=\"utf-8\"\n\nZWNobwo=\n";
        let own = format!("Content-Type: multipart/mixed; boundary=OWN\n\n{part}--OWN--\n");
        let expected = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n--//\nContent-Type: \
                        text/x-shellscript; charset=\"utf-8\"\nContent-Transfer-Encoding: base64\n\nZWNobwo=\n\n--//--\n";
        assert_eq!(archive(&parts(&own).unwrap()), expected);
        let alone = "MIME-Version: 1.0\nContent-Transfer-Encoding: base64\nContent-Type: text/x-shellscript; charset=\"utf-8\"\n\nZWNobwo=\n";
        assert_eq!(archive(&parts(alone).unwrap()), expected);
    }

    #[test]
    fn an_archive_of_which_nothing_can_be_read_is_refused_with_the_reason() {
        let cases = [
            (
                "Content-Type: multipart/mixed\n\n--OWN\n\necho\n--OWN--\n",
                "spec.userData is a MIME archive and says no boundary of its parts",
            ),
            (
                "Content-Type: multipart/mixed; boundary=OTHER\n\n--OWN\n\necho\n--OWN--\n",
                "spec.userData is a MIME archive without a line --OTHER, so it has no parts",
            ),
        ];
        for (archive, expected) in cases {
            assert_eq!(parts(archive), Err(expected.to_owned()), "{archive}");
        }
    }

    #[test]
    fn a_script_is_no_archive_whatever_it_writes() {
        for text in ["", "#!/bin/sh\necho\n\nMIME-Version: 1.0\n", "{\"kind\": \"NodeConfig\"}"] {
            assert!(!is_archive(text), "{text}");
        }
    }
}
