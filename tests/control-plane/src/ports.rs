//! Ports on loopback that nobody listens on. What is free now can be taken a moment later; whoever starts a control
//! plane tries again with others then.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result};

/// Where the search begins and ends. Above this the kernel gives ports to outgoing connections, and a component that is
/// started again would find its own taken by somebody's client.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How far apart two processes begin to search, at least, when they are started one after the other.
const APART: u32 = 7;

/// The ports of one control plane.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) etcd: u16,
    pub(crate) etcd_peers: u16,
    pub(crate) api_server: u16,
    pub(crate) controller_manager: u16,
    pub(crate) scheduler: u16,
    pub(crate) kwok: u16,
}

impl Ports {
    /// Six that are free, none of which this process was given before.
    pub(crate) fn free() -> Result<Self> {
        let mut ports = candidates();
        let mut next = || ports.next().context("no port is free on 127.0.0.1");
        Ok(Self {
            etcd: next()?,
            etcd_peers: next()?,
            api_server: next()?,
            controller_manager: next()?,
            scheduler: next()?,
            kwok: next()?,
        })
    }
}

/// One that is free and that this process was not given before, for a server beside a control plane.
pub fn free() -> Result<u16> {
    candidates().next().context("no port is free on 127.0.0.1")
}

/// How many ports this process has looked at.
static LOOKED_AT: AtomicU16 = AtomicU16::new(0);

fn candidates() -> impl Iterator<Item = u16> {
    let begin = process::id().wrapping_mul(APART) % u32::from(COUNT);
    let ports = (0..COUNT).map(move |_| {
        let offset = begin + u32::from(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        FIRST + u16::try_from(offset % u32::from(COUNT)).unwrap_or_default()
    });
    ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let taken: Vec<TcpListener> = candidates()
            .take(3)
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap())
            .collect();
        LOOKED_AT.store(0, Ordering::Relaxed);
        let mut seen: BTreeSet<u16> =
            taken.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        for _ in 0..2 {
            let Ports { etcd, etcd_peers, api_server, controller_manager, scheduler, kwok } =
                Ports::free().unwrap();
            seen.extend([etcd, etcd_peers, api_server, controller_manager, scheduler, kwok]);
        }
        assert_eq!(seen.len(), 15);
    }
}
