//! A directory of policies, read at one moment.
//!
//! A mounted ConfigMap holds a symbolic link `..data` to the folder with the files, which is swapped as a whole. The
//! link is followed once, and everything is read below what it led to; if it leads elsewhere afterwards, the reading
//! starts over. Whether what was read makes sense is not looked at here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::attachments::FILE;
use crate::digest::Digest;
use crate::limits::MODULE_BYTES_MAX;

/// How often a reading starts over before it is given up: a directory that is swapped faster than it can be read is
/// looked at again soon anyway.
const ATTEMPTS_MAX: u32 = 5;

/// What is in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// `policies.yaml`.
    pub attachments: String,
    /// The modules beside it, by file name.
    pub modules: BTreeMap<String, Vec<u8>>,
    /// The digest of all of it.
    pub digest: Digest,
}

/// Why there is nothing to be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no `policies.yaml`. Nothing is detached for that: an empty directory is a volume that is not there yet
    /// far more often than a wish.
    #[error("{folder}: found no policies.yaml, expected one")]
    Missing {
        /// The directory.
        folder: String,
    },
    /// Something cannot be read.
    #[error("{path}: {message}")]
    Io {
        /// What.
        path: String,
        /// Why.
        message: String,
    },
    /// It keeps changing while it is read.
    #[error("{folder}: changes faster than it can be read")]
    Restless {
        /// The directory.
        folder: String,
    },
}

/// Reads a directory.
///
/// # Errors
/// When there is no `policies.yaml`, or something cannot be read.
pub fn read(root: &Path) -> Result<Contents, Unreadable> {
    for _ in 0..ATTEMPTS_MAX {
        let folder = resolved(root)?;
        match read_folder(&folder) {
            Ok(found) => {
                if resolved(root)? == folder {
                    return found.ok_or_else(|| Unreadable::Missing { folder: root.display().to_string() });
                }
            }
            // What was listed a moment ago is gone: somebody is at work.
            Err((_, error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err((path, error)) => return Err(unreadable(&path, &error)),
        }
    }
    Err(Unreadable::Restless { folder: root.display().to_string() })
}

/// The folder that the files are really in.
fn resolved(root: &Path) -> Result<PathBuf, Unreadable> {
    let data = root.join("..data");
    match fs::canonicalize(&data) {
        Ok(folder) => Ok(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::canonicalize(root).map_err(|error| unreadable(root, &error))
        }
        Err(error) => Err(unreadable(&data, &error)),
    }
}

/// Reads `policies.yaml` and all modules beside it; `None` without `policies.yaml`.
fn read_folder(folder: &Path) -> Result<Option<Contents>, (PathBuf, io::Error)> {
    let mut modules = BTreeMap::new();
    let mut attachments = None;
    for entry in fs::read_dir(folder).map_err(|error| (folder.to_owned(), error))? {
        let path = entry.map_err(|error| (folder.to_owned(), error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name == FILE {
            attachments = Some(read_file(&path)?);
        } else if name.ends_with(".wasm") && !name.starts_with('.') {
            modules.insert(name.to_owned(), read_file(&path)?);
        }
    }
    let Some(attachments) = attachments else { return Ok(None) };
    let pieces = modules.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
    let digest = Digest::of_all([attachments.as_slice()].into_iter().chain(pieces));
    let attachments = String::from_utf8(attachments)
        .map_err(|error| (folder.join(FILE), io::Error::new(io::ErrorKind::InvalidData, error)))?;
    Ok(Some(Contents { attachments, modules, digest }))
}

/// Reads one file; of one that is too large only as much as shows that it is.
fn read_file(path: &Path) -> Result<Vec<u8>, (PathBuf, io::Error)> {
    use std::io::Read as _;
    let read = || {
        let file = fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "found no file, expected one"));
        }
        let mut bytes = Vec::new();
        file.take(MODULE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| (path.to_owned(), error))
}

fn unreadable(path: &Path, error: &io::Error) -> Unreadable {
    Unreadable::Io { path: path.display().to_string(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_config_map_is_read_below_the_folder_that_its_link_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for (version, text) in [("..1", "first"), ("..2", "second")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join(FILE), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/policies.yaml", at(FILE)).unwrap();
        assert_eq!(read(root.path()).unwrap().attachments, "first");
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(read(root.path()).unwrap().attachments, "second");
    }

    #[test]
    fn an_empty_directory_and_none_at_all_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(read(root.path()), Err(Unreadable::Missing { .. })));
        assert!(matches!(read(&root.path().join("gone")), Err(Unreadable::Io { .. })));
    }

    #[test]
    fn what_is_neither_a_module_nor_the_list_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(FILE), "").unwrap();
        fs::write(root.path().join("a.wasm"), "a").unwrap();
        fs::write(root.path().join("README.md"), "b").unwrap();
        fs::write(root.path().join(".a.wasm.swp"), "c").unwrap();
        fs::write(root.path().join(".b.wasm"), "d").unwrap();
        let names: Vec<_> = read(root.path()).unwrap().modules.into_keys().collect();
        assert_eq!(names, ["a.wasm"]);
    }
}
