//! `taints`: what nodes carry so that only some pods come to them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Wrong;
use super::limits::{MARKS_MAX, REASON_BYTES_MAX};
use super::words::{LivingNode, WaitingPods};
use crate::model::labels;
use crate::model::requirement::{Taint, TaintEffect, untolerated};

/// Groups of waiting pods for which nodes may be launched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct DressQuestion {
    /// The groups.
    pub groups: Vec<WaitingPods>,
}

/// The living nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ReviewQuestion {
    /// The nodes.
    pub nodes: Vec<LivingNode>,
}

/// What a node that is launched for a group must carry, besides what its NodePool says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Outfit {
    /// Taints.
    pub taints: Vec<Taint>,
    /// Taints that it starts with and that somebody else removes.
    pub startup_taints: Vec<Taint>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Why.
    pub reason: String,
    /// Set when the launch has to wait, because a policy that has a say in it fails.
    pub wait: bool,
}

/// Taints that a living node is to get or to lose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Change {
    /// The node's place in the question.
    pub node: u32,
    /// Taints that it must have.
    pub add: Vec<Taint>,
    /// Taints that it need not have any more.
    pub remove: Vec<Taint>,
    /// Why.
    pub reason: String,
    /// Whose change it is: known once answers are merged, and empty before.
    #[serde(skip)]
    pub policy: String,
}

/// Whether outfits keep the rules: one for each group, taints that the group tolerates, labels that are free.
///
/// # Errors
/// With the first rule that is broken.
pub fn check_outfits(question: &DressQuestion, outfits: &[Outfit]) -> Result<(), Wrong> {
    check_length(question.groups.len(), outfits.len(), "outfit for each group")?;
    for (place, (group, outfit)) in question.groups.iter().zip(outfits).enumerate() {
        let path = |field: &str| format!("[{place}].{field}");
        check_reason(|| path("reason"), &outfit.reason)?;
        check_taints(&path("taints"), &outfit.taints)?;
        check_taints(&path("startupTaints"), &outfit.startup_taints)?;
        // Startup taints may be such that no pod tolerates them: they are gone before the pods come.
        if let Some(taint) = untolerated(&outfit.taints, &group.tolerations) {
            let expected = "taints that the group's pods tolerate";
            return Err(Wrong::new(path("taints"), taint, expected));
        }
        if outfit.labels.len() > MARKS_MAX {
            let expected = format!("at most {MARKS_MAX}");
            return Err(Wrong::new(path("labels"), format!("{} labels", outfit.labels.len()), expected));
        }
        for (key, value) in &outfit.labels {
            check_label(&path("labels"), key, value)?;
        }
    }
    Ok(())
}

/// Whether changes keep the rules: nodes that were asked about, each once, and no taint that drives off who runs there.
///
/// # Errors
/// With the first rule that is broken.
pub fn check_changes(question: &ReviewQuestion, changes: &[Change]) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    for (place, change) in changes.iter().enumerate() {
        let path = |field: &str| format!("[{place}].{field}");
        check_place(&path("node"), change.node, question.nodes.len(), &mut seen)?;
        check_reason(|| path("reason"), &change.reason)?;
        check_taints(&path("add"), &change.add)?;
        check_taints(&path("remove"), &change.remove)?;
        // Evictions of a taint's heed no budget.
        if let Some(taint) = change.add.iter().find(|taint| taint.effect == TaintEffect::NoExecute) {
            return Err(Wrong::new(
                path("add"),
                taint,
                "NoSchedule or PreferNoSchedule: who runs there stays",
            ));
        }
    }
    Ok(())
}

/// Whether a list has as many entries as were asked for.
pub(super) fn check_length(expected: usize, found: usize, what: &str) -> Result<(), Wrong> {
    if found == expected {
        return Ok(());
    }
    Err(Wrong::new("", found, format!("{expected}: one {what}")))
}

