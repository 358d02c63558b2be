//! What `whittle run` is told about AWS and the machines there; Karpenter's names and values.

use whittle_sim::classes::Kept;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AwsArgs {
    /// The name of the cluster in EKS.
    #[arg(long, env = "CLUSTER_NAME", value_name = "NAME", required_if_eq("cloud", "aws"))]
    pub(crate) cluster_name: Option<String>,
    /// The URL of the API server as nodes reach it; without it, as EKS says.
    #[arg(long, env = "CLUSTER_ENDPOINT", value_name = "URL")]
    pub(crate) cluster_endpoint: Option<String>,
    /// The SQS queue, by name or by URL, in which EC2 says what will happen to instances; without it, nothing is heard.
    #[arg(long, env = "INTERRUPTION_QUEUE", value_name = "QUEUE")]
    pub(crate) interruption_queue: Option<String>,
    /// The certificate authority of the API server in base64, as nodes need it; without it, as EKS says.
    #[arg(long, env = "CLUSTER_CA_BUNDLE", value_name = "BASE64")]
    pub(crate) cluster_ca_bundle: Option<String>,
    /// The share of an instance's memory that the hypervisor keeps, from 0 to 1.
    #[arg(long, env = "VM_MEMORY_OVERHEAD_PERCENT", value_name = "SHARE", default_value = "0.075", value_parser = per_mille)]
    vm_memory_overhead_percent: u64,
    /// How many network interfaces of each instance pods cannot use.
    #[arg(long, env = "RESERVED_ENIS", value_name = "COUNT", default_value_t = 0)]
    reserved_enis: u64,
    /// The VPC has no way to services outside of it: prices on demand are those of the embedded tables, and IAM is not
    /// called, so an EC2NodeClass has to name its instance profile.
    #[arg(long, env = "ISOLATED_VPC", value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) isolated_vpc: bool,
    /// Do not try out by dry runs whether what an EC2NodeClass selects may be launched.
    #[arg(long, env = "DISABLE_DRY_RUN", value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) disable_dry_run: bool,
}

impl AwsArgs {
    /// What machines keep for themselves.
    pub(crate) const fn kept(&self) -> Kept {
        Kept {
            vm_memory_overhead_per_mille: self.vm_memory_overhead_percent,
            reserved_enis: self.reserved_enis,
        }
    }
}

/// A share, which Karpenter calls a percentage, in thousandths.
fn per_mille(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no share from 0 to 1, such as 0.075");
    let share: f64 = text.parse().map_err(|_| wrong())?;
    if !(0.0..=1.0).contains(&share) {
        return Err(wrong());
    }
    // Three digits are as exact as it is used.
    format!("{:.0}", share * 1_000.0).parse().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::per_mille;

    #[test]
    fn a_share_of_memory_is_from_nothing_to_all() {
        for (text, expected) in [
            ("0.075", Some(75)),
            ("0", Some(0)),
            ("1", Some(1_000)),
            ("1.1", None),
            ("-0.1", None),
            ("7%", None),
            ("NaN", None),
        ] {
            assert_eq!(per_mille(text).ok(), expected, "{text}");
        }
    }
}
