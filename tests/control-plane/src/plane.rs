//! A control plane that runs: started until every part says that it is ready, taken apart and put together again part by
//! part, and ended whatever happens to its owner.
//!
//! Every component ends when its standard input does, and only its owner holds the other end. So nothing is left
//! running when the owner panics, exits without a word or is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{mem, thread};

use anyhow::{Context as _, Result, bail, ensure};

use crate::component::{Component, api_server};
use crate::folder::Folder;
use crate::ports::Ports;
use crate::program::Program;

/// How often a control plane is tried with other ports, when somebody else took one between the choice and the start.
const ATTEMPTS: usize = 3;

/// What a component says whose port is taken.
const PORT_TAKEN: &str = "address already in use";

/// How long a component may take until it is ready. It takes two seconds on an idle machine; one that is short of memory
/// or shared by many has taken thirty.
const READY_WITHIN: Duration = Duration::from_secs(180);

/// How long to wait until looking again whether a component is ready or has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How many lines of a log an error shows.
const LINES_SHOWN: usize = 12;

/// A control plane. Dropping it ends every process and removes its folder.
pub struct ControlPlane {
    program: Program,
    ports: Ports,
    flags: Vec<(Component, String)>,
    running: BTreeMap<Component, Running>,
    /// Gone only while it is being dropped or kept.
    folder: Option<Folder>,
}

/// A process, and what keeps it alive.
struct Running {
    process: Child,
    _alive: Option<ChildStdin>,
}

