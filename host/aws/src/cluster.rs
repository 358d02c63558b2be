//! The cluster that nodes join, as they have to know it.

use std::net::Ipv4Addr;

/// A cluster as its nodes have to know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in EKS.
    pub name: String,
    /// The URL of its API server.
    pub endpoint: String,
    /// Its certificate authority in base64; empty when not known.
    pub certificate: String,
    /// The CIDR of its Services.
    pub cidr: Option<String>,
    /// The address of its DNS.
    pub dns: Option<String>,
    /// Its version of Kubernetes: `1.34`.
    pub version: Option<String>,
}

/// The tenth address of an IPv4 range of Services, where EKS puts its DNS.
#[must_use]
pub fn dns(cidr: &str) -> Option<String> {
    let base: Ipv4Addr = cidr.split_once('/')?.0.parse().ok()?;
    Some(Ipv4Addr::from_bits(base.to_bits().checked_add(10)?).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_is_the_tenth_address_of_the_services() {
        assert_eq!(dns("10.100.0.0/16").as_deref(), Some("10.100.0.10"));
        assert_eq!(dns("fd00::/108"), None);
        assert_eq!(dns("nothing"), None);
    }
}
