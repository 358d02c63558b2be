//! The command line. Parsed once; what the subcommands get are plain values.

mod aws;
pub(crate) mod telemetry;
pub(crate) mod without_effect;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use whittle_api::duration;
use whittle_catalog::listing::Sort;
use whittle_control::controller::Settings;
use whittle_core::advice::Hook;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::time::Duration;
use whittle_core::settings::{MinValuesPolicy, PreferencePolicy, Repair};

use self::aws::AwsArgs;
use self::telemetry::TelemetryArgs;
use self::without_effect::WithoutEffect;

/// A node autoscaler for Kubernetes on EC2 that reads Karpenter's resources.
#[derive(Debug, Parser)]
#[command(name = "whittle", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a cluster: watch it, decide, and carry the decisions out.
    Run(Box<RunArgs>),
    /// Say why a pod waits or a node stays: what the loop would decide about it, now.
    Why(WhyArgs),
    /// Show a cluster: its nodes, how full they are, what they cost, what waits, and what comes next.
    Top(TopArgs),
    /// Write the state of a cluster into a directory that `simulate` and `why` read.
    Snapshot(SnapshotArgs),
    /// Simulate a cluster and what happens to it: a directory of manifests and a scenario.
    Simulate(SimulateArgs),
    /// Decide once: which nodes to launch for the pods in a directory of manifests, and which pods go where.
    Plan(PlanArgs),
    /// List EC2 instance types with capacity, labels' facts and prices.
    Catalog(CatalogArgs),
    /// Print the CustomResourceDefinitions as YAML.
    Crds,
    /// Write, check, test and measure policies, and see where those of a running process stand.
    Policy(PolicyArgs),
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Where instances come from.
    #[arg(long, env = "WHITTLE_CLOUD")]
    pub(crate) cloud: CloudArg,
    /// The kubeconfig of the cluster. Without it: $KUBECONFIG, ~/.kube/config, or the account of the pod.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The AWS region.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
    #[command(flatten)]
    pub(crate) aws: AwsArgs,
    /// Decide with the policies of this directory: `policies.yaml` and the modules beside it. It is watched: what is put
    /// there comes into force.
    #[arg(long, env = "WHITTLE_POLICIES", value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    /// Where the last good set of policies and their status are kept.
    #[arg(long, env = "WHITTLE_POLICY_STATE", value_name = "DIR", requires = "policies")]
    pub(crate) policy_state: Option<PathBuf>,
    /// Whether waiting pods are nominated to the node that they are planned on when it opens, so that kube-scheduler keeps
    /// to the plan.
    #[arg(long, env = "WHITTLE_NOMINATE_PODS", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub(crate) nominate_pods: bool,
    /// A batch of waiting pods is closed when no new one has come for this long.
    #[arg(long, env = "BATCH_IDLE_DURATION", value_name = "DURATION", default_value = "1s", value_parser = span)]
    pub(crate) batch_idle_duration: Duration,
    /// A batch of waiting pods is closed at the latest after this long.
    #[arg(long, env = "BATCH_MAX_DURATION", value_name = "DURATION", default_value = "10s", value_parser = span)]
    pub(crate) batch_max_duration: Duration,
    /// What happens when a NodePool's `minValues` cannot be kept.
    #[arg(long, env = "MIN_VALUES_POLICY", value_name = "POLICY", default_value = "Strict")]
    pub(crate) min_values_policy: MinValuesArg,
    /// Whether what pods prefer is held to like a requirement while it can be had.
    #[arg(long, env = "PREFERENCE_POLICY", value_name = "POLICY", default_value = "Respect")]
    pub(crate) preference_policy: PreferenceArg,
    /// A NodeClaim whose node has not joined so long after it was made is given up.
    #[arg(long, env = "WHITTLE_REGISTRATION_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = span)]
    pub(crate) registration_timeout: Duration,
    /// The seed from which names of NodeClaims are made; without it, from the clock.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many NodeClaims are written about at a time.
    #[arg(long, env = "WHITTLE_WRITES_AT_ONCE", value_name = "COUNT", default_value_t = 64)]
    pub(crate) writes_at_once: usize,
    /// How many requests a second are made to the API server, in the long run.
    #[arg(long, env = "KUBE_CLIENT_QPS", value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kube_client_qps: u32,
    /// How many requests are made to it at once, after a pause.
    #[arg(long, env = "KUBE_CLIENT_BURST", value_name = "COUNT", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) kube_client_burst: u32,
    /// The namespace that this runs in: of the lease, and of what the simulated cloud keeps.
    #[arg(long, env = "SYSTEM_NAMESPACE", value_name = "NAMESPACE", default_value = "kube-system")]
    pub(crate) system_namespace: String,
    /// Lead without asking whether another one does.
    #[arg(long, env = "DISABLE_LEADER_ELECTION", value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) disable_leader_election: bool,
    /// The name of the lease.
    #[arg(
        long,
        env = "LEADER_ELECTION_NAME",
        value_name = "NAME",
        default_value = "karpenter-leader-election"
    )]
    pub(crate) leader_election_name: String,
    /// The namespace of the lease, if it is another.
    #[arg(long, env = "LEADER_ELECTION_NAMESPACE", value_name = "NAMESPACE")]
    pub(crate) leader_election_namespace: Option<String>,
    /// Who this process is, for the lease and in Events; the host's name does for a pod.
    #[arg(long, env = "HOSTNAME", value_name = "NAME", default_value = "whittle")]
    pub(crate) identity: String,
    /// The address that metrics and health are answered on.
    #[arg(long, env = "WHITTLE_BIND_ADDRESS", value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub(crate) bind_address: IpAddr,
    /// The port of /metrics; 0 for none.
    #[arg(long, env = "METRICS_PORT", value_name = "PORT", default_value_t = 8080)]
    pub(crate) metrics_port: u16,
    /// Tell no metrics of each node and each pod, but of NodePools and the cluster alone.
    #[arg(long, env = "DISABLE_CLUSTER_STATE_OBSERVABILITY", value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) disable_cluster_state_observability: bool,
    /// The port of /healthz and /readyz; 0 for none.
    #[arg(long, env = "HEALTH_PROBE_PORT", value_name = "PORT", default_value_t = 8081)]
    pub(crate) health_probe_port: u16,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
    /// What is tried only where it is wanted, as in `NodeRepair=true`; other names mean nothing here.
    #[arg(long, env = "FEATURE_GATES", value_name = "GATES", default_value = "", value_parser = feature_gates)]
    pub(crate) feature_gates: FeatureGates,
    /// With the simulated cloud: how long an instance boots until its Node is there.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = span)]
    pub(crate) simulated_boot: Duration,
    #[command(flatten)]
    pub(crate) without_effect: WithoutEffect,
}

