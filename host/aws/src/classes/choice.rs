//! Which of a class's images an instance type boots.
//!
//! Pure. The images are in the order in which they are preferred; what each fits is said by its requirements.

use std::collections::BTreeMap;

use whittle_api::node_class::status::{Ami, AmiRequirement};
use whittle_api::template::Operator;

/// The labels of an instance type, each with the values that its nodes may have.
pub type TypeLabels = BTreeMap<String, Vec<String>>;

/// The first image that fits nodes with these labels. A label that is not there is one that they never have.
#[must_use]
pub fn image_for<'a>(amis: &'a [Ami], labels: &TypeLabels) -> Option<&'a Ami> {
    amis.iter().find(|ami| ami.requirements.iter().all(|requirement| is_fulfilled(requirement, labels)))
}

fn is_fulfilled(requirement: &AmiRequirement, labels: &TypeLabels) -> bool {
    let values = labels.get(&requirement.key).map(Vec::as_slice).unwrap_or_default();
    let listed = |value: &String| requirement.values.contains(value);
    let number = requirement.values.first().and_then(|text| text.parse::<i64>().ok());
    let compares = |holds: fn(&i64, &i64) -> bool| {
        let own = values.iter().filter_map(|value| value.parse::<i64>().ok());
        number.is_some_and(|number| own.into_iter().any(|own| holds(&own, &number)))
    };
    match requirement.operator {
        Operator::In => values.iter().any(listed),
        Operator::NotIn => values.is_empty() || !values.iter().all(listed),
        Operator::Exists => !values.is_empty(),
        Operator::DoesNotExist => values.is_empty(),
        Operator::Gt => compares(i64::gt),
        Operator::Lt => compares(i64::lt),
        Operator::Gte => compares(i64::ge),
        Operator::Lte => compares(i64::le),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> TypeLabels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect()
    }

    fn requirement(key: &str, operator: Operator, values: &[&str]) -> AmiRequirement {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        AmiRequirement { key: key.to_owned(), operator, values }
    }

    fn ami(id: &str, requirements: Vec<AmiRequirement>) -> Ami {
        Ami { id: id.to_owned(), requirements, ..Ami::default() }
    }

    #[test]
    fn the_first_image_that_fits_is_taken() {
        let (arch, gpus) = ("kubernetes.io/arch", "karpenter.k8s.aws/instance-gpu-count");
        let amis = [
            ami(
                "ami-plain",
                vec![
                    requirement(arch, Operator::In, &["amd64"]),
                    requirement(gpus, Operator::DoesNotExist, &[]),
                ],
            ),
            ami("ami-arm", vec![requirement(arch, Operator::In, &["arm64"])]),
            ami(
                "ami-gpu",
                vec![requirement(arch, Operator::In, &["amd64"]), requirement(gpus, Operator::Exists, &[])],
            ),
            ami("ami-later", vec![requirement(arch, Operator::In, &["amd64"])]),
        ];
        let cases = [
            (labels(&[(arch, "amd64")]), Some("ami-plain")),
            (labels(&[(arch, "arm64")]), Some("ami-arm")),
            (labels(&[(arch, "amd64"), (gpus, "4")]), Some("ami-gpu")),
            (labels(&[(arch, "mips")]), None),
            (labels(&[]), None),
        ];
        for (labels, expected) in cases {
            assert_eq!(image_for(&amis, &labels).map(|ami| ami.id.as_str()), expected, "{labels:?}");
        }
    }

    #[test]
    fn each_operator_compares_in_its_way() {
        let cases = [
            (Operator::In, &["1", "2"][..], true, false),
            (Operator::In, &["3"], false, false),
            (Operator::NotIn, &["3"], true, true),
            (Operator::NotIn, &["2"], false, true),
            (Operator::Exists, &[], true, false),
            (Operator::DoesNotExist, &[], false, true),
            (Operator::Gt, &["1"], true, false),
            (Operator::Gt, &["2"], false, false),
            (Operator::Lt, &["3"], true, false),
            (Operator::Gte, &["2"], true, false),
            (Operator::Lte, &["1"], false, false),
            (Operator::Gt, &["many"], false, false),
        ];
        for (operator, values, of_two, of_none) in cases {
            let requirement = requirement("count", operator, values);
            assert_eq!(is_fulfilled(&requirement, &labels(&[("count", "2")])), of_two, "{requirement:?}");
            assert_eq!(is_fulfilled(&requirement, &labels(&[])), of_none, "{requirement:?}");
        }
    }
}
