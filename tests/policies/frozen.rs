//! A released version of the interface never changes: the component model compares types exactly, so a record with one
//! field more is another interface under the same name.

use std::fs;
use std::path::Path;

use whittle_policy::digest::Digest;

/// Released versions, with the digest of their folder. A folder gets a line when it is released, and no line changes.
const RELEASED: [(&str, &str); 1] =
    [("v0.1", "2e13063cf3ad772f17df4ffa96c53863894cb6e37b9908a7459bae291f228637")];

#[test]
fn released_versions_of_the_interface_are_frozen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    for (version, expected) in RELEASED {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for entry in fs::read_dir(root.join(version)).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()));
        }
        files.sort();
        let pieces = files.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
        let found = Digest::of_all(pieces).to_string();
        assert_eq!(found, expected, "wit/{version} is released: changes go into a folder beside it");
    }
}
