//! A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kwok
//! in the kubelets' place.
//!
//! All five are one program, built from `go/` once and kept in the user's cache folder ([`program`]). A
//! [`plane::ControlPlane`] is five processes of it in a folder of their own, and ends with its owner, however that
//! ends. Nothing here speaks to the API server but `kubectl`; a test brings a client of its own. No container, no
//! root, and no kubelet: pods are said to run, nothing runs.

pub mod component;
mod folder;
pub mod plane;
pub mod ports;
pub mod program;
