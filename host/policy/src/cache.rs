//! Compiled policies on local disk, so that a restart does not compile again.
//!
//! Compiled code is run as it is, so it is read from nowhere but here: a folder that this process made, that nobody
//! else may write to, and never the folder that policies are watched in.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::Component;

use crate::digest::Digest;
use crate::engine::Engine;

/// What a compiled policy is not older than: beyond so many files the oldest go.
const FILES_MAX: usize = 256;

/// A folder of compiled policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
}

/// Why a folder cannot hold compiled code.
#[derive(Debug, thiserror::Error)]
pub enum NoCache {
    /// It cannot be made or looked at.
    #[error("{folder}: {error}")]
    Io {
        /// The folder.
        folder: String,
        /// What went wrong.
        error: io::Error,
    },
    /// Somebody else could put code into it.
    #[error("{folder}: found a folder that others may use (mode {mode:o}), expected one of our own (700)")]
    NotPrivate {
        /// The folder.
        folder: String,
        /// Its mode.
        mode: u32,
    },
}

impl Cache {
    /// The cache in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, belongs to somebody else, or others may use it.
    pub fn open(folder: &Path) -> Result<Self, NoCache> {
        let failed = |error| NoCache::Io { folder: folder.display().to_string(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let about = fs::symlink_metadata(folder).map_err(failed)?;
        // A file of ours shows who we are; the standard library cannot be asked.
        let probe = folder.join(unique("probe"));
        fs::write(&probe, b"").map_err(failed)?;
        let own = fs::metadata(&probe).map_err(failed)?.uid();
        fs::remove_file(&probe).map_err(failed)?;
        if !about.is_dir() || about.uid() != own || about.mode() & 0o077 != 0 {
            let mode = about.mode() & 0o777;
            return Err(NoCache::NotPrivate { folder: folder.display().to_string(), mode });
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The compiled form of a component, if this engine made it here before. One that is damaged is as good as none.
    pub(crate) fn find(&self, engine: &Engine, component: Digest) -> Option<Component> {
        let stored = fs::read(self.file(engine, component)).ok()?;
        let (digest, code) = stored.split_at_checked(32)?;
        if digest != Digest::of(code).bytes() {
            return None;
        }
        load(engine, code)
    }

    /// Keeps the compiled form of a component. The file appears whole or not at all.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, component: &Component) -> io::Result<()> {
        let code = component.serialize().map_err(io::Error::other)?;
        let path = self.file(engine, digest);
        let partial = path.with_extension(unique("partial"));
        fs::write(&partial, [Digest::of(&code).bytes().as_slice(), &code].concat())?;
        fs::rename(&partial, &path)?;
        self.shrink()
    }

    /// Where the compiled form of a component is: by what it is, and by everything that decides what it compiles to.
    fn file(&self, engine: &Engine, component: Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.inner.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!("{component}-{:016x}.compiled", hasher.finish()))
    }

    fn shrink(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// A name that no other process and no other thread uses now: several may share the folder.
fn unique(extension: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}.{extension}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[expect(
    unsafe_code,
    reason = "compiled code is trusted; the folder is private and the bytes are those we wrote"
)]
fn load(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `code` is what `Component::serialize` gave: `keep` alone writes to the folder, `open` made sure that
    // nobody else can, and the digest before it that it is whole. Another version's code is an error, not loaded.
    unsafe { Component::deserialize(&engine.inner, code) }.ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_others_may_use_holds_no_code() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cache");
        assert!(Cache::open(&folder).is_ok());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        let refused = Cache::open(&folder).unwrap_err().to_string();
        assert!(
            refused.ends_with("that others may use (mode 770), expected one of our own (700)"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_damaged_is_not_run() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(&place.path().join("cache")).unwrap();
        let engine = Engine::new().unwrap();
        let source = b"\0asm\x0d\0\x01\0";
        let component = Component::from_binary(&engine.inner, source).unwrap();
        cache.keep(&engine, Digest::of(source), &component).unwrap();
        assert!(cache.find(&engine, Digest::of(source)).is_some());
        let path = cache.file(&engine, Digest::of(source));
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(cache.find(&engine, Digest::of(source)).is_none());
    }
}
