//! `whittle run`: puts the parts of a running controller together, and takes them apart in order at its end.

mod aws;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use whittle_catalog::catalog::Catalog;
use whittle_control::controller::{Controller, Settings};
use whittle_control::ports::Cloud;
use whittle_kube::book::Book;
use whittle_kube::classes::{self, Resolve};
use whittle_kube::cluster::Nominating;
use whittle_kube::connect::pace::Pace;
use whittle_kube::connect::{Ways, connect, connect_paced};
use whittle_kube::driver::{self, Ending, Lines, Parts};
use whittle_kube::lease::{self, Candidate, Role};
use whittle_kube::metrics::Metrics;
use whittle_kube::metrics::standing::Detail;
use whittle_kube::outside::{self, Word};
use whittle_kube::serve::{self, Answers, Asked};
use whittle_kube::simulated::{self, SimulatedCloud};
use whittle_policy::advisor::{Advisor, Patience};
use whittle_policy::engine::Engine;
use whittle_policy::reload::{Looked, Reloader};
use whittle_policy::watch::Watch;

use crate::args::{CloudArg, RunArgs};
use crate::learned::Learned;
use crate::simulate::keep_status;
use crate::telemetry;
use crate::types::{FromCatalog, nothing_reserved, tell_renewals, unchanging};

/// The first look at a directory of policies is waited for so long: files settle in a quarter of a second, and a module
/// is compiled in half of one.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// So many may read the metrics at a time.
const SCRAPES: usize = 4;

pub(crate) fn run(args: &RunArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = {
        let _sends = runtime.enter();
        telemetry::start(&args.telemetry)?
    };
    for (flag, why) in args.without_effect.given() {
        tracing::info!("--{flag} does nothing: {why}");
    }
    let ended = runtime.block_on(controller(args));
    telemetry.end();
    ended
}

/// What a process is made of, whatever cloud it has.
struct World {
    ways: Ways,
    controller: Controller,
    book: Arc<Book>,
    metrics: Arc<Metrics>,
    /// Who reads the metrics, and has them worked out before.
    asked: mpsc::Receiver<Asked>,
    identity: String,
    swapped: Arc<Notify>,
    /// Told when everything has been listed.
    synced: watch::Sender<bool>,
    /// Whether this process leads: who says so, and who is told.
    role: (watch::Sender<Role>, watch::Receiver<Role>),
    stop: (watch::Sender<bool>, watch::Receiver<bool>),
}

/// A cloud, and what goes on beside the loop for it.
struct Sky<C, R> {
    cloud: Arc<C>,
    resolver: Arc<R>,
    /// What can be launched, at which prices; renewed or not.
    catalog: watch::Receiver<Catalog>,
    /// How many instances capacity reservations have.
    reserved: watch::Receiver<BTreeMap<String, u32>>,
    words: mpsc::UnboundedReceiver<Word>,
    beside: JoinSet<()>,
}

async fn controller(args: &RunArgs) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    listen_for_signals(stop.clone())?;
    let pace = Pace { per_second: f64::from(args.kube_client_qps), burst: args.kube_client_burst };
    let ways = connect_paced(args.kubeconfig.as_deref(), pace).await?;
    let metrics = Arc::new(Metrics::new());
    let (synced, is_synced) = watch::channel(false);
    let (ask, asked) = mpsc::channel(SCRAPES);
    let answers = Answers { synced: is_synced, metrics: Arc::clone(&metrics), ask };
    let servers = serve(args, &answers, &stopped).await?;
    let swapped = Arc::new(Notify::new());
    let (looked, has_looked) = watch::channel(false);
    let (controller, policies) = decider(args, &swapped, looked)?;
    if policies.is_some() {
        wait_for_policies(has_looked, stopped.clone()).await;
    }
    let world = World {
        ways,
        controller,
        book: Arc::new(Book::default()),
        metrics,
        asked,
        identity: identity(&args.identity),
        swapped,
        synced,
        role: watch::channel(Role::Standby),
        stop: (stop.clone(), stopped),
    };
    let ending = match args.cloud {
        CloudArg::Sim => {
            let sky = simulated(args, &world).await?;
            drive(args, world, sky).await?
        }
        CloudArg::Aws => {
            let sky = aws::sky(args, &world).await?;
            drive(args, world, sky).await?
        }
    };
    stop.send_replace(true);
    for server in servers {
        server.await.context("a server ended badly")?;
    }
    tracing::info!("the end");
    Ok(ending?)
}

