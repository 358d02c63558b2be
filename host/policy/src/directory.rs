//! A directory of policies, read at one moment.
//!
//! A mounted ConfigMap holds a symbolic link `..data` to the folder with the files, which is swapped as a whole. The
//! link is followed once, and everything is read below what it led to; if it leads elsewhere afterwards, the reading
//! starts over. Whether what was read makes sense is not looked at here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::attachments::{FILE, Problem};
use crate::digest::Digest;
use crate::limits::{ATTACHMENTS_BYTES_MAX, DIRECTORY_BYTES_MAX, MODULE_BYTES_MAX};

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
    #[error("{path}: found {found}, expected {expected}")]
    Io {
        /// What.
        path: String,
        /// What is there.
        found: String,
        /// What was expected there.
        expected: String,
    },
    /// It keeps changing while it is read.
    #[error("{folder}: changes faster than it can be read")]
    Restless {
        /// The directory.
        folder: String,
    },
}

impl Unreadable {
    /// The same, as something that is wrong with a set of policies.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (file, found, expected) = match self {
            Self::Missing { folder } => (folder, format!("no {FILE}"), "one".to_owned()),
            Self::Io { path, found, expected } => (path, found.clone(), expected.clone()),
            Self::Restless { folder } => {
                let found = "files that change faster than they can be read".to_owned();
                (folder, found, "a directory that stays the same for a moment".to_owned())
            }
        };
        Problem { file: file.clone(), path: String::new(), found, expected }
    }

    fn io(path: &Path, found: impl ToString, expected: &str) -> Self {
        let (path, found) = (path.display().to_string(), found.to_string());
        Self::Io { path, found, expected: expected.to_owned() }
    }
}

/// Reads a directory.
///
/// # Errors
/// When there is no `policies.yaml`, or something cannot be read.
pub fn read(root: &Path) -> Result<Contents, Unreadable> {
    let mut gone = None;
    for _ in 0..ATTEMPTS_MAX {
        let folder = resolved(root)?;
        match read_folder(&folder) {
            Ok(found) => {
                if resolved(root)? == folder {
                    return found.ok_or_else(|| Unreadable::Missing { folder: root.display().to_string() });
                }
                gone = None;
            }
            // What was listed a moment ago is gone: somebody is at work. Unless it is the same each time.
            Err(Failed::Gone(path)) => gone = Some(path),
            Err(Failed::Wrong(error)) => return Err(error),
        }
    }
    match gone.filter(|path| fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink())) {
        Some(path) => Err(Unreadable::io(&path, "a link that leads nowhere", "a file")),
        None => Err(Unreadable::Restless { folder: root.display().to_string() }),
    }
}

/// The folder that the files are really in.
fn resolved(root: &Path) -> Result<PathBuf, Unreadable> {
    let expected = "a directory of policies";
    let data = root.join("..data");
    match fs::canonicalize(&data) {
        Ok(folder) => Ok(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::canonicalize(root).map_err(|error| Unreadable::io(root, error, expected))
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Unreadable::io(root, "a file", expected))
        }
        Err(error) => Err(Unreadable::io(&data, error, expected)),
    }
}

/// Why a folder was not read.
enum Failed {
    /// Something is not there any more.
    Gone(PathBuf),
    /// Something will not do.
    Wrong(Unreadable),
}

impl Failed {
    fn io(path: &Path, error: &io::Error, expected: &str) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Gone(path.to_owned()),
            _ => Self::Wrong(Unreadable::io(path, error, expected)),
        }
    }
}

