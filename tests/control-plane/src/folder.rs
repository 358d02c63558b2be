//! The folder of a control plane: made, filled, and taken away. What a process that was killed has left is taken away by
//! the next.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{env, mem};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::component::{Component, api_server};
use crate::ports::Ports;

/// How the folders are called, with something behind that makes the name unique.
const PREFIX: &str = "whittle-control-plane-";

/// The file that is locked as long as the owner of a folder lives.
const OWNER: &str = "owner";

/// Tells that a folder is kept on purpose.
const KEPT: &str = "kept";

/// The token of the one user that tokens are given to; everybody else is a service account.
const TOKEN: &str = "administrator";

/// What kwok is to do with Nodes and pods.
const STAGES: &str = include_str!("../kwok.yaml");

/// The folder of a control plane. It is gone when this is dropped, unless it is kept.
pub(crate) struct Folder {
    directory: TempDir,
    /// Locked until the process ends.
    _owner: File,
}

impl Folder {
    /// A folder with all that the components read, but for the service accounts' key.
    pub(crate) fn new(ports: &Ports) -> Result<Self> {
        sweep(&env::temp_dir());
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir().context("no temporary folder")?;
        let path = directory.path();
        let owner = own(path)?;
        let write = |name: &str, text: &str| {
            let file = path.join(name);
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
        };
        write("tokens.csv", &format!("{TOKEN},admin,admin,\"system:masters\"\n"))?;
        write("kubeconfig", &kubeconfig(path, ports, TOKEN))?;
        write("kwok.yaml", STAGES)?;
        Ok(Self { directory, _owner: owner })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where a component writes what it has to say.
    pub(crate) fn log(&self, component: Component) -> PathBuf {
        self.path().join(format!("{component}.log"))
    }

    /// Writes a kubeconfig for the holder of a token and tells where.
    pub(crate) fn write_kubeconfig(&self, name: &str, ports: &Ports, token: &str) -> Result<PathBuf> {
        let file = self.path().join(name);
        fs::write(&file, kubeconfig(self.path(), ports, token))
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// Keeps the folder for somebody to read the logs, and tells where it is.
    pub(crate) fn keep(mut self) -> Result<PathBuf> {
        let path = self.path().to_owned();
        fs::write(path.join(KEPT), "").with_context(|| format!("cannot keep {}", path.display()))?;
        self.directory.disable_cleanup(true);
        mem::drop(self);
        // Nobody reads it, and it is most of what the folder takes.
        fs::remove_dir_all(path.join(Component::Etcd.name())).context("cannot remove etcd's data")?;
        Ok(path)
    }
}

/// Locks a folder for this process. The lock is there before its name is: who sees the file finds it locked.
fn own(folder: &Path) -> Result<File> {
    let (unseen, name) = (folder.join(".owner"), folder.join(OWNER));
    let owner = File::create(&unseen).with_context(|| format!("cannot write {}", unseen.display()))?;
    owner.lock().context("cannot lock")?;
    fs::rename(&unseen, &name).with_context(|| format!("cannot write {}", name.display()))?;
    Ok(owner)
}

/// Removes the folders whose owners were killed. What cannot be read or removed stays: it may be somebody else's.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let named = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        let Some(owner) = named.then(|| File::open(folder.join(OWNER)).ok()).flatten() else { continue };
        if !folder.join(KEPT).exists() && owner.try_lock().is_ok() {
            fs::remove_dir_all(&folder).ok();
        }
    }
}

/// What a client needs to speak to the API server as the holder of a token.
fn kubeconfig(folder: &Path, ports: &Ports, token: &str) -> String {
    let server = api_server(ports);
    let authority = folder.join("certificates/apiserver.crt");
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: {server}
    certificate-authority: {}
users:
- name: user
  user:
    token: {token}
contexts:
- name: test
  context:
    cluster: test
    user: user
current-context: test
",
        authority.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as a control plane leaves it, in a parent of its own.
    fn left(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(format!("{PREFIX}{name}"));
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn only_folders_whose_owner_is_gone_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let (dead, alive, kept, young) = (
            left(parent.path(), "dead"),
            left(parent.path(), "alive"),
            left(parent.path(), "kept"),
            left(parent.path(), "young"),
        );
        mem::drop(own(&dead).unwrap());
        mem::drop(own(&kept).unwrap());
        fs::write(kept.join(KEPT), "").unwrap();
        let _owner = own(&alive).unwrap();
        sweep(parent.path());
        assert_eq!([&dead, &alive, &kept, &young].map(|folder| folder.exists()), [false, true, true, true]);
    }

    #[test]
    fn a_folder_that_is_kept_stays_and_another_goes() {
        let ports = Ports::free().unwrap();
        let (gone, kept) = (Folder::new(&ports).unwrap(), Folder::new(&ports).unwrap());
        for folder in [&gone, &kept] {
            fs::create_dir(folder.path().join(Component::Etcd.name())).unwrap();
        }
        let gone_path = gone.path().to_owned();
        mem::drop(gone);
        let kept_path = kept.keep().unwrap();
        assert_eq!((gone_path.exists(), kept_path.join("kubeconfig").exists()), (false, true));
        assert!(!kept_path.join("etcd").exists(), "etcd's data is not kept");
        fs::remove_dir_all(kept_path).unwrap();
    }
}