async fn simulated(args: &RunArgs, world: &World) -> Result<Sky<SimulatedCloud, SimulatedCloud>> {
    let settings = simulated::Settings {
        region: args.region.clone(),
        namespace: args.system_namespace.clone(),
        boot: Duration::from_millis(args.simulated_boot.millis()),
    };
    let cloud = SimulatedCloud::new(world.ways.client.clone(), Arc::clone(&world.book), settings);
    cloud.resume().await.context("cannot reach the cluster")?;
    // This cloud says nothing by itself.
    let (_mouth, words) = outside::line();
    Ok(Sky {
        resolver: Arc::new(cloud.clone()),
        cloud: Arc::new(cloud),
        catalog: unchanging(Catalog::embedded()),
        reserved: nothing_reserved(),
        words,
        beside: JoinSet::new(),
    })
}

/// Runs the loop, and hands the lease on when it has ended.
async fn drive<C, R>(args: &RunArgs, world: World, sky: Sky<C, R>) -> Result<Result<(), Ending>>
where
    C: Cloud + Send + Sync + 'static,
    R: Resolve,
{
    let World { ways, controller, book, metrics, asked, identity, swapped, synced, role, stop } = world;
    let Sky { cloud, resolver, catalog, reserved, words, mut beside } = sky;
    let (role, leads) = role;
    beside.spawn(classes::keep(ways.client.clone(), resolver, leads.clone(), identity.clone()));
    let retyped = Arc::new(Notify::new());
    beside.spawn(tell_renewals(catalog.clone(), Arc::clone(&retyped)));
    beside.spawn(tell_renewals(reserved.clone(), Arc::clone(&retyped)));
    let learned = Learned::new(Arc::clone(&retyped));
    let types =
        FromCatalog { catalog, reserved, learned, region: args.region.clone(), kept: args.aws.kept() };
    let types = Arc::new(types);
    let (resign, resigned) = watch::channel(false);
    // On a way of its own, so that however much is written, the lease is renewed in time.
    let of_lease = connect(args.kubeconfig.as_deref()).await?.client;
    let (renewals, renewed) = watch::channel(None);
    let election = stand(args, of_lease, &identity, (role, renewals), resigned);
    let settings = driver::Settings {
        region: args.region.clone(),
        nominating: if args.nominate_pods { Nominating::WhenTheNodeOpens } else { Nominating::Never },
        writes_at_once: args.writes_at_once,
        detail: if args.disable_cluster_state_observability { Detail::Sums } else { Detail::Everything },
        identity,
    };
    let parts = Parts { ways, cloud, controller, types, book, metrics, asked, settings };
    let lines = Lines { synced, role: leads, renewed, swapped, retyped, stop: stop.1 };
    let ending = driver::run(parts, lines, words).await;
    // In this order: nothing is written any more when another one may begin.
    beside.shutdown().await;
    resign.send_replace(true);
    election.await.context("the election ended badly")?;
    Ok(ending)
}

fn listen_for_signals(stop: watch::Sender<bool>) -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        stop.send_replace(true);
    });
    Ok(())
}