/// How decisions are made that nobody carries out.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// What happens when a NodePool's `minValues` cannot be kept: the pod gets no node there, or one with as many
    /// values as there are.
    #[arg(long, env = "MIN_VALUES_POLICY", value_name = "POLICY", default_value = "Strict")]
    pub(crate) min_values_policy: MinValuesArg,
    /// Whether what pods prefer is held to like a requirement while it can be had.
    #[arg(long, env = "PREFERENCE_POLICY", value_name = "POLICY", default_value = "Respect")]
    pub(crate) preference_policy: PreferenceArg,
    /// Decide with the policies of this directory: `policies.yaml` and the modules beside it.
    #[arg(long, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
}

impl DecideArgs {
    /// How the loop behaves.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.decisions.min_values = self.min_values_policy.into();
        settings.decisions.preferences = self.preference_policy.into();
        settings
    }
}

/// Which cluster is looked at, and how decisions about it are made.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LookArgs {
    /// The kubeconfig of the cluster. Without it: $KUBECONFIG, ~/.kube/config, or the account of the pod.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The AWS region, for prices. Without it, the one that the Nodes name.
    #[arg(long, env = "AWS_REGION")]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) decide: DecideArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    #[command(subcommand)]
    pub(crate) about: WhyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WhyCommand {
    /// Why a pod waits, where it would go, and what would give it a place.
    Pod {
        /// The pod: NAMESPACE/NAME, or NAME in the namespace `default`.
        pod: String,
        #[command(flatten)]
        from: FromArgs,
    },
    /// Why a node stays, or when it goes.
    Node {
        /// The name of the Node or of its NodeClaim.
        node: String,
        #[command(flatten)]
        from: FromArgs,
    },
}

/// Where the answer comes from.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FromArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// Ask about the manifests of a directory, such as a snapshot, in place of a cluster.
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    pub(crate) dir: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: OutputArg,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// Print it once and end. So it is as well where the output is no terminal.
    #[arg(long)]
    pub(crate) once: bool,
    /// How it is printed, with --once.
    #[arg(long, default_value = "text", requires = "once")]
    pub(crate) output: OutputArg,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SnapshotArgs {
    /// The directory: a new one, or one that is empty.
    pub(crate) dir: PathBuf,
    /// The kubeconfig of the cluster. Without it: $KUBECONFIG, ~/.kube/config, or the account of the pod.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The AWS region. Without it, the one that the Nodes name.
    #[arg(long, env = "AWS_REGION")]
    pub(crate) region: Option<String>,
}

