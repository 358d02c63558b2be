//! The way to the API server: a kubeconfig, or what a pod is given.

pub mod pace;

use std::path::Path;
use std::time::Duration;

use kube_client::client::ClientBuilder;
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};

use self::pace::{Pace, Paced};

/// A server that does not even accept a connection in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no way.
#[derive(Debug, thiserror::Error)]
pub enum NoWay {
    /// The kubeconfig that was named cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] kube_client::config::KubeconfigError),
    /// Neither a kubeconfig nor a pod's own account is there.
    #[error("there is neither a kubeconfig nor the account of a pod: {0}")]
    Nothing(#[from] kube_client::config::InferConfigError),
    /// The settings make no client.
    #[error("no client for the API server: {0}")]
    Client(#[from] kube_client::Error),
}

/// Clients for one cluster.
#[derive(Clone)]
pub struct Ways {
    /// What the server is too busy for is asked again.
    pub client: Client,
    /// It is not: an eviction that a PodDisruptionBudget forbids is answered like one that comes too fast, and whoever
    /// asks for it again and again holds up the others.
    pub asking_once: Client,
    /// For Events. A plan for a thousand pods has much to say, and none of it may hold up a NodeClaim.
    pub telling: Client,
}

/// Clients for the cluster of this kubeconfig; without one, of `$KUBECONFIG`, of the home folder, or of the pod that
/// this runs in.
///
/// # Errors
///
/// As [`NoWay`] says. Whether anybody answers is not tried.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Ways, NoWay> {
    let config = config(kubeconfig).await?;
    let asking_once = without_retries(&config);
    let client = Client::try_from(config)?;
    Ok(Ways { asking_once: Client::try_from(asking_once)?, telling: client.clone(), client })
}

/// The same, and the requests of the first two clients together keep a pace; Events keep one of their own.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_paced(kubeconfig: Option<&Path>, pace: Pace) -> Result<Ways, NoWay> {
    let config = config(kubeconfig).await?;
    let asking_once = without_retries(&config);
    let (paced, telling) = (Paced::new(pace), Paced::new(pace.quarter()));
    let client = |config: Config, paced: &Paced| -> Result<Client, NoWay> {
        Ok(ClientBuilder::try_from(config)?.with_layer(paced).build())
    };
    Ok(Ways {
        telling: client(config.clone(), &telling)?,
        client: client(config, &paced)?,
        asking_once: client(asking_once, &paced)?,
    })
}

fn without_retries(config: &Config) -> Config {
    let mut config = config.clone();
    config.default_retry = false;
    config
}

async fn config(kubeconfig: Option<&Path>) -> Result<Config, NoWay> {
    let mut config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?
        }
        None => Config::infer().await?,
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok(config)
}