impl ControlPlane {
    /// Starts every component, each with those of `flags` that are for it, and returns when all are ready.
    ///
    /// # Errors
    /// When a component ends or does not get ready; the error shows the end of its log.
    pub fn start(program: &Program, flags: &[(Component, &str)]) -> Result<Self> {
        let flags: Vec<(Component, String)> =
            flags.iter().map(|(component, flag)| (*component, (*flag).to_owned())).collect();
        let mut attempt = 1;
        loop {
            match Self::start_once(program, &flags) {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains(PORT_TAKEN) => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn start_once(program: &Program, flags: &[(Component, String)]) -> Result<Self> {
        let ports = Ports::free()?;
        let folder = Folder::new(&ports)?;
        let key = folder.path().join("service-accounts.key");
        let made = program.command("new-key").arg(&key).status().context("cannot start the control plane")?;
        ensure!(made.success(), "no key for service accounts ({made})");
        let mut plane = Self {
            program: program.clone(),
            ports,
            flags: flags.to_vec(),
            running: BTreeMap::new(),
            folder: Some(folder),
        };
        plane.begin(&[Component::Etcd])?;
        plane.begin(&[Component::ApiServer])?;
        plane.begin(&[Component::ControllerManager, Component::Scheduler, Component::Kwok])?;
        Ok(plane)
    }

    /// The kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path().join("kubeconfig")
    }

    /// The address of the API server.
    #[must_use]
    pub fn address(&self) -> String {
        api_server(&self.ports)
    }

    /// Where a component writes what it has to say.
    #[must_use]
    pub fn log(&self, component: Component) -> PathBuf {
        self.folder().log(component)
    }

    /// The components that were started and not stopped, with the ids of their processes.
    #[must_use]
    pub fn processes(&self) -> Vec<(Component, u32)> {
        self.running.iter().map(|(component, running)| (*component, running.process.id())).collect()
    }

    /// Kills a component, as a machine that fails would. One that is stopped already stays so.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn stop(&mut self, component: Component) -> Result<()> {
        let Some(mut running) = self.running.remove(&component) else { return Ok(()) };
        running
            .process
            .kill()
            .and_then(|()| running.process.wait())
            .with_context(|| format!("{component}"))?;
        Ok(())
    }

    /// Starts a component that was stopped, on the same port and with what it had kept, and returns when it is ready.
    ///
    /// # Errors
    /// When it runs, or as for [`ControlPlane::start`].
    pub fn start_again(&mut self, component: Component) -> Result<()> {
        ensure!(!self.running.contains_key(&component), "{component} runs");
        self.begin(&[component])
    }

    /// What kubectl writes when an administrator calls it.
    ///
    /// # Errors
    /// When kubectl fails: with what it says.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let mut kubectl = self.program.command("kubectl");
        let kubectl = kubectl.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        let output = kubectl.env("KUBECACHEDIR", self.path().join("kubectl")).output();
        let output = output.context("cannot start kubectl")?;
        ensure!(
            output.status.success(),
            "kubectl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies a manifest, or all in a folder, and returns when every CustomResourceDefinition is established.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub fn apply(&self, manifests: &Path) -> Result<()> {
        let path = manifests.to_str().context("a path that kubectl can read")?;
        self.kubectl(&["apply", "--server-side", "-f", path])?;
        let every = ["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"];
        self.kubectl(&every)?;
        Ok(())
    }

    /// A kubeconfig for a service account that is there: its token is a real one, and its rights are its own.
    ///
    /// # Errors
    /// When there is no such service account.
    pub fn kubeconfig_of_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["create", "token", "--namespace", namespace, name])?;
        let file = format!("kubeconfig-{namespace}-{name}");
        self.folder().write_kubeconfig(&file, &self.ports, token.trim())
    }

    /// Ends every process and keeps the folder with kubeconfig and logs, for somebody who looks for a reason. Tells where.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn end_and_keep_logs(mut self) -> Result<PathBuf> {
        self.end();
        self.folder.take().context("the folder is there until now")?.keep()
    }

    /// Starts components at once and waits for all of them.
    fn begin(&mut self, components: &[Component]) -> Result<()> {
        for component in components {
            let running = self.spawn(*component).with_context(|| format!("cannot start {component}"))?;
            self.running.insert(*component, running);
        }
        self.wait_until_ready(components)
    }

    fn spawn(&self, component: Component) -> Result<Running> {
        let log = File::options().create(true).append(true).open(self.log(component))?;
        let mut command = Command::new(self.program.path());
        command.args(["while-stdin", component.name()]);
        command.args(component.flags(self.path(), &self.ports));
        command.args(self.flags.iter().filter(|(of, _)| *of == component).map(|(_, flag)| flag));
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        // kwok would read what a user has set up for clusters of his own.
        command.env("KWOK_WORKDIR", self.path());
        // An interrupt at the terminal is for the owner, who ends them in order.
        command.process_group(0);
        let mut process = command.spawn()?;
        let alive = process.stdin.take();
        Ok(Running { process, _alive: alive })
    }

    fn wait_until_ready(&mut self, components: &[Component]) -> Result<()> {
        let places = components.iter().map(|component| component.readiness(&self.ports));
        let mut command = Command::new(self.program.path());
        command.args(["while-stdin", "await"]).args(places).stdin(Stdio::piped());
        let mut ready = command.spawn().context("cannot wait for components")?;
        let begin = Instant::now();
        let problem = loop {
            if let Some(ended) = self.ended(components)? {
                break format!("{ended} has ended:\n{}", self.end_of_log(ended));
            }
            if let Some(status) = ready.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                break format!("waiting for components has failed ({status})");
            }
            if begin.elapsed() > READY_WITHIN {
                let logs: Vec<String> =
                    components.iter().map(|one| format!("{one}:\n{}", self.end_of_log(*one))).collect();
                break format!("not ready after {} s:\n{}", READY_WITHIN.as_secs(), logs.join("\n"));
            }
            thread::sleep(LOOK_AGAIN);
        };
        ready.kill().and_then(|()| ready.wait())?;
        bail!(problem)
    }

    /// The first of the components whose process has ended.
    fn ended(&mut self, components: &[Component]) -> Result<Option<Component>> {
        for component in components {
            if let Some(running) = self.running.get_mut(component)
                && running.process.try_wait()?.is_some()
            {
                return Ok(Some(*component));
            }
        }
        Ok(None)
    }

    fn end_of_log(&self, component: Component) -> String {
        let text = fs::read_to_string(self.log(component)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }

    /// Kills what runs, the API server first: the others hang on to it, and it would wait for etcd.
    fn end(&mut self) {
        let first = self.running.remove(&Component::ApiServer);
        let rest = mem::take(&mut self.running).into_values();
        for mut running in first.into_iter().chain(rest) {
            // One that has ended by itself cannot be killed, and that is as well.
            running.process.kill().and_then(|()| running.process.wait()).ok();
        }
    }

    fn folder(&self) -> &Folder {
        self.folder.as_ref().expect("the folder is there until the control plane ends")
    }

    fn path(&self) -> &Path {
        self.folder().path()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.end();
        if thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            match folder.keep() {
                Ok(path) => eprintln!("The logs of the control plane are in {}", path.display()),
                Err(error) => eprintln!("The logs of the control plane are lost: {error:#}"),
            }
        }
    }
}
