//! The command line. Parsed once; what the subcommands get are plain values.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use whittle_catalog::listing::Sort;
use whittle_core::advice::Hook;
use whittle_core::model::instance_type::CapacityType;
use whittle_core::settings::{MinValuesPolicy, PreferencePolicy};

/// A node autoscaler for Kubernetes on EC2 that reads Karpenter's resources.
#[derive(Debug, Parser)]
#[command(name = "whittle", version, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
pub(crate) struct WorldArgs {
    /// The directory with manifests and at most one scenario.
    pub(crate) dir: PathBuf,
    /// The seed, in place of the scenario's. The same seed gives the same answer.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The AWS region, in place of the scenario's.
    #[arg(long)]
    pub(crate) region: Option<String>,
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
    },
    /// Run cases: settings, a question, the answer that is expected.
    Test(TestArgs),
    /// Measure answers by the size of the question, in time and in fuel.
    Bench {
        /// The module.
        file: PathBuf,
        /// Its settings, as JSON.
        #[arg(long, default_value = "{}")]
        settings: String,
    },
    /// Print everything that a module says about itself, and what it would be shown.
    Inspect {
        /// The module.
        file: PathBuf,
        /// Its settings, as JSON.
        #[arg(long, default_value = "{}")]
        settings: String,
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
    /// Where the SDK is. Without it, the one of the checkout that this folder lies in.
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
