//! Several documents as one: MIME, multipart/mixed, as cloud-init reads it.

use mailparse::body::Body;
use mailparse::{MailHeader, MailHeaderMap as _, ParsedMail, parse_headers, parse_mail};

/// Separates the parts. Karpenter's, so that user data which was split by it goes on being so.
const BOUNDARY: &str = "//";
const KIND: &str = "Content-Type";
const VERSION: &str = "MIME-Version";

/// A part: its type, what else its head says, and its text, which may be encoded as its head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    kind: String,
    /// Names and values.
    others: Vec<(String, String)>,
    text: String,
}

impl Part {
    pub(super) fn new(kind: &str, text: &str) -> Self {
        // As those of an archive end: a script whose lines end otherwise would not run.
        Self { kind: kind.to_owned(), others: Vec::new(), text: text.replace("\r\n", "\n") }
    }

    fn read(mail: &ParsedMail<'_>) -> Self {
        let kind = mail.headers.get_first_value(KIND).unwrap_or_else(|| "text/plain".to_owned());
        let is_other = |header: &&MailHeader<'_>| {
            [KIND, VERSION].iter().all(|name| !header.get_key_ref().eq_ignore_ascii_case(name))
        };
        let others = mail.headers.iter().filter(is_other);
        let others = others.map(|header| (header.get_key(), header.get_value())).collect();
        let body = match mail.get_body_encoded() {
            Body::Base64(body) | Body::QuotedPrintable(body) => body.get_raw().to_vec(),
            Body::SevenBit(body) | Body::EightBit(body) => body.get_raw().to_vec(),
            Body::Binary(body) => body.get_raw().to_vec(),
        };
        Self { others, ..Self::new(&kind, String::from_utf8_lossy(&body).trim_end()) }
    }
}

/// Whether a text is a MIME archive already.
pub(super) fn is_archive(text: &str) -> bool {
    parse_headers(text.as_bytes()).is_ok_and(|(head, _)| {
        let kind = head.get_first_value(KIND).map(|kind| kind.to_ascii_lowercase());
        head.get_first_value(VERSION).is_some() || kind.is_some_and(|kind| kind.starts_with("multipart/"))
    })
}

/// The parts of an archive, each with its type; `text/plain` where a part says none.
///
/// # Errors
///
/// Nothing of it can be read.
pub(super) fn parts(archive: &str) -> Result<Vec<Part>, String> {
    let what = "spec.userData is a MIME archive";
    let mail =
        parse_mail(archive.as_bytes()).map_err(|error| format!("{what} that cannot be read: {error}"))?;
    if !mail.ctype.mimetype.starts_with("multipart/") {
        return Ok(vec![Part::read(&mail)]);
    }
    let Some(boundary) = mail.ctype.params.get("boundary") else {
        return Err(format!("{what} and says no boundary of its parts"));
    };
    if mail.subparts.is_empty() {
        return Err(format!("{what} without a line --{boundary}, so it has no parts"));
    }
    Ok(mail.subparts.iter().map(Part::read).collect())
}

/// An archive of these parts.
pub(super) fn archive(parts: &[Part]) -> String {
    let mut text = format!("{VERSION}: 1.0\n{KIND}: multipart/mixed; boundary=\"{BOUNDARY}\"\n\n");
    for part in parts {
        text += &format!("--{BOUNDARY}\n{KIND}: {}\n", part.kind);
        for (name, value) in &part.others {
            text += &format!("{name}: {value}\n");
        }
        text += &format!("\n{}\n\n", part.text.trim_end());
    }
    text + &format!("--{BOUNDARY}--\n")
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
            "MIME-Version: 1.0\nX-Note: boundary=no\nContent-Type: multipart/mixed;\n\tcharset=utf-8;\n boundary=\"OWN\"",
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
