//! A cluster that is looked at and left alone: for `whittle why`, `whittle top` and `whittle snapshot`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use kube_client::Client;
use tokio::runtime::{Builder, Runtime};
use whittle_catalog::catalog::Catalog;
use whittle_control::controller::Controller;
use whittle_control::ports::policies::Policies;
use whittle_kube::connect::connect;
use whittle_kube::view::{self, View};
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::engine::Engine;
use whittle_policy::reload::bring_in;
use whittle_sim::classes::Kept;

use crate::args::LookArgs;
use crate::learned::Learned;
use crate::types::{FromCatalog, nothing_reserved, unchanging};

/// A region that nobody has named.
const DEFAULT_REGION: &str = "us-east-1";

/// What waits for the API server, on this thread alone.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// A client for the cluster, which is asked once so that a wrong address is noticed at once.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<Client> {
    Ok(connect(kubeconfig).await?.asking_once)
}

/// The region that was named, or that the Nodes name.
pub(crate) async fn region(client: &Client, named: Option<&str>) -> Result<String> {
    match named {
        Some(region) => Ok(region.to_owned()),
        None => Ok(view::region(client).await?.unwrap_or_else(|| DEFAULT_REGION.to_owned())),
    }
}

/// The cluster as it stands.
pub(crate) async fn view(args: &LookArgs, client: &Client) -> Result<View> {
    let region = region(client, args.region.as_deref()).await?;
    let mut controller = Controller::new(args.decide.settings());
    if let Some(directory) = &args.decide.policies {
        let advisor = Arc::new(Advisor::new(Arc::new(Engine::new()?), Patience::Production));
        bring_in(&advisor, None, directory)?;
        controller = controller.with_policies(advisor as Arc<dyn Policies>);
    }
    let catalog = unchanging(Catalog::embedded());
    let (reserved, learned) = (nothing_reserved(), Learned::default());
    let types = Arc::new(FromCatalog { catalog, reserved, learned, region, kept: Kept::default() });
    View::open(client, controller, types).await.context("the cluster cannot be seen")
}
