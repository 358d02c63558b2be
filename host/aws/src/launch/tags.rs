//! The tags of what is launched: Karpenter's, so that its instances can be taken over and its IAM conditions hold, and
//! the names of the NodeClaims of a fleet, so that an instance is found again by whoever launches after a crash.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Tag;
use whittle_core::model::labels;

/// The tag that says to which cluster an instance belongs.
pub(crate) const CLUSTER: &str = "eks:eks-cluster-name";
/// The tag with the name of the NodeClaim, on instances that have one for themselves.
pub(crate) const NODE_CLAIM: &str = "karpenter.sh/nodeclaim";
/// The tag with the names of all NodeClaims that a fleet was asked for.
pub(crate) const NODE_CLAIMS: &str = "whittle.dev/nodeclaims";
/// The tag that consoles show as a name.
pub(crate) const NAME: &str = "Name";
/// EC2 allows so many characters in a tag's value.
const VALUE_MAX: usize = 256;

/// The tags that everything has which is made for nodes of this NodePool.
pub(crate) fn common(
    cluster: &str,
    node_pool: &str,
    node_class: &str,
    own: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut tags = own.clone();
    tags.extend([
        (format!("kubernetes.io/cluster/{cluster}"), "owned".to_owned()),
        (CLUSTER.to_owned(), cluster.to_owned()),
        (labels::NODE_POOL.to_owned(), node_pool.to_owned()),
        (labels::NODE_CLASS.to_owned(), node_class.to_owned()),
    ]);
    tags
}

/// Tags as the SDK has them.
pub(crate) fn of(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// NodeClaims in fleets: as many in each as the tag with their names holds, in order.
pub(crate) fn fleets(node_pool: &str, mut claims: Vec<String>) -> Vec<Vec<String>> {
    claims.sort();
    let mut fleets: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for claim in claims {
        let length = short(node_pool, &claim).len() + 1;
        match fleets.last_mut().filter(|_| length <= room) {
            Some(fleet) => fleet.push(claim),
            None => {
                room = VALUE_MAX + 1;
                fleets.push(vec![claim]);
            }
        }
        room = room.saturating_sub(length);
    }
    fleets
}

/// The value of the tag with the names of NodeClaims.
pub(crate) fn names(node_pool: &str, claims: &[String]) -> String {
    claims.iter().map(|claim| short(node_pool, claim)).collect::<Vec<_>>().join(" ")
}

/// The NodeClaims of a tag's value, in their order.
pub(crate) fn claims(node_pool: &str, value: &str) -> Vec<String> {
    value
        .split(' ')
        .map(|short| match short.strip_prefix('=') {
            Some(whole) => whole.to_owned(),
            None => format!("{node_pool}-{short}"),
        })
        .collect()
}

/// A NodeClaim's name without that of its NodePool, which nearly all begin with.
fn short(node_pool: &str, claim: &str) -> String {
    let rest = claim.strip_prefix(node_pool).and_then(|rest| rest.strip_prefix('-'));
    rest.map_or_else(|| format!("={claim}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        let given = vec!["other".to_owned(), "web-a1b2c".to_owned(), "web-d3e4f".to_owned()];
        let fleets = fleets("web", given.clone());
        assert_eq!(fleets, std::slice::from_ref(&given));
        assert_eq!(names("web", &given), "=other a1b2c d3e4f");
        assert_eq!(claims("web", "=other a1b2c d3e4f"), given);
    }

    #[test]
    fn no_fleet_has_more_claims_than_its_tag_holds() {
        let given: Vec<String> = (0..100).map(|at| format!("web-{at:05}")).collect();
        let fleets = fleets("web", given.clone());
        assert!(fleets.iter().all(|fleet| names("web", fleet).len() <= VALUE_MAX));
        assert_eq!(fleets.iter().map(Vec::len).collect::<Vec<_>>(), [42, 42, 16]);
        assert_eq!(fleets.concat(), given);
    }
}
