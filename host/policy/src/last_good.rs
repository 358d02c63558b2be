//! The last set of policies that was in force, on local disk: what a restart beside a broken volume starts with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::attachments::FILE;
use crate::directory::{self, Contents};

/// The file that holds the digest of what lies beside it, so that a set that was half written is not taken.
const DIGEST: &str = "digest";

/// Where the last good set is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    folder: PathBuf,
}

impl LastGood {
    /// Kept below `state`, a folder of ours on local disk.
    #[must_use]
    pub fn below(state: &Path) -> Self {
        Self { folder: state.join("last-good") }
    }

    /// Keeps a set. The one before stays until this one is whole.
    ///
    /// # Errors
    /// When the disk does not take it; what was kept before is still there then.
    pub fn keep(&self, contents: &Contents) -> io::Result<()> {
        let (new, old) = (self.folder.with_extension("new"), self.folder.with_extension("old"));
        remove(&new)?;
        fs::create_dir_all(&new)?;
        for (name, bytes) in &contents.modules {
            fs::write(new.join(name), bytes)?;
        }
        fs::write(new.join(FILE), &contents.attachments)?;
        fs::write(new.join(DIGEST), contents.digest.to_string())?;
        remove(&old)?;
        if self.folder.exists() {
            fs::rename(&self.folder, &old)?;
        }
        fs::rename(&new, &self.folder)?;
        remove(&old)
    }

    /// The set that was kept last; `None` when there is none that is whole.
    #[must_use]
    pub fn find(&self) -> Option<Contents> {
        // A crash between the two renames of `keep` leaves the last set beside its place.
        [self.folder.clone(), self.folder.with_extension("old")].iter().find_map(|folder| {
            let contents = directory::read(folder).ok()?;
            let digest = fs::read_to_string(folder.join(DIGEST)).ok()?;
            (digest == contents.digest.to_string()).then_some(contents)
        })
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn contents(source: &Path, text: &str) -> Contents {
        fs::write(source.join(FILE), text).unwrap();
        fs::write(source.join("a.wasm"), text).unwrap();
        directory::read(source).unwrap()
    }

    #[test]
    fn the_last_set_that_is_whole_is_found() {
        let (state, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let last_good = LastGood::below(state.path());
        assert_eq!(last_good.find(), None);
        let first = contents(source.path(), "first");
        last_good.keep(&first).unwrap();
        let second = contents(source.path(), "second");
        last_good.keep(&second).unwrap();
        assert_eq!(last_good.find(), Some(second));
        fs::write(state.path().join("last-good/a.wasm"), "damaged").unwrap();
        assert_eq!(last_good.find(), None);
        // As after a crash between the renames.
        fs::rename(state.path().join("last-good"), state.path().join("last-good.old")).unwrap();
        fs::write(state.path().join("last-good.old/a.wasm"), "second").unwrap();
        let digest = last_good.find().map(|contents| contents.digest);
        assert_eq!(digest, Some(directory::read(source.path()).unwrap().digest));
        assert_ne!(digest, Some(Digest::of(b"")));
    }
}
