//! Which source files the compiler reads: from a target's root along `mod` declarations.
//!
//! A file that no `mod` reaches still looks like code, and a test in it like a test. Left out on purpose:
//! `include!`, and `mod` or `path` that only a macro or a `cfg_attr` brings about; a file reached only so is
//! reported, which says that the check wants to learn about it.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

/// The sources that are neither a root nor reached from one, and those that cannot be read as Rust.
pub(crate) fn orphans(sources: &BTreeMap<String, String>, roots: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    // A root's children are its neighbours, whatever the root is called.
    let mut ahead: Vec<(String, String)> =
        roots.iter().map(|root| (root.clone(), folder_of(root).to_owned())).collect();
    while let Some((file, children)) = ahead.pop() {
        let Some(source) = sources.get(&file) else { continue };
        if !reached.insert(file.clone()) {
            continue;
        }
        match syn::parse_file(source) {
            Ok(parsed) => {
                let place = Place { sources, attributes_from: folder_of(&file).to_owned(), children };
                follow(&parsed.items, &place, &mut ahead);
            }
            Err(error) => findings.push(format!("{file}: {error}")),
        }
    }
    findings.extend(
        sources
            .keys()
            .filter(|file| !reached.contains(*file))
            .map(|file| format!("{file}: no `mod` reaches it")),
    );
    findings
}

/// Where the modules declared at one place of a file are looked for.
struct Place<'a> {
    sources: &'a BTreeMap<String, String>,
    /// The folder that `#[path]` counts from.
    attributes_from: String,
    /// The folder of modules without `#[path]`.
    children: String,
}

/// Adds the files of all modules declared among `items`, each with the folder of its own modules.
fn follow(items: &[Item], place: &Place<'_>, ahead: &mut Vec<(String, String)>) {
    for item in items {
        let Item::Mod(module) = item else { continue };
        match &module.content {
            Some((_, inner)) => follow(inner, &inside(module, place), ahead),
            None => ahead.extend(file_of(module, place)),
        }
    }
}

/// The place inside a module that is written out in braces: one folder down, and from there on `#[path]` counts
/// from the same folder.
fn inside<'a>(module: &ItemMod, place: &Place<'a>) -> Place<'a> {
    let children = match path_attribute(&module.attrs) {
        Some(path) => join(&place.attributes_from, &path),
        None => join(&place.children, &name_of(module)),
    };
    Place { sources: place.sources, attributes_from: children.clone(), children }
}

/// The file of a module that is declared with a semicolon, and the folder of that file's own modules.
fn file_of(module: &ItemMod, place: &Place<'_>) -> Option<(String, String)> {
    if let Some(path) = path_attribute(&module.attrs) {
        let file = join(&place.attributes_from, &path);
        let children = folder_of(&file).to_owned();
        return Some((file, children));
    }
    let children = join(&place.children, &name_of(module));
    [format!("{children}.rs"), format!("{children}/mod.rs")]
        .into_iter()
        .find(|file| place.sources.contains_key(file))
        .map(|file| (file, children))
}

/// The module's name, without the `r#` of a raw one.
fn name_of(module: &ItemMod) -> String {
    module.ident.to_string().trim_start_matches("r#").to_owned()
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `path` seen from `folder`, without `.` and `..`.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in these files, the first of which is the root.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files.iter().map(|&(path, source)| (path.to_owned(), source.to_owned())).collect();
        let roots: Vec<String> = files.iter().take(1).map(|&(path, _)| path.to_owned()).collect();
        orphans(&sources, &roots)
    }

    #[test]
    fn modules_are_followed_wherever_the_language_puts_them() {
        let cases: &[&[(&str, &str)]] = &[
            &[("src/lib.rs", "mod a;"), ("src/a.rs", "mod b;"), ("src/a/b.rs", "")],
            &[("src/lib.rs", "mod a;"), ("src/a/mod.rs", "mod b;"), ("src/a/b.rs", "")],
            &[("src/lib.rs", "mod a { mod b; }"), ("src/a/b.rs", "")],
            &[("src/lib.rs", "mod a;"), ("src/a.rs", "mod b { mod c; }"), ("src/a/b/c.rs", "")],
            &[("tests/it/main.rs", "mod a;"), ("tests/it/a.rs", "")],
            &[("src/lib.rs", "#[path = \"b.rs\"] mod a;"), ("src/b.rs", "mod c;"), ("src/c.rs", "")],
            &[("src/lib.rs", "#[path = \"../x/b.rs\"] mod a;"), ("x/b.rs", "")],
            &[("src/lib.rs", "mod a;"), ("src/a.rs", "#[path = \"b.rs\"] mod c;"), ("src/b.rs", "")],
            &[("src/lib.rs", "mod a { #[path = \"b.rs\"] mod c; }"), ("src/a/b.rs", "")],
            &[("src/lib.rs", "#[path = \"x\"] mod a { mod b; }"), ("src/x/b.rs", "")],
            &[("src/lib.rs", "#[cfg(test)] pub(crate) mod r#type;"), ("src/type.rs", "")],
        ];
        for files in cases {
            assert_eq!(found(files), Vec::<String>::new(), "{files:?}");
        }
    }

    #[test]
    fn a_file_that_no_mod_reaches_is_found() {
        let cases: &[&[(&str, &str)]] = &[
            &[("src/lib.rs", ""), ("src/orphan.rs", "")],
            &[("src/lib.rs", "// mod orphan;"), ("src/orphan.rs", "")],
            &[("src/lib.rs", "const TEXT: &str = \"mod orphan;\";"), ("src/orphan.rs", "")],
            &[("src/lib.rs", "mod a;"), ("src/a.rs", "mod orphan;"), ("src/orphan.rs", "")],
            &[("src/lib.rs", "mod a { mod orphan; }"), ("src/orphan.rs", "")],
            &[("src/lib.rs", "#[path = \"b.rs\"] mod orphan;"), ("src/b.rs", ""), ("src/orphan.rs", "")],
        ];
        for files in cases {
            assert_eq!(found(files), ["src/orphan.rs: no `mod` reaches it"], "{files:?}");
        }
    }

    #[test]
    fn an_orphan_does_not_save_its_own_modules() {
        let files = [("src/lib.rs", ""), ("src/a.rs", "mod b;"), ("src/a/b.rs", "")];
        assert_eq!(found(&files), ["src/a.rs: no `mod` reaches it", "src/a/b.rs: no `mod` reaches it"]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_found() {
        assert_eq!(found(&[("src/lib.rs", "mod;")]), ["src/lib.rs: expected identifier"]);
    }
}
