//! Names of objects, label keys and label values, as the API server lets them through.
//!
//! What is in a cluster has been checked; what is in a file has not. A name is printed, compared and sorted all over,
//! so one of ten megabytes, or one with a line break in it, is refused at the border. Source: Kubernetes, "Object
//! Names and IDs" and "Labels and Selectors". An older spelling of a label is as good as the stable one.

use std::collections::BTreeMap;

use crate::problem::{At, Defect};

/// The longest DNS subdomain, which most names and the prefixes of keys are.
const SUBDOMAIN_MAX: usize = 253;
/// The longest label value, and the longest key without its prefix.
const LABEL_MAX: usize = 63;

const NAME_EXPECTED: &str = "a name of small letters, digits, '-' and '.' that begins and ends with a letter or digit, at most 253 of them";
const KEY_EXPECTED: &str = "a key such as app or example.com/team: letters, digits, '-', '_' and '.', at most 63 of \
                            them, perhaps after a domain and a slash";
const VALUE_EXPECTED: &str = "at most 63 letters, digits, '-', '_' and '.', a letter or digit first and last";
const LENGTH_EXPECTED: &str = "at most 63 characters";

/// Finds what is wrong with the name of an object or a namespace.
pub(crate) fn name(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) {
    refuse_unless(is_subdomain(text), text, at, (NAME_EXPECTED, defects));
}

/// Finds what is wrong with the key of a label, a taint or a resource.
pub(crate) fn key(text: &str, at: &At<'_>, defects: &mut Vec<Defect>) {
    refuse_unless(is_key(text), text, at, (KEY_EXPECTED, defects));
}

/// Finds what is wrong with keys and values of labels; a key is told where it stands.
pub(crate) fn labels(labels: Option<&BTreeMap<String, String>>, at: &At<'_>, defects: &mut Vec<Defect>) {
    for (label, value) in labels.into_iter().flatten() {
        let at = at.key(label);
        key(label, &at, defects);
        refuse_unless(is_value(value), value, &at, (VALUE_EXPECTED, defects));
    }
}

/// Finds a value that no label can have because of its length. What else Kubernetes asks of a value it has not always
/// asked of those in a node affinity.
pub(crate) fn length(value: &str, at: &At<'_>, defects: &mut Vec<Defect>) {
    refuse_unless(value.len() <= LABEL_MAX, value, at, (LENGTH_EXPECTED, defects));
}

fn refuse_unless(
    is_right: bool,
    text: &str,
    at: &At<'_>,
    (expected, defects): (&'static str, &mut Vec<Defect>),
) {
    if is_right {
        return;
    }
    let length = text.chars().count();
    let found = if length > SUBDOMAIN_MAX { format!("{length} characters") } else { format!("{text:?}") };
    defects.push(Defect::new(at, found, expected));
}

fn is_subdomain(text: &str) -> bool {
    let is_small = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    is_text(text, SUBDOMAIN_MAX, is_small, b"-.")
}

fn is_key(text: &str) -> bool {
    let (prefix, own) = text.rsplit_once('/').map_or((None, text), |(prefix, own)| (Some(prefix), own));
    prefix.is_none_or(is_subdomain) && !own.is_empty() && is_value(own)
}

fn is_value(text: &str) -> bool {
    text.is_empty() || is_text(text, LABEL_MAX, u8::is_ascii_alphanumeric, b"-_.")
}

/// Whether a text is made of letters with others between them, and not too long.
fn is_text(text: &str, most: usize, is_letter: impl Fn(&u8) -> bool, between: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= most
        && bytes.first().is_some_and(&is_letter)
        && bytes.last().is_some_and(&is_letter)
        && bytes.iter().all(|byte| is_letter(byte) || between.contains(byte))
}

#[cfg(test)]
mod tests {
    use super::{is_key, is_subdomain, is_value};

    #[test]
    fn a_name_is_a_dns_subdomain() {
        let long = "x".repeat(253);
        for name in ["web", "a", "0", "web-1.shop", "ip-10-0-0-1.ec2.internal", &long] {
            assert!(is_subdomain(name), "{name}");
        }
        let longer = "x".repeat(254);
        for name in ["", "Web", "web_1", "-web", "web-", ".web", "a b", "a\nb", "a\0b", "wéb", "a/b", &longer]
        {
            assert!(!is_subdomain(name), "{name}");
        }
    }

    #[test]
    fn a_key_may_have_a_domain_in_front() {
        let long = format!("{}/{}", "x".repeat(253), "y".repeat(63));
        for key in ["app", "App_1.x", "kubernetes.io/hostname", "karpenter.k8s.aws/instance-cpu", &long] {
            assert!(is_key(key), "{key}");
        }
        let longer = "y".repeat(64);
        for key in ["", "/", "a/", "/a", "a/b/c", "Domain/a", "-a", "a-", "a b", &longer] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn a_value_may_be_empty() {
        let long = "x".repeat(63);
        for value in ["", "a", "V1.2_3-4", "true", &long] {
            assert!(is_value(value), "{value}");
        }
        let longer = "x".repeat(64);
        for value in ["a b", "-1", "a/b", "é", &longer] {
            assert!(!is_value(value), "{value}");
        }
    }
}
