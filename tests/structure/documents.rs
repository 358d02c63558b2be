//! What the documents say exists: the files they link to, and the tests they name.

use std::collections::BTreeMap;

/// A name in code style with so many underscores is taken for a test's: test names are sentences.
const UNDERSCORES_OF_A_SENTENCE: usize = 3;

/// The relative links of a document whose target does not `exist`, asked by path from the workspace's root.
pub(crate) fn dangling_links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
        let target = link.split('#').next().unwrap_or(link);
        if !target.is_empty() && !target.contains("://") && !exists(&format!("{folder}/{target}")) {
            findings.push(format!("{path} links to {link}, which is not there"));
        }
    }
    findings
}

/// The tests that a document names and that no source has.
pub(crate) fn missing_tests(path: &str, text: &str, sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    // Every second piece between back-ticks is in code style. A fence is three of them, and leaves the count as it was.
    for name in text.split('`').skip(1).step_by(2).filter(|code| reads_as_a_test(code)) {
        // A function, or a trial that is named by a text.
        let (declaration, trial) = (format!("fn {name}("), format!("\"{name}\","));
        if !sources.values().any(|source| source.contains(&declaration) || source.contains(&trial)) {
            findings.push(format!("{path} names the test {name}, which is not there"));
        }
    }
    findings
}

fn reads_as_a_test(code: &str) -> bool {
    let is_name = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_name && code.matches('_').count() >= UNDERSCORES_OF_A_SENTENCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found() {
        let text =
            "[a](here.md), [b](gone.md#part), [c](#part), [d](https://example.com/gone.md), [e](../up.md)";
        let there = ["docs/here.md", "docs/../up.md"];
        let found = dangling_links("docs/page.md", text, |path| there.contains(&path));
        assert_eq!(found, ["docs/page.md links to gone.md#part, which is not there"]);
    }

    #[test]
    fn a_test_that_is_only_in_the_document_is_found() {
        let source = "#[test]\nfn the_sky_is_blue() {}".to_owned();
        let sources = BTreeMap::from([("src/lib.rs".to_owned(), source)]);
        let text = "Held by `the_sky_is_blue`.\n```text\nmod tests\n```\nAlso by `the_sea_is_deep`, not by `unwrap_used`.";
        let found = missing_tests("docs/page.md", text, &sources);
        assert_eq!(found, ["docs/page.md names the test the_sea_is_deep, which is not there"]);
    }
}
