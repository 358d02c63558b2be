//! `whittle run` as a process of its own: what it has used, and what it says of itself.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Error, Result, ensure};
use whittle_control_plane::ports;
use whittle_tests::command::whittle;

use crate::cluster::{Cluster, until};
use crate::usage::cpu;

/// A controller that runs. It ends when it is dropped.
pub(crate) struct Controller {
    process: Child,
    port: u16,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// CPU time of all its threads.
    pub(crate) cpu: Duration,
    /// Memory now.
    pub(crate) resident_kb: u64,
    /// The most memory ever.
    pub(crate) peak_kb: u64,
}

/// Memory as the page has it.
pub(crate) fn megabytes(kb: u64) -> String {
    format!("{} MB", kb.saturating_mul(1_024) / 1_000_000)
}

impl Controller {
    /// Starts one that leads at once, with some more flags.
    pub(crate) fn start(cluster: &Cluster, flags: &[&str]) -> Result<Self> {
        let port = ports::free()?;
        let log = File::create(cluster.log())?;
        let mut command = Command::new(whittle().map_err(Error::msg)?);
        command.args(["run", "--cloud", "sim", "--log-format", "text", "--disable-leader-election"]);
        command.args(["--bind-address", "127.0.0.1", "--health-probe-port", "0", "--metrics-port"]);
        command.arg(port.to_string()).args(["--region", "us-east-1", "--kubeconfig"]);
        command.arg(cluster.kubeconfig()).args(flags);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { process: command.spawn().context("cannot start whittle")?, port })
    }

    /// What it has used up to now.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let folder = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let kb = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).with_context(|| format!("no {name} in its status"))
        };
        Ok(Usage { cpu: cpu(self.process.id())?, resident_kb: kb("VmRSS:")?, peak_kb: kb("VmHWM:")? })
    }

    /// The sum of all values of a metric; `name` may name labels as well.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let number = |line: &str| line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok());
        let sum: f64 = answer.lines().filter(of_it).filter_map(number).sum();
        // The sum of nothing is -0.
        Ok(sum + 0.0)
    }

    /// Waits until it has listed everything.
    pub(crate) async fn wait_until_synced(&self) -> Result<()> {
        until("the controller has listed everything", async || {
            // Until it listens, nobody answers.
            Ok(self.metric("karpenter_cluster_state_synced").is_ok_and(|synced| synced > 0.5).then_some(()))
        })
        .await
    }

    /// What everything costs, once it knows of so many nodes.
    pub(crate) async fn wait_for_cost_of(&self, nodes: usize) -> Result<f64> {
        until("the controller knows of every node", async || {
            let known = self.metric("karpenter_cluster_state_node_count")?;
            #[expect(clippy::cast_precision_loss, reason = "some thousand nodes")]
            let is_all = (known - nodes as f64).abs() < 0.5;
            Ok(if is_all { Some(self.metric("whittle_cost_dollars_per_hour")?) } else { None })
        })
        .await
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and that is as well.
        self.process.kill().and_then(|()| self.process.wait()).ok();
    }
}
