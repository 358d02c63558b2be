//! Which pods a selector means: labels, namespaces and the keys that are matched with the pod's own.

use std::collections::BTreeMap;

use crate::model::pod::{LabelSelector, PodAffinityTerm, PodSpec, TopologySpread};
use crate::model::requirement::{Operator, Requirement};

/// A selector with everything that it takes from the pod that has it: which pods are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Meant {
    /// `None` means no pod at all.
    selector: Option<LabelSelector>,
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
}

/// Labels of namespaces by name.
pub(crate) type Namespaces = BTreeMap<String, BTreeMap<String, String>>;

impl Meant {
    /// The pods that a topology spread counts: those of the pod's own namespace.
    pub(crate) fn by_spread(spread: &TopologySpread, spec: &PodSpec) -> Self {
        let selector = with_own_labels(spread.selector.as_ref(), &spread.match_label_keys, &[], spec);
        Self { selector, namespaces: vec![spec.namespace.clone()], namespace_selector: None }
    }

    /// The pods that an affinity term means: without namespaces of its own, those of the pod's namespace.
    pub(crate) fn by_term(term: &PodAffinityTerm, spec: &PodSpec) -> Self {
        let (keys, other) = (&term.match_label_keys, &term.mismatch_label_keys);
        let selector = with_own_labels(term.selector.as_ref(), keys, other, spec);
        let mut namespaces = term.namespaces.clone();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(spec.namespace.clone());
        }
        namespaces.sort_unstable();
        Self { selector, namespaces, namespace_selector: term.namespace_selector.clone() }
    }

    /// A label that a pod must have to be meant, if the selector names one: what rules are found by.
    pub(crate) fn anchor(&self) -> Option<(&str, &str)> {
        let requirements = self.selector.iter().flat_map(|selector| &selector.requirements);
        requirements.into_iter().find_map(|requirement| match requirement.values.as_slice() {
            [only] if requirement.operator == Operator::In => Some((requirement.key.as_str(), only.as_str())),
            _ => None,
        })
    }

    pub(crate) fn means(&self, spec: &PodSpec, namespaces: &Namespaces) -> bool {
        let Some(selector) = &self.selector else { return false };
        self.covers(&spec.namespace, namespaces) && selects(selector, &spec.labels)
    }

    fn covers(&self, namespace: &str, namespaces: &Namespaces) -> bool {
        let listed = self.namespaces.iter().any(|name| name == namespace);
        let nothing = BTreeMap::new();
        let labels = namespaces.get(namespace).unwrap_or(&nothing);
        listed || self.namespace_selector.as_ref().is_some_and(|selector| selects(selector, labels))
    }
}

fn with_own_labels(
    selector: Option<&LabelSelector>,
    equal: &[String],
    different: &[String],
    spec: &PodSpec,
) -> Option<LabelSelector> {
    let mut selector = selector?.clone();
    let mut require = |keys: &[String], operator| {
        for key in keys {
            // A key that the pod does not have is ignored, as Kubernetes does.
            if let Some(value) = spec.labels.get(key) {
                selector.requirements.push(Requirement::new(key, operator, [value.clone()]));
            }
        }
    };
    require(equal, Operator::In);
    require(different, Operator::NotIn);
    selector.requirements.sort_unstable();
    Some(selector)
}

/// Whether labels fulfil a selector. An operator that selectors do not have selects nothing.
pub(crate) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    selector.requirements.iter().all(|requirement| {
        let value = labels.get(&requirement.key);
        match requirement.operator {
            Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Meant, Namespaces};
    use crate::model::pod::{LabelSelector, PodAffinityTerm, PodSpec};
    use crate::model::requirement::Requirement;

    fn pod(namespace: &str, app: &str, version: &str) -> PodSpec {
        let labels = [("app", app), ("version", version)];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        PodSpec { namespace: namespace.into(), labels, ..PodSpec::default() }
    }

    fn term() -> PodAffinityTerm {
        PodAffinityTerm {
            key: "zone".into(),
            selector: Some(LabelSelector { requirements: vec![Requirement::equals("app", "web")] }),
            namespaces: Vec::new(),
            namespace_selector: None,
            match_label_keys: vec!["version".into()],
            mismatch_label_keys: Vec::new(),
        }
    }

    #[test]
    fn a_term_means_pods_of_its_own_namespace_with_the_same_matched_labels() {
        let meant = Meant::by_term(&term(), &pod("shop", "web", "2"));
        let namespaces = Namespaces::new();
        assert!(meant.means(&pod("shop", "web", "2"), &namespaces));
        assert!(!meant.means(&pod("shop", "web", "1"), &namespaces));
        assert!(!meant.means(&pod("bank", "web", "2"), &namespaces));
        assert!(!meant.means(&pod("shop", "api", "2"), &namespaces));
    }

    #[test]
    fn an_empty_namespace_selector_means_every_namespace() {
        let everywhere = PodAffinityTerm { namespace_selector: Some(LabelSelector::default()), ..term() };
        let meant = Meant::by_term(&everywhere, &pod("shop", "web", "2"));
        assert!(meant.means(&pod("bank", "web", "2"), &Namespaces::new()));
    }

    #[test]
    fn no_selector_means_no_pod() {
        let nobody = PodAffinityTerm { selector: None, ..term() };
        let web = pod("shop", "web", "2");
        assert!(!Meant::by_term(&nobody, &web).means(&web, &Namespaces::new()));
    }
}
