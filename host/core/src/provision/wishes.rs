//! What pods would like, and in which order they give it up.
//!
//! A wish is held to like a requirement until it turns out that it cannot be had; then the pod is tried again without
//! it. The rungs of a group's ladder are what it holds to at each of these tries, the last of which is what it
//! requires alone. The order is Karpenter's: the heaviest preferred pod affinity goes first, then the preferred
//! anti-affinities, the preferred node affinities (of which only the heaviest that is left is looked at), the spreads
//! with `ScheduleAnyway`, and at last the aversion to `PreferNoSchedule`.
//!
//! Alternatives of a required node affinity are not here: each of them is as good as the others to whoever states
//! them, so they are tried at every place, from left to right.

use crate::model::pod::{PodAffinityTerm, PodSpec, Preferred, TopologySpread, WhenUnsatisfiable};
use crate::model::requirement::Requirement;
use crate::settings::PreferencePolicy;

/// The most rungs of a ladder. Wishes beyond them are given up together, after the last that has a rung of its own:
/// each rung costs a look at every place for the first pod of a group.
const RUNGS_MAX: usize = 32;

/// What pods of a group hold to besides what they require.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rung<'a> {
    /// The heaviest preferred node affinity that is left.
    pub(crate) node: Option<&'a [Requirement]>,
    pub(crate) affinity: &'a [Preferred<PodAffinityTerm>],
    pub(crate) anti_affinity: &'a [Preferred<PodAffinityTerm>],
    pub(crate) spreads: Vec<&'a TopologySpread>,
    /// Whether a `PreferNoSchedule` taint keeps the pods off.
    pub(crate) avoids_soft_taints: bool,
}

/// Whether any node has a `PreferNoSchedule` taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SoftTaints {
    Some,
    None,
}

/// The rungs of a group's ladder, from all its wishes down to none. There is always at least the last.
pub(crate) fn rungs(spec: &PodSpec, policy: PreferencePolicy, soft_taints: SoftTaints) -> Vec<Rung<'_>> {
    if policy == PreferencePolicy::Ignore {
        return vec![Rung::default()];
    }
    let mut affinity = spec.preferred_pod_affinity.as_slice();
    let mut anti_affinity = spec.preferred_pod_anti_affinity.as_slice();
    let mut nodes = spec.preferred_node_affinity.as_slice();
    let anyway = |spread: &&TopologySpread| spread.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway;
    let mut spreads: Vec<_> = spec.topology_spread.iter().filter(anyway).collect();
    let mut avoids_soft_taints = soft_taints == SoftTaints::Some;
    let mut rungs = Vec::new();
    loop {
        rungs.push(Rung {
            node: nodes.first().map(|preferred| preferred.term.as_slice()),
            affinity,
            anti_affinity,
            spreads: spreads.clone(),
            avoids_soft_taints,
        });
        if let [_, rest @ ..] = affinity {
            affinity = rest;
        } else if let [_, rest @ ..] = anti_affinity {
            anti_affinity = rest;
        } else if let [_, rest @ ..] = nodes {
            nodes = rest;
        } else if !spreads.is_empty() {
            spreads.remove(0);
        } else if avoids_soft_taints {
            avoids_soft_taints = false;
        } else {
            break;
        }
    }
    if rungs.len() > RUNGS_MAX {
        rungs.drain(RUNGS_MAX - 1..rungs.len() - 1);
    }
    rungs
}

#[cfg(test)]
mod tests {
    use super::{RUNGS_MAX, Rung, SoftTaints, rungs};
    use crate::model::labels;
    use crate::model::pod::{PodAffinityTerm, PodSpec, Preferred};
    use crate::model::requirement::Requirement;
    use crate::settings::PreferencePolicy;

    fn near(key: &str) -> PodAffinityTerm {
        PodAffinityTerm {
            key: key.into(),
            selector: None,
            namespaces: Vec::new(),
            namespace_selector: None,
            match_label_keys: Vec::new(),
            mismatch_label_keys: Vec::new(),
        }
    }

    fn wishful() -> PodSpec {
        let heavy = Preferred { weight: 9, term: vec![Requirement::equals(labels::ZONE, "a")] };
        let light = Preferred { weight: 1, term: vec![Requirement::equals(labels::ZONE, "b")] };
        PodSpec {
            preferred_node_affinity: vec![heavy, light],
            preferred_pod_affinity: vec![Preferred { weight: 1, term: near("rack") }],
            preferred_pod_anti_affinity: vec![Preferred { weight: 1, term: near("row") }],
            ..PodSpec::default()
        }
    }

    #[test]
    fn wishes_are_given_up_one_by_one_in_karpenters_order() {
        let spec = wishful();
        let held: Vec<_> = rungs(&spec, PreferencePolicy::Respect, SoftTaints::Some)
            .into_iter()
            .map(|rung| {
                let node = rung.node.map(|term| term[0].values[0].as_str());
                (rung.affinity.len(), rung.anti_affinity.len(), node, rung.avoids_soft_taints)
            })
            .collect();
        let expected = [
            (1, 1, Some("a"), true),
            (0, 1, Some("a"), true),
            (0, 0, Some("a"), true),
            (0, 0, Some("b"), true),
            (0, 0, None, true),
            (0, 0, None, false),
        ];
        assert_eq!(held, expected);
    }

    #[test]
    fn who_ignores_preferences_has_one_rung() {
        let spec = wishful();
        assert_eq!(rungs(&spec, PreferencePolicy::Ignore, SoftTaints::Some), [Rung::default()]);
    }

    #[test]
    fn a_pod_with_very_many_wishes_gives_the_last_of_them_up_together() {
        let wish = Preferred { weight: 1, term: near("rack") };
        let spec = PodSpec { preferred_pod_affinity: vec![wish; 1_000], ..PodSpec::default() };
        let rungs = rungs(&spec, PreferencePolicy::Respect, SoftTaints::None);
        assert_eq!(rungs.len(), RUNGS_MAX);
        assert_eq!(rungs.last(), Some(&Rung::default()));
        assert!(rungs[RUNGS_MAX - 2].affinity.len() > 900);
    }
}
