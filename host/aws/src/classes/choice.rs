//! Which of a class's images an instance type boots.
//!
//! Pure. The images are in the order in which they are preferred; what each fits is said by its requirements.

use std::collections::BTreeMap;

use whittle_api::convert::requirement::requirement;
use whittle_api::node_class::status::{Ami, AmiRequirement};

/// The labels of an instance type, each with the values that its nodes may have.
pub type TypeLabels = BTreeMap<String, Vec<String>>;

/// The first image that fits nodes with these labels. A label that is not there is one that they never have.
#[must_use]
pub fn image_for<'a>(amis: &'a [Ami], labels: &TypeLabels) -> Option<&'a Ami> {
    amis.iter().find(|ami| ami.requirements.iter().all(|requirement| is_fulfilled(requirement, labels)))
}

fn is_fulfilled(asked: &AmiRequirement, labels: &TypeLabels) -> bool {
    let asked = requirement(&asked.key, asked.operator, &asked.values, None);
    asked.can_be_fulfilled_by(labels.get(&asked.key).map(Vec::as_slice).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use whittle_api::template::Operator;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> TypeLabels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect()
    }

    fn asked(key: &str, operator: Operator, values: &[&str]) -> AmiRequirement {
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
                vec![asked(arch, Operator::In, &["amd64"]), asked(gpus, Operator::DoesNotExist, &[])],
            ),
            ami("ami-arm", vec![asked(arch, Operator::In, &["arm64"])]),
            ami("ami-gpu", vec![asked(arch, Operator::In, &["amd64"]), asked(gpus, Operator::Exists, &[])]),
            ami("ami-later", vec![asked(arch, Operator::In, &["amd64"])]),
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
}