/// Two processes of one host are two: a lease that one holds is not the other's.
fn identity(host: &str) -> String {
    format!("{host}-{}-{:x}", std::process::id(), since_epoch().subsec_nanos())
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Begins to answer. A port that somebody else has is seen before anything is done: nobody would look after this process.
async fn serve(
    args: &RunArgs,
    answers: &Answers,
    stopped: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>> {
    let metrics = (args.metrics_port, serve::metrics(answers.clone()), "metrics");
    let health = (args.health_probe_port, serve::health(answers.clone()), "health");
    let mut servers = Vec::new();
    for (port, router, what) in [metrics, health].into_iter().filter(|(port, ..)| *port != 0) {
        let (address, stopped) = (SocketAddr::new(args.bind_address, port), stopped.clone());
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot answer for {what} on {address}"))?;
        servers.push(tokio::spawn(async move {
            if let Err(error) = serve::serve(listener, router, stopped).await {
                tracing::error!(%address, "{what} cannot be answered: {error}");
            }
        }));
    }
    Ok(servers)
}

/// Nothing is decided before the first look at the directory has come to something: what is launched without a policy
/// stays. The watch starts with the last good set; this is for a directory without one.
async fn wait_for_policies(mut has_looked: watch::Receiver<bool>, mut stopped: watch::Receiver<bool>) {
    let looked = tokio::time::timeout(FIRST_LOOK, has_looked.wait_for(|looked| *looked));
    tokio::select! {
        looked = looked => if looked.is_err() {
            tracing::warn!("policies are not in force yet, and pods wait: decides without them until they are");
        },
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Who decides, and the watch of the directory of policies, which says by `has_looked` when it has looked there.
fn decider(
    args: &RunArgs,
    swapped: &Arc<Notify>,
    has_looked: watch::Sender<bool>,
) -> Result<(Controller, Option<Watch>)> {
    let mut settings = Settings {
        batch_idle: args.batch_idle_duration,
        batch_max: args.batch_max_duration,
        seed: args.seed.unwrap_or_else(|| u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX)),
        ..Settings::default()
    };
    settings.decisions.min_values = args.min_values_policy.into();
    settings.decisions.preferences = args.preference_policy.into();
    settings.decisions.repair = args.feature_gates.node_repair;
    settings.decisions.registration_timeout = args.registration_timeout;
    let controller = Controller::new(settings);
    let Some(directory) = &args.policies else { return Ok((controller, None)) };
    let advisor = Arc::new(Advisor::new(Arc::new(Engine::new()?), Patience::Production));
    let policies = Arc::clone(&advisor);
    let state = args.policy_state.clone();
    let reloader = Reloader::new(directory, advisor, state.as_deref())?;
    let nudge = Arc::clone(swapped);
    let watch = Watch::start(reloader, move |looked, status| {
        if !matches!(looked, Looked::Settling(_)) {
            has_looked.send_replace(true);
        }
        match looked {
            Looked::Unchanged | Looked::Settling(_) => {}
            Looked::Swapped(digest) => {
                tracing::info!(digest = digest.short(), "policies are in force");
                nudge.notify_one();
            }
            Looked::Refused(problems) => problems.iter().for_each(|problem| {
                tracing::error!("policies are refused, the old ones stay: {problem}");
            }),
            Looked::Unreadable(error) => {
                tracing::error!("policies cannot be read, the old ones stay: {error}");
            }
        }
        if let Some(state) = &state
            && let Err(error) = keep_status(state, status)
        {
            tracing::error!("the status of policies is not kept: {error:#}");
        }
    })?;
    Ok((controller.with_policies(policies), Some(watch)))
}

/// Stands for the lease, or leads without one.
fn stand(
    args: &RunArgs,
    client: kube_client::Client,
    identity: &str,
    (role, renewals): (watch::Sender<Role>, watch::Sender<Option<Instant>>),
    resigned: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let candidate = Candidate {
        namespace: args.leader_election_namespace.clone().unwrap_or_else(|| args.system_namespace.clone()),
        name: args.leader_election_name.clone(),
        identity: identity.to_owned(),
    };
    let alone = args.disable_leader_election;
    tokio::spawn(async move {
        if alone {
            role.send_replace(Role::Leader);
            let mut resigned = resigned;
            drop(resigned.wait_for(|resigned| *resigned).await);
        } else {
            lease::stand(client, candidate, (role, renewals), resigned).await;
        }
    })
}
