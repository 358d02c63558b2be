//! `whittle run --cloud aws`: the parts that speak to AWS, put together.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube_client::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use whittle_api::node_class::Ec2NodeClass;
use whittle_api::node_class::resolved::Resolved;
use whittle_aws::calls::Calls;
use whittle_aws::classes::validation::DryRun;
use whittle_aws::classes::{self, Classes};
use whittle_aws::connect::connect;
use whittle_aws::eks::{Discovery, Given};
use whittle_aws::health;
use whittle_aws::known::Known;
use whittle_aws::launch::{Ec2, InstanceTypes};
use whittle_aws::market::{self, ListPrices, Market, Vpc};
use whittle_aws::queue::{Ear, Queue};
use whittle_catalog::catalog::Catalog;
use whittle_control::ports::news::InstanceNotice;
use whittle_core::model::instance_type::InstanceType;
use whittle_kube::book::Book;
use whittle_kube::classes::Resolve;
use whittle_kube::cluster::clock;
use whittle_kube::lease::Role;
use whittle_kube::metrics::Metrics;
use whittle_kube::outside::{self, Mouth};

use super::{Sky, World};
use crate::args::RunArgs;

/// EC2, and what goes on beside the loop for it. Nothing is asked yet but what the clients need.
pub(super) async fn sky(args: &RunArgs, world: &World) -> Result<Sky<Ec2, OfAccount>> {
    let name = args.aws.cluster_name.clone().context("--cluster-name is needed with --cloud aws")?;
    let counting = Arc::clone(&world.metrics);
    let calls = Arc::new(Calls::new(move |call| {
        counting.clouds().requested(&call.service, &call.operation, call.status);
    }));
    let clients = connect(&args.region, &calls).await;
    let known = Arc::new(Known::default());
    let (mouth, words) = outside::line();
    let types = Arc::new(OfBook(Arc::clone(&world.book)));
    let telling = mouth.clone();
    let found = || (Arc::clone(&known), Arc::clone(&types) as Arc<dyn InstanceTypes>);
    let cloud = Ec2::new(&clients, &name, found(), clock, move |drifts, ends| telling.looked(drifts, ends));
    let vpc = if args.aws.isolated_vpc { Vpc::Isolated } else { Vpc::Open };
    let settings = classes::Settings {
        region: args.region.clone(),
        cluster: name.clone(),
        dry_run: if args.aws.disable_dry_run { DryRun::Disabled } else { DryRun::Asked },
        vpc,
    };
    let mut beside = JoinSet::new();
    let version = version(&world.ways.client).await;
    let given = Given {
        endpoint: args.aws.cluster_endpoint.clone(),
        certificate: args.aws.cluster_ca_bundle.clone(),
        version,
    };
    let discovery = Discovery { clients: clients.clone(), known: Arc::clone(&known), name, given };
    beside.spawn(discovery.run(world.stop.1.clone()));
    let asked = market::Settings {
        region: args.region.clone(),
        list_prices: ListPrices::of(&args.region, vpc),
        spot_every: None,
    };
    let (market, catalog) = Market::new(clients.clone(), asked, Catalog::embedded());
    beside.spawn(market.run(world.stop.1.clone()));
    let leads = &world.role.1;
    let ear = Arc::new(OfLoop { mouth, metrics: Arc::clone(&world.metrics) });
    let (watching, of_health) = (clients.clone(), Arc::clone(&ear));
    let watch = move || {
        let (clients, ear) = (watching.clone(), Arc::clone(&of_health));
        async move { health::watch(clients, &*ear, clock).await }
    };
    beside.spawn(while_leading(leads.clone(), watch));
    if let Some(name) = &args.aws.interruption_queue {
        let queue = Queue::new(&clients, name, clock);
        let listen = move || Arc::clone(&queue).listen(Arc::clone(&ear));
        beside.spawn(while_leading(leads.clone(), listen));
    }
    Ok(Sky {
        cloud: Arc::new(cloud),
        resolver: Arc::new(OfAccount(Classes::new(&clients, found(), &settings))),
        reserved: known.reserved(),
        catalog,
        words,
        beside,
    })
}

/// The version of Kubernetes as the API server says it: `1.34`.
async fn version(client: &Client) -> Option<String> {
    match client.apiserver_version().await {
        // EKS adds a plus to the minor version.
        Ok(info) => Some(format!("{}.{}", info.major, info.minor.trim_end_matches('+'))),
        Err(error) => {
            tracing::warn!("the API server does not say its version: {error}");
            None
        }
    }
}

/// The account, as the loop over classes asks it.
pub(super) struct OfAccount(Classes);

impl Resolve for OfAccount {
    async fn resolve(&self, class: &Ec2NodeClass) -> Resolved {
        self.0.resolve(class).await
    }

    async fn release(&self, class: &Ec2NodeClass) -> Result<(), String> {
        self.0.release(class).await
    }

    fn forget(&self, name: &str) {
        self.0.forget(name);
    }
}

/// Does what only one process may do at a time: for as long as this one leads, and anew when it leads again.
async fn while_leading<F: Future<Output = ()>>(mut role: watch::Receiver<Role>, work: impl Fn() -> F) {
    loop {
        if role.wait_for(|role| *role == Role::Leader).await.is_err() {
            return;
        }
        tokio::select! {
            () = work() => return,
            _ = role.wait_for(|role| *role != Role::Leader) => {}
        }
    }
}

/// Instance types as the loop knows them.
#[derive(Debug)]
struct OfBook(Arc<Book>);

impl InstanceTypes for OfBook {
    fn instance_type(&self, node_class: &str, name: &str) -> Option<InstanceType> {
        self.0.instance_type(node_class, name)
    }

    fn allowed(&self, node_class: &str) -> Vec<InstanceType> {
        self.0.allowed(node_class)
    }
}

/// The loop, as the queue speaks to it.
struct OfLoop {
    mouth: Mouth,
    metrics: Arc<Metrics>,
}

impl Ear for OfLoop {
    async fn hear(&self, notices: Vec<InstanceNotice>) {
        self.mouth.notices(notices).await;
    }

    fn received(&self, kind: &str, waited: Duration) {
        self.metrics.clouds().received(kind, waited);
    }

    fn deleted(&self, messages: usize) {
        self.metrics.clouds().deleted(messages);
    }
}