/// Reads `policies.yaml` and all modules beside it; `None` without `policies.yaml`.
fn read_folder(folder: &Path) -> Result<Option<Contents>, Failed> {
    let listed = |error: io::Error| Failed::io(folder, &error, "a directory of policies");
    let mut modules = BTreeMap::new();
    let mut attachments = None;
    let mut left = DIRECTORY_BYTES_MAX;
    for entry in fs::read_dir(folder).map_err(listed)? {
        let path = entry.map_err(listed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name == FILE {
            attachments = Some(read_file(&path, ATTACHMENTS_BYTES_MAX)?);
        } else if name.ends_with(".wasm") && !name.starts_with('.') {
            let bytes = read_file(&path, MODULE_BYTES_MAX)?;
            left = left.checked_sub(bytes.len()).ok_or_else(|| {
                let found = format!("modules of more than {DIRECTORY_BYTES_MAX} bytes together");
                Failed::Wrong(Unreadable::io(folder, found, "no more than that"))
            })?;
            modules.insert(name.to_owned(), bytes);
        }
    }
    let Some(attachments) = attachments else { return Ok(None) };
    let path = folder.join(FILE);
    if attachments.len() > ATTACHMENTS_BYTES_MAX {
        let found = format!("more than {ATTACHMENTS_BYTES_MAX} bytes");
        return Err(Failed::Wrong(Unreadable::io(&path, found, "no more than that")));
    }
    let pieces = modules.iter().flat_map(|(name, bytes)| [name.as_bytes(), bytes.as_slice()]);
    let digest = Digest::of_all([attachments.as_slice()].into_iter().chain(pieces));
    let attachments = String::from_utf8(attachments).map_err(|error| {
        let whole = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + whole.iter().filter(|byte| **byte == b'\n').count();
        Failed::Wrong(Unreadable::io(&path, format!("bytes in line {line} that are no UTF-8"), "UTF-8"))
    })?;
    Ok(Some(Contents { attachments, modules, digest }))
}

/// Reads the file of a module that somebody names.
pub(crate) fn read_module(path: &Path) -> Result<Vec<u8>, Unreadable> {
    read_file(path, MODULE_BYTES_MAX).map_err(|failed| match failed {
        Failed::Gone(path) => Unreadable::io(&path, "nothing of this name", "the file of a module"),
        Failed::Wrong(error) => error,
    })
}

/// Reads one file; of one that is too large only as much as shows that it is.
fn read_file(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failed> {
    use std::io::Read as _;
    let failed = |error: io::Error| Failed::io(path, &error, "a file that can be read");
    // Looked at before it is opened: opening a pipe waits for somebody to write to it.
    let found = fs::metadata(path).map_err(failed)?.file_type();
    if !found.is_file() {
        let found = if found.is_dir() { "a directory" } else { "a pipe, a socket or a device" };
        return Err(Failed::Wrong(Unreadable::io(path, found, "a file")));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
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

    /// What a directory with one more thing in it is told.
    fn told(lay: impl FnOnce(&Path)) -> String {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(FILE), "policies: []").unwrap();
        lay(root.path());
        let error = read(root.path()).unwrap_err();
        let folder = fs::canonicalize(root.path()).unwrap();
        let (problem, word) = (error.problem().to_string(), error.to_string());
        assert!(problem.contains("\n  found    ") && problem.contains("\n  expected "), "{problem}");
        word.replace(&folder.display().to_string(), "")
    }

    #[test]
    fn what_is_no_file_is_told_and_nobody_waits_for_it() {
        let pipe = |root: &Path| {
            let made = std::process::Command::new("mkfifo").arg(root.join("a.wasm")).status();
            assert!(made.unwrap().success());
        };
        assert_eq!(told(pipe), "/a.wasm: found a pipe, a socket or a device, expected a file");
        let folder = |root: &Path| fs::create_dir(root.join("a.wasm")).unwrap();
        assert_eq!(told(folder), "/a.wasm: found a directory, expected a file");
        let nowhere = |root: &Path| symlink("nowhere", root.join("a.wasm")).unwrap();
        assert_eq!(told(nowhere), "/a.wasm: found a link that leads nowhere, expected a file");
        let circle = |root: &Path| symlink("a.wasm", root.join("a.wasm")).unwrap();
        let told = told(circle);
        assert!(
            told.starts_with("/a.wasm: found ") && told.ends_with("expected a file that can be read"),
            "{told}"
        );
    }

    #[test]
    fn a_list_that_is_enormous_or_no_text_says_where() {
        let enormous = |root: &Path| {
            let text = "# nothing\n".repeat(ATTACHMENTS_BYTES_MAX / 10 + 1);
            fs::write(root.join(FILE), text).unwrap();
        };
        let expected =
            format!("/{FILE}: found more than {ATTACHMENTS_BYTES_MAX} bytes, expected no more than that");
        assert_eq!(told(enormous), expected);
        let latin = |root: &Path| fs::write(root.join(FILE), b"policies:\n- {name: caf\xe9}\n").unwrap();
        assert_eq!(told(latin), format!("/{FILE}: found bytes in line 2 that are no UTF-8, expected UTF-8"));
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_told() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let told = read(&file).unwrap_err().to_string();
        assert_eq!(told, format!("{}: found a file, expected a directory of policies", file.display()));
    }
}
