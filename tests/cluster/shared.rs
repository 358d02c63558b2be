//! The control plane that tests share, the clients they speak to it with, and waiting for what will be so.

use std::fs;
use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, bail, ensure};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use libtest_mimic::{Failed, Trial};
use tokio::runtime;
use tokio::time::sleep;
use whittle_control_plane::component::Component;
use whittle_control_plane::plane::ControlPlane;
use whittle_control_plane::program::Program;

/// How long to wait for what takes the control plane a second or two at most, on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long until looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The control plane, started by the first test that asks for it.
#[derive(Default)]
pub(crate) struct Shared {
    plane: OnceLock<Result<ControlPlane, String>>,
}

impl Shared {
    pub(crate) fn plane(&self) -> Result<&ControlPlane> {
        let plane = self.plane.get_or_init(|| start().map_err(|error| format!("{error:#}")));
        plane.as_ref().map_err(|problem| anyhow!("there is no control plane: {problem}"))
    }
}

/// A control plane that knows our custom resources.
pub(crate) fn start() -> Result<ControlPlane> {
    start_with(&[])
}

/// The same, with more flags for its components.
pub(crate) fn start_with(flags: &[(Component, &str)]) -> Result<ControlPlane> {
    let plane = ControlPlane::start(&Program::provide()?, flags)?;
    plane.apply(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/whittle-crd/crds"))?;
    Ok(plane)
}

/// A test on the shared control plane.
pub(crate) fn trial<F>(
    shared: &Arc<Shared>,
    name: &str,
    test: impl FnOnce(Arc<Shared>, Client) -> F + Send + 'static,
) -> Trial
where
    F: Future<Output = Result<()>>,
{
    let shared = Arc::clone(shared);
    Trial::test(name, move || {
        let outcome = shared.plane().map(ControlPlane::kubeconfig).and_then(|kubeconfig| {
            block_on(async { test(Arc::clone(&shared), client(&kubeconfig).await?).await })
        });
        outcome.map_err(failed)
    })
}

/// What libtest-mimic shows of an error.
pub(crate) fn failed(error: Error) -> Failed {
    Failed::from(format!("{error:#}"))
}

/// Runs to its end what waits for a server.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// A client for the user of a kubeconfig. What the server is too busy for is asked again, as it is with 429 for a moment
/// after a definition of a custom resource was established.
pub(crate) async fn client(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(config(kubeconfig).await?)?)
}

/// A client that hands on a 429 as it is: an eviction that a budget forbids is answered with it, too.
pub(crate) async fn client_that_asks_once(kubeconfig: &Path) -> Result<Client> {
    let mut config = config(kubeconfig).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn config(kubeconfig: &Path) -> Result<Config> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)
}

/// Asks until the answer is `Some`. `what` is what is waited for, as a sentence.
pub(crate) async fn until<T, F>(what: &str, ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    until_after(PATIENCE, what, ask).await
}

/// The same with a patience of its own, for what is meant to take its time.
pub(crate) async fn until_after<T, F>(patience: Duration, what: &str, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await.with_context(|| format!("waiting until {what}"))? {
            return Ok(answer);
        }
        if begin.elapsed() > patience {
            bail!("after {} s it is still not so that {what}", patience.as_secs());
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Ends the shared control plane, if there is one, and makes sure that this process has no child left.
pub(crate) fn end(shared: Arc<Shared>, failed: bool) -> Result<()> {
    let shared = Arc::into_inner(shared).context("a test still holds the control plane")?;
    if let Some(Ok(plane)) = shared.plane.into_inner() {
        if failed {
            eprintln!("The logs of the control plane are in {}", plane.end_and_keep_logs()?.display());
        } else {
            drop(plane);
        }
    }
    let left = children()?;
    ensure!(left.is_empty(), "left running: processes {}", left.join(", "));
    Ok(())
}

/// The processes that this one has started and that have not been waited for. Known on Linux alone.
fn children() -> Result<Vec<String>> {
    let mut children = Vec::new();
    let tasks = Path::new("/proc/self/task");
    if tasks.is_dir() {
        for task in fs::read_dir(tasks)? {
            match fs::read_to_string(task?.path().join("children")) {
                Ok(text) => children.extend(text.split_whitespace().map(str::to_owned)),
                // A thread that has ended since is no parent any more.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(children)
}