/// Where instances come from.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CloudArg {
    /// From EC2. Credentials and endpoints are found as every AWS program finds them.
    Aws,
    /// From nowhere: they are ConfigMaps, and Nodes that kwok keeps alive.
    Sim,
}

/// What is tried only where it is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FeatureGates {
    /// Whether nodes that have been unhealthy for too long are given up.
    pub(crate) node_repair: Repair,
}

/// Gates as Karpenter writes them: `A=true,B=false`.
fn feature_gates(text: &str) -> Result<FeatureGates, String> {
    let mut gates = FeatureGates::default();
    for gate in text.split(',').map(str::trim).filter(|gate| !gate.is_empty()) {
        let wrong = || format!("{gate:?} is no gate such as NodeRepair=true");
        let (name, value) = gate.split_once('=').ok_or_else(wrong)?;
        let is_open: bool = value.trim().parse().map_err(|_| wrong())?;
        if name.trim() == "NodeRepair" {
            gates.node_repair = if is_open { Repair::WhenUnhealthy } else { Repair::Never };
        }
    }
    Ok(gates)
}

fn span(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| format!("{text:?} is no duration such as 500ms, 1s or 1m30s"))
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WorldArgs {
    /// The directory with manifests and at most one scenario.
    pub(crate) dir: PathBuf,
    /// The seed, in place of the scenario's. The same seed gives the same answer.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The AWS region, in place of the scenario's.
    #[arg(long)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) decide: DecideArgs,
    /// How the answer is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: OutputArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Make a crate to start from, with tests that pass as they stand.
    New(NewArgs),
    /// Say what the host would say of a module, or of a directory with policies.yaml.
    Check {
        /// A module or a directory.
        path: PathBuf,
        /// Settings to try a module with, as YAML or JSON.
        #[arg(long)]
        settings: Option<String>,
    },
    /// Run cases: settings, a question, the answer that is expected.
    Test(TestArgs),
    /// Measure answers by the size of the question, in time and in fuel.
    Bench {
        /// The module.
        file: PathBuf,
        /// Its settings, as YAML or JSON.
        #[arg(long)]
        settings: Option<String>,
    },
    /// Print everything that a module says about itself, what it would be shown, and what it answers.
    Inspect {
        /// The module.
        file: PathBuf,
        /// Its settings, as YAML or JSON.
        #[arg(long)]
        settings: Option<String>,
    },
    /// Print where the policies of a running process stand.
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The name of the crate.
    pub(crate) name: String,
    /// The hook that it answers.
    #[arg(long)]
    pub(crate) hook: HookArg,
    /// Where the SDK is. Without it, that of the checkout in which this folder lies, or else this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// A file of cases.
    pub(crate) cases: PathBuf,
    /// The module, in place of the one that the file names.
    #[arg(long)]
    pub(crate) module: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The folder where the process keeps the last good set of policies and their status.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// How it is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: OutputArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum HookArg {
    Capacity,
    Taints,
    Offerings,
    Consolidation,
    Interruption,
}