/// Whether a reason is short enough to be shown.
pub(super) fn check_reason(path: impl FnOnce() -> String, reason: &str) -> Result<(), Wrong> {
    if reason.len() <= REASON_BYTES_MAX {
        return Ok(());
    }
    Err(Wrong::new(path(), format!("{} bytes", reason.len()), format!("at most {REASON_BYTES_MAX}")))
}

/// Whether a place is one of those asked about, and named for the first time.
pub(super) fn check_place(
    path: &str,
    place: u32,
    places: usize,
    seen: &mut BTreeSet<u32>,
) -> Result<(), Wrong> {
    if usize::try_from(place).map_or(true, |place| place >= places) {
        return Err(Wrong::new(path, place, format!("a place below {places}")));
    }
    if !seen.insert(place) {
        return Err(Wrong::new(path, format!("{place} twice"), "each once"));
    }
    Ok(())
}

fn check_taints(path: &str, taints: &[Taint]) -> Result<(), Wrong> {
    if taints.len() > MARKS_MAX {
        return Err(Wrong::new(path, format!("{} taints", taints.len()), format!("at most {MARKS_MAX}")));
    }
    taints.iter().try_for_each(|taint| check_label(path, &taint.key, &taint.value))
}

/// Whether a key and a value are such as Kubernetes takes, and the key is nobody else's.
fn check_label(path: &str, key: &str, value: &str) -> Result<(), Wrong> {
    if !is_key(key) {
        return Err(Wrong::new(path, format!("the key {key:?}"), "a key such as example.com/name"));
    }
    if is_reserved(key) {
        return Err(Wrong::new(path, format!("the key {key}"), "a key that is not kept for others"));
    }
    if value.len() > 63 || !is_name(value) && !value.is_empty() {
        return Err(Wrong::new(
            path,
            format!("the value {value:?}"),
            "at most 63 letters, digits, -, _ or .",
        ));
    }
    Ok(())
}

/// A name, with a DNS name before it if need be.
fn is_key(key: &str) -> bool {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let is_dns = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let prefix_is_right =
        prefix.len() <= 253 && prefix.bytes().all(is_dns) && (!prefix.is_empty() || !key.starts_with('/'));
    prefix_is_right && name.len() <= 63 && is_name(name)
}

fn is_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let edges = name.bytes().next().zip(name.bytes().last());
    name.bytes().all(is_inner)
        && edges.is_some_and(|(first, last)| first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric())
}

/// Keys whose meaning is fixed by Kubernetes, Karpenter or AWS.
fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.rsplit_once('/') else { return false };
    let kept = ["kubernetes.io", "k8s.io", "karpenter.sh", "karpenter.k8s.aws", "eks.amazonaws.com"];
    let is_below = |above: &&str| domain == *above || domain.ends_with(&format!(".{above}"));
    // The one domain below kubernetes.io that Kubernetes leaves to operators.
    let is_free =
        domain == "node-restriction.kubernetes.io" || domain.ends_with(".node-restriction.kubernetes.io");
    labels::is_well_known(key) || kept.iter().any(is_below) && !is_free
}

/// An outfit in words; `None` when it asks for nothing.
#[must_use]
pub fn words(outfit: &Outfit) -> Option<String> {
    if outfit.taints.is_empty() && outfit.startup_taints.is_empty() && outfit.labels.is_empty() {
        return None;
    }
    let taints = outfit.taints.iter().map(|taint| format!("taint {taint}"));
    let startup = outfit.startup_taints.iter().map(|taint| format!("startup taint {taint}"));
    let labels = outfit.labels.iter().map(|(key, value)| format!("label {key}={value}"));
    let marks: Vec<_> = taints.chain(startup).chain(labels).collect();
    Some(format!("{}: {}", marks.join(", "), outfit.reason))
}

