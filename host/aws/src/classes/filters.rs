//! From the terms of a class to what EC2 is asked: one request for everything that has an id, and one for each other term.
//!
//! Pure. Ids are asked for by filters too, because a filter that finds nothing is no error.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Filter;
use whittle_api::node_class::selectors::{SecurityGroupSelectorTerm, SubnetSelectorTerm};

/// The names of filters with the values that they let through: all have to.
pub(crate) type Filters = Vec<(String, Vec<String>)>;

/// What is asked for the subnets of these terms.
pub(crate) fn of_subnets(terms: &[SubnetSelectorTerm]) -> Vec<Filters> {
    let ids = terms.iter().filter_map(|term| term.id.clone()).collect();
    let others = terms.iter().filter(|term| term.id.is_none());
    let others = others.filter_map(|term| term.tags.as_ref()).map(of_tags);
    by_id("subnet-id", ids).into_iter().chain(others).collect()
}

/// What is asked for the security groups of these terms.
pub(crate) fn of_security_groups(terms: &[SecurityGroupSelectorTerm]) -> Vec<Filters> {
    let ids = terms.iter().filter_map(|term| term.id.clone()).collect();
    let others = terms.iter().filter(|term| term.id.is_none()).map(|term| {
        let name = term.name.iter().map(|name| ("group-name".to_owned(), vec![name.clone()]));
        name.chain(term.tags.iter().flat_map(of_tags)).collect()
    });
    by_id("group-id", ids).into_iter().chain(others).collect()
}

/// One request for all of these ids; none without any.
pub(crate) fn by_id(filter: &str, ids: Vec<String>) -> Option<Filters> {
    (!ids.is_empty()).then(|| vec![(filter.to_owned(), ids)])
}

/// Every tag has to be there; `*` stands for every value.
pub(crate) fn of_tags(tags: &BTreeMap<String, String>) -> Filters {
    let one = |(key, value): (&String, &String)| match value.as_str() {
        "*" => ("tag-key".to_owned(), vec![key.clone()]),
        _ => (format!("tag:{key}"), vec![value.clone()]),
    };
    tags.iter().map(one).collect()
}

/// One filter that lets these values through.
pub(crate) fn filter(name: &str, values: &[&str]) -> Filter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// Filters as the SDK has them.
pub(crate) fn sdk(filters: &Filters) -> Vec<Filter> {
    let one = |(name, values): &(String, Vec<String>)| {
        Filter::builder().name(name).set_values(Some(values.clone())).build()
    };
    filters.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(asked: &[Filters]) -> Vec<String> {
        let one = |filters: &Filters| {
            let texts: Vec<String> =
                filters.iter().map(|(name, values)| format!("{name}={}", values.join(","))).collect();
            texts.join(" ")
        };
        asked.iter().map(one).collect()
    }

    #[test]
    fn ids_are_asked_for_together_and_every_other_term_by_itself() {
        let terms = json!([
            { "id": "subnet-1" },
            { "tags": { "team": "shop", "karpenter.sh/discovery": "*" } },
            { "id": "subnet-2" },
            { "tags": { "team": "other" } },
        ]);
        let terms: Vec<SubnetSelectorTerm> = serde_json::from_value(terms).unwrap();
        let expected =
            ["subnet-id=subnet-1,subnet-2", "tag-key=karpenter.sh/discovery tag:team=shop", "tag:team=other"];
        assert_eq!(pairs(&of_subnets(&terms)), expected);

        let terms = json!([{ "name": "nodes" }, { "id": "sg-1" }, { "tags": { "a": "b" } }]);
        let terms: Vec<SecurityGroupSelectorTerm> = serde_json::from_value(terms).unwrap();
        assert_eq!(pairs(&of_security_groups(&terms)), ["group-id=sg-1", "group-name=nodes", "tag:a=b"]);
        assert_eq!(pairs(&of_subnets(&[])), [] as [&str; 0]);
    }
}