impl From<HookArg> for Hook {
    fn from(hook: HookArg) -> Self {
        match hook {
            HookArg::Capacity => Self::Capacity,
            HookArg::Taints => Self::Taints,
            HookArg::Offerings => Self::Offerings,
            HookArg::Consolidation => Self::Consolidation,
            HookArg::Interruption => Self::Interruption,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) world: WorldArgs,
    /// Also write a page with charts and the packing of each node.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print every entry of the timeline instead of taking like ones together.
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Simulate twice, with the policies of two directories, and print what differs. `none` is no policies.
    #[arg(long, num_args = 2, value_names = ["DIR", "DIR"], conflicts_with_all = ["policies", "pace", "report"])]
    pub(crate) compare: Vec<PathBuf>,
    /// Let no more than so many seconds pass in one, and watch the directory of policies: what is put there comes
    /// into force meanwhile.
    #[arg(long, value_name = "SECONDS", requires = "policies", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) pace: Option<u64>,
    /// With --pace, where the last good set of policies and their status are kept.
    #[arg(long, value_name = "DIR", requires = "pace")]
    pub(crate) policy_state: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) world: WorldArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CatalogArgs {
    /// The region.
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub(crate) region: String,
    /// Only what is offered in these zones.
    #[arg(long, value_delimiter = ',', value_name = "ZONE")]
    pub(crate) zone: Vec<String>,
    /// Only this processor architecture: amd64 or arm64.
    #[arg(long)]
    pub(crate) arch: Option<String>,
    /// Only these categories: c, m, r, …
    #[arg(long, value_delimiter = ',')]
    pub(crate) category: Vec<String>,
    /// Only these families: m6i, c7g, …
    #[arg(long, value_delimiter = ',')]
    pub(crate) family: Vec<String>,
    /// Only this generation or newer.
    #[arg(long, value_name = "GENERATION")]
    pub(crate) min_generation: Option<u64>,
    /// At least so many vCPUs.
    #[arg(long, value_name = "VCPUS")]
    pub(crate) min_cpu: Option<u64>,
    /// At most so many vCPUs.
    #[arg(long, value_name = "VCPUS")]
    pub(crate) max_cpu: Option<u64>,
    /// At least so many GiB of memory.
    #[arg(long, value_name = "GIB")]
    pub(crate) min_memory: Option<u64>,
    /// At most so many GiB of memory.
    #[arg(long, value_name = "GIB")]
    pub(crate) max_memory: Option<u64>,
    /// At least so many GPUs.
    #[arg(long, value_name = "GPUS")]
    pub(crate) min_gpu: Option<u64>,
    /// Only what can be bought this way.
    #[arg(long)]
    pub(crate) capacity_type: Option<CapacityTypeArg>,
    /// Only names like this, with `*` and `?`: `m6*.large`.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) name: Option<String>,
    /// What the list is sorted by.
    #[arg(long, default_value = "name")]
    pub(crate) sort: SortArg,
    /// At most so many rows.
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// A file with prices of your own: CSV, JSON, or what the Pricing API prints. May be given again.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Vec<PathBuf>,
    /// How the list is printed.
    #[arg(long, default_value = "text")]
    pub(crate) output: OutputArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OutputArg {
    Text,
    Json,
}

/// As Karpenter spells it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MinValuesArg {
    #[value(name = "Strict")]
    Strict,
    #[value(name = "BestEffort")]
    BestEffort,
}

impl From<MinValuesArg> for MinValuesPolicy {
    fn from(policy: MinValuesArg) -> Self {
        match policy {
            MinValuesArg::Strict => Self::Strict,
            MinValuesArg::BestEffort => Self::BestEffort,
        }
    }
}

/// As Karpenter spells it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PreferenceArg {
    #[value(name = "Respect")]
    Respect,
    #[value(name = "Ignore")]
    Ignore,
}

impl From<PreferenceArg> for PreferencePolicy {
    fn from(policy: PreferenceArg) -> Self {
        match policy {
            PreferenceArg::Respect => Self::Respect,
            PreferenceArg::Ignore => Self::Ignore,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SortArg {
    Name,
    Price,
    Cpu,
    Memory,
}

impl From<SortArg> for Sort {
    fn from(sort: SortArg) -> Self {
        match sort {
            SortArg::Name => Self::Name,
            SortArg::Price => Self::Price,
            SortArg::Cpu => Self::Cpu,
            SortArg::Memory => Self::Memory,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CapacityTypeArg {
    Spot,
    OnDemand,
}

impl From<CapacityTypeArg> for CapacityType {
    fn from(capacity_type: CapacityTypeArg) -> Self {
        match capacity_type {
            CapacityTypeArg::Spot => Self::Spot,
            CapacityTypeArg::OnDemand => Self::OnDemand,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FeatureGates, Repair, feature_gates};

    #[test]
    fn gates_are_read_as_karpenter_writes_them_and_other_names_mean_nothing() {
        let open = FeatureGates { node_repair: Repair::WhenUnhealthy };
        let shut = FeatureGates { node_repair: Repair::Never };
        for (text, expected) in [
            ("", Some(shut)),
            ("NodeRepair=true", Some(open)),
            ("ReservedCapacity=true, NodeRepair=true", Some(open)),
            ("NodeRepair=true,NodeRepair=false", Some(shut)),
            ("SpotToSpotConsolidation=true", Some(shut)),
            ("NodeRepair", None),
            ("NodeRepair=yes", None),
        ] {
            assert_eq!(feature_gates(text).ok(), expected, "{text:?}");
        }
    }
}
