//! The clients of the services, all with one configuration: credentials as people have them on EKS (IRSA and Pod
//! Identity, through the SDK's default chain), endpoints by the SDK's own settings (`AWS_ENDPOINT_URL`).

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

use crate::calls::{Calls, Counting};

/// A call and all of its attempts end after this long (Karpenter: 4 min).
const CALL_TIMEOUT: Duration = Duration::from_secs(240);
/// One attempt ends after this long. Longer than the longest poll of a queue, 20 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection is there after this long, or another is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A call is tried so often. What is still throttled then is told to the loop, which waits longer.
const ATTEMPTS: u32 = 4;

/// The clients of the services.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Instances and what they need.
    pub ec2: aws_sdk_ec2::Client,
    /// The cluster.
    pub eks: aws_sdk_eks::Client,
    /// Instance profiles.
    pub iam: aws_sdk_iam::Client,
    /// Prices on demand; in the region that has the service.
    pub pricing: aws_sdk_pricing::Client,
    /// The interruption queue.
    pub sqs: aws_sdk_sqs::Client,
    /// Images by parameter.
    pub ssm: aws_sdk_ssm::Client,
}

/// Clients for a region. Nothing is called yet.
pub async fn connect(region: &str, calls: &Arc<Calls>) -> Clients {
    let config = config(region).await;
    let prices = config.to_builder().region(Region::new(pricing_region(region))).build();
    let counting = || Counting(Arc::clone(calls));
    let ec2 = aws_sdk_ec2::config::Builder::from(&config).interceptor(counting()).build();
    let eks = aws_sdk_eks::config::Builder::from(&config).interceptor(counting()).build();
    let iam = aws_sdk_iam::config::Builder::from(&config).interceptor(counting()).build();
    let pricing = aws_sdk_pricing::config::Builder::from(&prices).interceptor(counting()).build();
    let sqs = aws_sdk_sqs::config::Builder::from(&config).interceptor(counting()).build();
    let ssm = aws_sdk_ssm::config::Builder::from(&config).interceptor(counting()).build();
    Clients {
        ec2: aws_sdk_ec2::Client::from_conf(ec2),
        eks: aws_sdk_eks::Client::from_conf(eks),
        iam: aws_sdk_iam::Client::from_conf(iam),
        pricing: aws_sdk_pricing::Client::from_conf(pricing),
        sqs: aws_sdk_sqs::Client::from_conf(sqs),
        ssm: aws_sdk_ssm::Client::from_conf(ssm),
    }
}

async fn config(region: &str) -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .load()
        .await
}

/// The region whose Pricing service knows the prices of `region`: there are four (Karpenter asks the same).
#[must_use]
pub fn pricing_region(region: &str) -> &'static str {
    match region.split_once('-').map_or(region, |(area, _)| area) {
        "ap" => "ap-south-1",
        "cn" => "cn-northwest-1",
        "eu" => "eu-central-1",
        _ => "us-east-1",
    }
}

/// Clients for tests, whose calls come to nothing.
#[cfg(test)]
pub(crate) fn without_credentials() -> Clients {
    let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
    let config = config.region(Region::new("eu-west-1")).build();
    Clients {
        ec2: aws_sdk_ec2::Client::new(&config),
        eks: aws_sdk_eks::Client::new(&config),
        iam: aws_sdk_iam::Client::new(&config),
        pricing: aws_sdk_pricing::Client::new(&config),
        sqs: aws_sdk_sqs::Client::new(&config),
        ssm: aws_sdk_ssm::Client::new(&config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_asked_for_where_the_service_is() {
        for (region, expected) in [
            ("ap-northeast-2", "ap-south-1"),
            ("eu-west-1", "eu-central-1"),
            ("cn-north-1", "cn-northwest-1"),
            ("us-west-2", "us-east-1"),
            ("sa-east-1", "us-east-1"),
        ] {
            assert_eq!(pricing_region(region), expected);
        }
    }
}
