//! The cluster that nodes join, as EKS describes it; what a user says of it himself counts before that.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::types;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cluster::{Cluster, dns};
use crate::connect::Clients;
use crate::error::Failure;
use crate::known::Known;

/// The cluster is looked for again after this long (Karpenter: 5 min).
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
/// And after this long when that did not work.
const TRY_AGAIN: Duration = Duration::from_secs(15);

/// What a user says of the cluster himself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The URL of its API server.
    pub endpoint: Option<String>,
    /// Its certificate authority in base64.
    pub certificate: Option<String>,
    /// The version of Kubernetes: `1.34`. It is what the API server says of itself, for when EKS cannot be asked.
    pub version: Option<String>,
}

/// Looks for the cluster.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// The clients.
    pub clients: Clients,
    /// Where what is found is put.
    pub known: Arc<Known>,
    /// The cluster's name.
    pub name: String,
    /// What the user says.
    pub given: Given,
}

impl Discovery {
    /// Looks once. When EKS does not answer, what is known stays, or is at least what the user says.
    ///
    /// # Errors
    ///
    /// What EKS says.
    pub async fn find(&self) -> Result<(), Failure> {
        match self.clients.eks.describe_cluster().name(&self.name).send().await {
            Ok(answer) => {
                self.known.put_cluster(cluster(&self.name, answer.cluster.as_ref(), &self.given));
                Ok(())
            }
            Err(error) => {
                if self.known.cluster().is_none() && self.given.endpoint.is_some() {
                    self.known.put_cluster(cluster(&self.name, None, &self.given));
                }
                let failure = Failure::of("eks:DescribeCluster", &error);
                self.known.put_cluster_missing(failure.clone());
                Err(failure)
            }
        }
    }

    /// Looks every while until it is told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            let again = match self.find().await {
                Ok(()) => LOOK_AGAIN,
                Err(failure) => {
                    tracing::warn!(cluster = self.name, "the cluster is not found: {failure}");
                    TRY_AGAIN
                }
            };
            if timeout(again, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
    }
}

/// The cluster as its nodes have to know it.
fn cluster(name: &str, found: Option<&types::Cluster>, given: &Given) -> Cluster {
    let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let network = found.and_then(types::Cluster::kubernetes_network_config);
    let is_ipv6 = network.and_then(|network| network.ip_family()) == Some(&types::IpFamily::Ipv6);
    let cidr = network.and_then(|network| {
        owned(if is_ipv6 { network.service_ipv6_cidr() } else { network.service_ipv4_cidr() })
    });
    let certificate = found.and_then(types::Cluster::certificate_authority).and_then(|found| found.data());
    Cluster {
        name: name.to_owned(),
        endpoint: given.endpoint.clone().or_else(|| owned(found?.endpoint())).unwrap_or_default(),
        certificate: given.certificate.clone().or_else(|| owned(certificate)).unwrap_or_default(),
        dns: cidr.as_deref().and_then(dns),
        cidr,
        version: owned(found.and_then(types::Cluster::version)).or_else(|| given.version.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> types::Cluster {
        let network =
            types::KubernetesNetworkConfigResponse::builder().service_ipv4_cidr("10.100.0.0/16").build();
        types::Cluster::builder()
            .name("shop")
            .endpoint("https://shop.example")
            .version("1.34")
            .certificate_authority(types::Certificate::builder().data("Q0E=").build())
            .kubernetes_network_config(network)
            .build()
    }

    #[test]
    fn what_the_user_says_counts_before_what_is_found() {
        let expected = Cluster {
            name: "shop".to_owned(),
            endpoint: "https://shop.example".to_owned(),
            certificate: "Q0E=".to_owned(),
            cidr: Some("10.100.0.0/16".to_owned()),
            dns: Some("10.100.0.10".to_owned()),
            version: Some("1.34".to_owned()),
        };
        assert_eq!(cluster("shop", Some(&found()), &Given::default()), expected);
        let given = Given {
            endpoint: Some("https://inside.example".to_owned()),
            certificate: Some("SU4=".to_owned()),
            version: Some("1.35".to_owned()),
        };
        let inside = Cluster {
            endpoint: "https://inside.example".to_owned(),
            certificate: "SU4=".to_owned(),
            ..expected.clone()
        };
        assert_eq!(cluster("shop", Some(&found()), &given), inside);
        let alone = Cluster { cidr: None, dns: None, version: Some("1.35".to_owned()), ..inside };
        assert_eq!(cluster("shop", None, &given), alone);
    }

    #[test]
    fn a_cluster_of_ipv6_has_the_cidr_of_ipv6() {
        let network = types::KubernetesNetworkConfigResponse::builder()
            .ip_family(types::IpFamily::Ipv6)
            .service_ipv6_cidr("fd00:10::/108")
            .build();
        let found = types::Cluster::builder().kubernetes_network_config(network).build();
        let cidr = cluster("shop", Some(&found), &Given::default()).cidr;
        assert_eq!(cidr.as_deref(), Some("fd00:10::/108"));
    }
}
