//! Flags of Karpenter that mean nothing here, taken so that a command line of Karpenter's goes on working. They stand in
//! no help; each says in the log, when it is given, why it does nothing.
//!
//! In the environment they need no place here: a variable that nobody reads does nothing by itself.

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct WithoutEffect {
    #[arg(long, hide = true)]
    karpenter_service: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    enable_profiling: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    disable_controller_warmup: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    memory_limit: Option<String>,
    #[arg(long, hide = true)]
    cpu_requests: Option<String>,
    #[arg(long, hide = true)]
    log_error_output_paths: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    ignore_dra_requests: Option<String>,
    #[arg(long, hide = true)]
    scheduler_config: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    eks_control_plane: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true")]
    enable_zonal_shift: Option<String>,
    #[arg(long, hide = true)]
    ami_refresh_interval: Option<String>,
    #[arg(long, hide = true)]
    subnet_refresh_interval: Option<String>,
    #[arg(long, hide = true)]
    aws_feature_gates: Option<String>,
}

impl WithoutEffect {
    /// Those that were given, and why each does nothing.
    pub(crate) fn given(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (&self.karpenter_service, ("karpenter-service", "there are no webhooks")),
            (
                &self.enable_profiling,
                ("enable-profiling", "there is no profiler to ask; perf works as it does"),
            ),
            (
                &self.disable_controller_warmup,
                ("disable-controller-warmup", "a standby always knows everything"),
            ),
            (&self.memory_limit, ("memory-limit", "there is no garbage collector to be told")),
            (
                &self.cpu_requests,
                ("cpu-requests", "--writes-at-once and --kube-client-qps say how much is done at a time"),
            ),
            (&self.log_error_output_paths, ("log-error-output-paths", "errors of the log go nowhere else")),
            (&self.ignore_dra_requests, ("ignore-dra-requests", "resource claims of pods are not looked at")),
            (&self.scheduler_config, ("scheduler-config", "kube-scheduler's configuration is not read")),
            (&self.eks_control_plane, ("eks-control-plane", "the cluster is always looked for in EKS")),
            (&self.enable_zonal_shift, ("enable-zonal-shift", "zonal shifts are not asked for")),
            (
                &self.ami_refresh_interval,
                ("ami-refresh-interval", "images are asked for every 5 minutes, aliases every day"),
            ),
            (
                &self.subnet_refresh_interval,
                ("subnet-refresh-interval", "subnets are asked for every minute"),
            ),
            (&self.aws_feature_gates, ("aws-feature-gates", "there are none")),
        ];
        all.into_iter().filter(|(given, _)| given.is_some()).map(|(_, said)| said).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::WithoutEffect;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        without_effect: WithoutEffect,
    }

    #[test]
    fn a_command_line_of_karpenters_is_taken_and_what_means_nothing_says_why() {
        let line = ["karpenter", "--enable-profiling", "--memory-limit", "-1", "--cpu-requests=1000"];
        let given = Args::parse_from(line).without_effect.given();
        let names: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["enable-profiling", "memory-limit", "cpu-requests"]);
        assert!(given.iter().all(|(_, why)| !why.is_empty()));
        assert_eq!(Args::parse_from(["karpenter"]).without_effect.given(), []);
    }
}
