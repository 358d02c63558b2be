//! Conventions of `CONTRIBUTING.md` that no lint of the compiler knows. What a macro makes is not looked at.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{AttrStyle, Attribute, File, ItemFn, ItemUse, Visibility};

/// The most lines that a file under `src/` may have, its tests included.
///
/// Files are meant to be read in one sitting, which is about 500 lines. A fifth more leaves room to finish a
/// thought; who gets here has two subjects in one file.
const LINES_MAX: usize = 600;

/// The one crate that re-exports: whoever writes a policy depends on it alone.
const MAY_RE_EXPORT: &str = "guest-sdk/";

/// The files under a `src/` that are longer than [`LINES_MAX`].
pub(crate) fn too_long(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, source) in sources.iter().filter(|(path, _)| path.split('/').any(|part| part == "src")) {
        let lines = source.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{path} has {lines} lines, {LINES_MAX} are allowed"));
        }
    }
    findings
}

/// The conventions that a file breaks. A file that is not Rust breaks none: `modules` reports it.
pub(crate) fn broken(path: &str, source: &str) -> Vec<String> {
    let Ok(file) = syn::parse_file(source) else { return Vec::new() };
    let mut reader = Reader { may_re_export: path.starts_with(MAY_RE_EXPORT), found: Vec::new() };
    // The tests of a file that grew too long for them are about that file, which says what it is about.
    if !is_introduced(&file) && !path.ends_with("/tests.rs") {
        reader.found.push("does not open with `//!`".to_owned());
    }
    reader.visit_file(&file);
    reader.found.into_iter().map(|finding| format!("{path}: {finding}")).collect()
}

fn is_introduced(file: &File) -> bool {
    let is_inner = |attribute: &&Attribute| matches!(attribute.style, AttrStyle::Inner(_));
    file.attrs.iter().filter(is_inner).any(|attribute| attribute.path().is_ident("doc"))
}

struct Reader {
    may_re_export: bool,
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("allow") {
            self.found.push(
                "has an `allow`; `expect` with a reason says when it is not needed any more".to_owned(),
            );
        }
        if attribute.path().is_ident("ignore") {
            self.found.push("has a test that is ignored".to_owned());
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let name = function.sig.ident.to_string();
        let is_test = function.attrs.iter().any(|attribute| attribute.path().is_ident("test"));
        if is_test && name.starts_with("test_") {
            self.found.push(format!("`{name}` is not a sentence"));
        }
        visit::visit_item_fn(self, function);
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        if matches!(import.vis, Visibility::Public(_)) && !self.may_re_export {
            self.found.push("re-exports with `pub use`; a thing has one name".to_owned());
        }
        visit::visit_item_use(self, import);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> String {
        "\n".repeat(count)
    }

    #[test]
    fn a_file_with_one_line_too_many_is_found() {
        let sources = BTreeMap::from([
            ("host/core/src/full.rs".to_owned(), lines(LINES_MAX)),
            ("host/core/src/long.rs".to_owned(), lines(LINES_MAX + 1)),
            ("host/core/tests/long.rs".to_owned(), lines(LINES_MAX + 1)),
        ]);
        assert_eq!(too_long(&sources), ["host/core/src/long.rs has 601 lines, 600 are allowed"]);
    }

    #[test]
    fn a_file_that_keeps_the_conventions_is_left_alone() {
        let source = "//! Nothing.
            use std::fmt;
            #[expect(dead_code, reason = \"an example\")]
            mod tests { #[test] fn the_sky_is_blue() {} }";
        assert_eq!(broken("host/core/src/lib.rs", source), Vec::<String>::new());
    }

    #[test]
    fn each_broken_convention_is_found() {
        let cases = [
            ("fn main() {}", "does not open with `//!`"),
            (
                "//! A.\n#![allow(dead_code)]",
                "has an `allow`; `expect` with a reason says when it is not needed any more",
            ),
            (
                "//! A.\nfn f() { #[allow(unused)] let x = 1; }",
                "has an `allow`; `expect` with a reason says when it is not needed any more",
            ),
            ("//! A.\n#[test] #[ignore] fn it_works() {}", "has a test that is ignored"),
            ("//! A.\nmod tests { #[test] fn test_it() {} }", "`test_it` is not a sentence"),
            ("//! A.\npub use std::fmt;", "re-exports with `pub use`; a thing has one name"),
        ];
        for (source, expected) in cases {
            assert_eq!(broken("src/lib.rs", source), [format!("src/lib.rs: {expected}")], "{source}");
        }
    }

    #[test]
    fn the_tests_of_a_file_need_no_introduction() {
        assert_eq!(broken("src/plan/tests.rs", "fn f() {}"), Vec::<String>::new());
    }

    #[test]
    fn the_guest_sdk_may_re_export() {
        assert_eq!(broken("guest-sdk/src/lib.rs", "//! A.\npub use std::fmt;"), Vec::<String>::new());
    }
}
