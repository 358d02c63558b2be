//! `whittle run --cloud aws`: the parts that speak to AWS, put together.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use whittle_aws::calls::Calls;
use whittle_aws::connect::{Clients, connect};
use whittle_aws::known::Known;
use whittle_aws::launch::{Ec2, InstanceTypes};
use whittle_aws::queue::{Ear, Queue};
use whittle_control::ports::news::InstanceNotice;
use whittle_core::model::instance_type::InstanceType;
use whittle_kube::book::Book;
use whittle_kube::cluster::clock;
use whittle_kube::lease::Role;
use whittle_kube::metrics::Metrics;
use whittle_kube::outside::Mouth;

use crate::args::RunArgs;

/// Everything that speaks to AWS.
pub(super) struct Aws {
    pub(super) cloud: Arc<Ec2>,
    pub(super) known: Arc<Known>,
    pub(super) clients: Clients,
    pub(super) cluster: String,
}

/// Connects to AWS. Nothing is asked yet.
pub(super) async fn assemble(
    args: &RunArgs,
    book: &Arc<Book>,
    metrics: &Arc<Metrics>,
    mouth: &Mouth,
) -> Result<Aws> {
    let cluster = args.cluster_name.clone().context("--cluster-name is needed with --cloud aws")?;
    let counting = Arc::clone(metrics);
    let calls = Arc::new(Calls::new(move |call| {
        counting.clouds().requested(&call.service, &call.operation, call.status);
    }));
    let clients = connect(&args.region, &calls).await;
    let known = Arc::new(Known::default());
    let types = Arc::new(OfBook(Arc::clone(book)));
    let telling = mouth.clone();
    let cloud = Ec2::new(&clients, &cluster, (Arc::clone(&known), types), clock, move |drifts| {
        telling.drifts(drifts);
    });
    Ok(Aws { cloud: Arc::new(cloud), known, clients, cluster })
}

/// Starts what goes on beside the loop, for as long as the tasks are kept.
pub(super) fn start(
    aws: &Aws,
    args: &RunArgs,
    leads: &watch::Receiver<Role>,
    metrics: &Arc<Metrics>,
    mouth: Mouth,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if let Some(name) = &args.interruption_queue {
        let queue = Queue::new(&aws.clients, name, clock);
        let ear = Arc::new(OfLoop { mouth, metrics: Arc::clone(metrics) });
        tasks.spawn(while_leading(leads.clone(), move || Arc::clone(&queue).listen(Arc::clone(&ear))));
    }
    tasks
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