/// A change in words.
#[must_use]
pub fn change_words(change: &Change) -> String {
    let added = change.add.iter().map(|taint| format!("add {taint}"));
    let removed = change.remove.iter().map(|taint| format!("remove {taint}"));
    format!("{}: {}", added.chain(removed).collect::<Vec<_>>().join(", "), change.reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::requirement::{Toleration, TolerationOperator};

    fn taint(key: &str) -> Taint {
        Taint { key: key.into(), value: "x".into(), effect: TaintEffect::NoSchedule }
    }

    fn question() -> DressQuestion {
        let tolerated =
            Toleration { key: Some("team".into()), operator: TolerationOperator::Exists, effect: None };
        let group = WaitingPods { tolerations: vec![tolerated], ..WaitingPods::default() };
        DressQuestion { groups: vec![group] }
    }

    fn found(outfit: Outfit) -> String {
        check_outfits(&question(), &[outfit]).unwrap_err().to_string()
    }

    #[test]
    fn a_taint_that_would_keep_its_own_pods_away_is_refused() {
        let outfit = Outfit { taints: vec![taint("other")], ..Outfit::default() };
        let expected = "[0].taints: found other=x:NoSchedule, expected taints that the group's pods tolerate";
        assert_eq!(found(outfit.clone()), expected);
        let at_start = Outfit { startup_taints: outfit.taints, ..Outfit::default() };
        assert_eq!(check_outfits(&question(), &[at_start]), Ok(()));
        let tolerated = Outfit { taints: vec![taint("team")], ..Outfit::default() };
        assert_eq!(check_outfits(&question(), &[tolerated]), Ok(()));
    }

    #[test]
    fn keys_that_belong_to_others_are_refused() {
        for key in ["karpenter.sh/nodepool", "kubernetes.io/hostname", "x.k8s.io/y", labels::ZONE] {
            let outfit = Outfit { labels: [(key.to_owned(), "v".to_owned())].into(), ..Outfit::default() };
            let expected =
                format!("[0].labels: found the key {key}, expected a key that is not kept for others");
            assert_eq!(found(outfit), expected);
        }
        let free = "team.node-restriction.kubernetes.io/x".to_owned();
        let outfit = Outfit { labels: [(free, "v".to_owned())].into(), ..Outfit::default() };
        assert_eq!(check_outfits(&question(), &[outfit]), Ok(()));
    }

    #[test]
    fn keys_and_values_are_such_as_kubernetes_takes() {
        for key in ["", "/x", "a b", "-a", "A.com/x", "a/"] {
            assert!(!is_key(key), "{key}");
        }
        for key in ["a", "team", "example.com/a_b.c"] {
            assert!(is_key(key), "{key}");
        }
        let long = Outfit { labels: [("a".to_owned(), "v".repeat(64))].into(), ..Outfit::default() };
        assert!(found(long).ends_with("expected at most 63 letters, digits, -, _ or ."));
    }

    #[test]
    fn a_node_that_was_not_asked_about_cannot_change() {
        let question = ReviewQuestion { nodes: vec![LivingNode::default()] };
        let change = |node| Change { node, ..Change::default() };
        let wrong = check_changes(&question, &[change(1)]).unwrap_err();
        assert_eq!(wrong.to_string(), "[0].node: found 1, expected a place below 1");
        let wrong = check_changes(&question, &[change(0), change(0)]).unwrap_err();
        assert_eq!(wrong.to_string(), "[1].node: found 0 twice, expected each once");
    }

    #[test]
    fn a_taint_that_would_drive_off_who_runs_there_is_refused() {
        let question = ReviewQuestion { nodes: vec![LivingNode::default()] };
        let drives_off = Taint { effect: TaintEffect::NoExecute, ..taint("team") };
        let change = Change { add: vec![drives_off], ..Change::default() };
        let wrong = check_changes(&question, &[change]).unwrap_err();
        let expected =
            "[0].add: found team=x:NoExecute, expected NoSchedule or PreferNoSchedule: who runs there stays";
        assert_eq!(wrong.to_string(), expected);
    }
}
