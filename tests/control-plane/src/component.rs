//! The processes of a control plane and the flags that each is started with. Nothing is started here.

use std::fmt;
use std::path::Path;

use crate::ports::Ports;

/// A process of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Where everything is kept.
    Etcd,
    /// What everybody talks to.
    ApiServer,
    /// Deployments, DaemonSets, Jobs, garbage collection, budgets, the life of Nodes.
    ControllerManager,
    /// Binds pods to Nodes.
    Scheduler,
    /// Plays the kubelet of every Node.
    Kwok,
}

impl Component {
    /// All of them, in the order in which they are started.
    pub const ALL: [Self; 5] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kwok];

    /// What the program calls it, and its log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }

    /// Where it says, over HTTP, that it is ready.
    pub(crate) fn readiness(self, ports: &Ports) -> String {
        match self {
            Self::Etcd => format!("http://127.0.0.1:{}/readyz", ports.etcd),
            Self::ApiServer => format!("{}/readyz", api_server(ports)),
            Self::ControllerManager => format!("https://127.0.0.1:{}/healthz", ports.controller_manager),
            Self::Scheduler => format!("https://127.0.0.1:{}/readyz", ports.scheduler),
            Self::Kwok => format!("http://127.0.0.1:{}/healthz", ports.kwok),
        }
    }

    /// Its flags for a control plane in `folder`.
    pub(crate) fn flags(self, folder: &Path, ports: &Ports) -> Vec<String> {
        let at = |name: &str| folder.join(name).display().to_string();
        match self {
            Self::Etcd => etcd(&at("etcd"), ports),
            Self::ApiServer => kube_apiserver(at, ports),
            Self::ControllerManager => kube_controller_manager(at, ports),
            Self::Scheduler => kube_scheduler(at, ports),
            Self::Kwok => kwok(at, ports),
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The address of the API server.
pub(crate) fn api_server(ports: &Ports) -> String {
    format!("https://127.0.0.1:{}", ports.api_server)
}

/// Controllers and scheduler are held to twenty and fifty requests a second unless they are told otherwise, and then a
/// thousand pods take most of a minute.
const REQUESTS_PER_SECOND: [&str; 2] = ["--kube-api-qps=5000", "--kube-api-burst=5000"];

fn etcd(data: &str, ports: &Ports) -> Vec<String> {
    let clients = format!("http://127.0.0.1:{}", ports.etcd);
    let peers = format!("http://127.0.0.1:{}", ports.etcd_peers);
    vec![
        format!("--data-dir={data}"),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        // What a power cut would lose is of no interest to a test.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn kube_apiserver(at: impl Fn(&str) -> String, ports: &Ports) -> Vec<String> {
    let key = at("service-accounts.key");
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.api_server),
        format!("--cert-dir={}", at("certificates")),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--service-account-issuer={}/", api_server(ports)),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        format!("--token-auth-file={}", at("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        // A pod can be made before its namespace has a service account.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        // No Endpoints for the one API server there is, which it would take seconds to give up on its way out.
        "--endpoint-reconciler-type=none".to_owned(),
    ]
}

fn kube_controller_manager(at: impl Fn(&str) -> String, ports: &Ports) -> Vec<String> {
    let mut flags = vec![
        format!("--kubeconfig={}", at("kubeconfig")),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.controller_manager),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        format!("--service-account-private-key-file={}", at("service-accounts.key")),
        // What is left out allocates addresses, talks to a cloud or lets nodes join.
        "--controllers=*,-nodeipam,-route,-cloud-node-lifecycle,-service-lb-controller,-ttl,-bootstrapsigner,-tokencleaner"
            .to_owned(),
    ];
    flags.extend(REQUESTS_PER_SECOND.map(str::to_owned));
    flags
}

fn kube_scheduler(at: impl Fn(&str) -> String, ports: &Ports) -> Vec<String> {
    let mut flags = vec![
        format!("--kubeconfig={}", at("kubeconfig")),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.scheduler),
        "--leader-elect=false".to_owned(),
    ];
    flags.extend(REQUESTS_PER_SECOND.map(str::to_owned));
    flags
}

fn kwok(at: impl Fn(&str) -> String, ports: &Ports) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", at("kubeconfig")),
        format!("--config={}", at("kwok.yaml")),
        "--manage-all-nodes=true".to_owned(),
        "--cidr=10.1.0.0/16".to_owned(),
        "--node-ip=127.0.0.1".to_owned(),
        // As a kubelet would: the controller manager gives a Node up that does not renew its lease.
        "--node-lease-duration-seconds=40".to_owned(),
        format!("--server-address=127.0.0.1:{}", ports.kwok),
    ]
}
