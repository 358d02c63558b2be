//! The algebra of requirements on one label: which values it may have, and whether it may be absent.
//!
//! Semantics are Karpenter's: `In` is a set, `NotIn` the complement of one, `Exists` the complement of nothing,
//! `DoesNotExist` the empty set; `Gt`, `Lt`, `Gte`, `Lte` are inclusive bounds that only integers fulfil.

use crate::model::labels;
use crate::model::requirement::{Operator, Requirement};
use crate::provision::intern::{Interner, Sym};

/// The values that a label may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    /// Whether `set` lists what is excluded rather than what is allowed.
    complement: bool,
    /// Sorted, without duplicates.
    set: Vec<Sym>,
    at_least: Option<i64>,
    at_most: Option<i64>,
}

impl Values {
    /// `DoesNotExist`: no value, the label must be absent.
    pub(crate) fn none() -> Self {
        Self { complement: false, set: Vec::new(), at_least: None, at_most: None }
    }

    /// `Exists`: any value.
    pub(crate) fn any() -> Self {
        Self { complement: true, ..Self::none() }
    }

    /// Exactly these values.
    pub(crate) fn of(values: impl IntoIterator<Item = Sym>) -> Self {
        let mut set: Vec<_> = values.into_iter().collect();
        set.sort_unstable();
        set.dedup();
        Self { set, ..Self::none() }
    }

    pub(crate) fn from_requirement(requirement: &Requirement, interner: &mut Interner) -> Self {
        let bound = requirement.values.first().and_then(|value| value.parse::<i64>().ok());
        match requirement.operator {
            Operator::In => Self::of(requirement.values.iter().map(|value| interner.intern(value))),
            Operator::NotIn => {
                let excluded = Self::of(requirement.values.iter().map(|value| interner.intern(value)));
                Self { complement: true, ..excluded }
            }
            Operator::Exists => Self::any(),
            Operator::DoesNotExist => Self::none(),
            // A bound that is no integer was refused at the border; here it can only match nothing.
            Operator::Gt => Self::bounded(bound.and_then(|bound| bound.checked_add(1)), Side::AtLeast),
            Operator::Lt => Self::bounded(bound.and_then(|bound| bound.checked_sub(1)), Side::AtMost),
            Operator::Gte => Self::bounded(bound, Side::AtLeast),
            Operator::Lte => Self::bounded(bound, Side::AtMost),
        }
    }

    fn bounded(bound: Option<i64>, side: Side) -> Self {
        match (bound, side) {
            (None, _) => Self::none(),
            (at_least, Side::AtLeast) => Self { at_least, ..Self::any() },
            (at_most, Side::AtMost) => Self { at_most, ..Self::any() },
        }
    }

    /// The values that both allow.
    pub(crate) fn and(&self, other: &Self, interner: &Interner) -> Self {
        let at_least = self.at_least.max(other.at_least);
        let at_most = match (self.at_most, other.at_most) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (left, right) => left.or(right),
        };
        if let (Some(at_least), Some(at_most)) = (at_least, at_most)
            && at_least > at_most
        {
            return Self::none();
        }
        let (complement, mut set) = match (self.complement, other.complement) {
            (true, true) => {
                let mut set = [self.set.as_slice(), &other.set].concat();
                set.sort_unstable();
                set.dedup();
                (true, set)
            }
            (false, _) => {
                (false, self.set.iter().copied().filter(|value| other.lists(*value)).collect::<Vec<_>>())
            }
            (true, false) => (false, other.set.iter().copied().filter(|value| self.lists(*value)).collect()),
        };
        if complement {
            return Self { complement, set, at_least, at_most };
        }
        set.retain(|value| within(interner.number(*value), at_least, at_most));
        Self { complement, set, at_least: None, at_most: None }
    }

    /// Whether a label may have this value.
    pub(crate) fn admits(&self, value: Sym, interner: &Interner) -> bool {
        self.lists(value) && within(interner.number(value), self.at_least, self.at_most)
    }

    /// Whether a label may have a value that no symbol stands for, and that spells this number.
    pub(crate) fn admits_unseen(&self, number: Option<i64>) -> bool {
        self.complement && within(number, self.at_least, self.at_most)
    }

    fn lists(&self, value: Sym) -> bool {
        self.set.binary_search(&value).is_ok() != self.complement
    }

    /// Whether no value at all is allowed.
    pub(crate) fn is_none(&self) -> bool {
        !self.complement && self.set.is_empty()
    }

    /// Whether a node without the label will do: `NotIn` and `DoesNotExist`.
    pub(crate) fn admits_absence(&self) -> bool {
        let not_in =
            self.complement && !self.set.is_empty() && self.at_least.is_none() && self.at_most.is_none();
        not_in || self.is_none()
    }

    /// Whether something fulfils both. Two negatives can always be fulfilled, by having no label at all.
    pub(crate) fn is_compatible(&self, other: &Self, interner: &Interner) -> bool {
        !self.and(other, interner).is_none() || (self.admits_absence() && other.admits_absence())
    }

    /// The values allowed, when they are listed.
    pub(crate) fn listed(&self) -> Option<&[Sym]> {
        (!self.complement).then_some(&self.set)
    }

    /// These values as requirements in the order of their text: one, or two when both ends are bounded.
    pub(crate) fn to_requirements(&self, key: &str, interner: &Interner) -> Vec<Requirement> {
        let mut values: Vec<_> = self.set.iter().map(|value| interner.text(*value).to_owned()).collect();
        values.sort_unstable();
        let listed = |operator| Requirement::new(key, operator, values.clone());
        if !self.complement {
            let operator = if values.is_empty() { Operator::DoesNotExist } else { Operator::In };
            return vec![listed(operator)];
        }
        let bounds = [(Operator::Gte, self.at_least), (Operator::Lte, self.at_most)];
        let bounds = bounds.into_iter().filter_map(|(operator, bound)| {
            bound.map(|bound| Requirement::new(key, operator, [bound.to_string()]))
        });
        let mut requirements: Vec<_> = bounds.collect();
        if !values.is_empty() {
            requirements.push(listed(Operator::NotIn));
        } else if requirements.is_empty() {
            requirements.push(listed(Operator::Exists));
        }
        requirements
    }
}

#[derive(Clone, Copy)]
enum Side {
    AtLeast,
    AtMost,
}

fn within(number: Option<i64>, at_least: Option<i64>, at_most: Option<i64>) -> bool {
    if at_least.is_none() && at_most.is_none() {
        return true;
    }
    number.is_some_and(|number| {
        at_least.is_none_or(|bound| number >= bound) && at_most.is_none_or(|bound| number <= bound)
    })
}

/// Requirements by key: all of a key's requirements taken together. Sorted by symbol.
pub(crate) type ByKey = Vec<(Sym, Values)>;

/// Adds a requirement to those that are there already.
pub(crate) fn add(by_key: &mut ByKey, key: Sym, values: Values, interner: &Interner) {
    match by_key.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(at) => by_key[at].1 = by_key[at].1.and(&values, interner),
        Err(at) => by_key.insert(at, (key, values)),
    }
}

/// The requirement on a key, if there is one.
pub(crate) fn get(by_key: &ByKey, key: Sym) -> Option<&Values> {
    by_key.binary_search_by_key(&key, |(key, _)| *key).ok().map(|at| &by_key[at].1)
}

/// A list of requirements, taken together key by key.
pub(crate) fn collect<'a>(
    requirements: impl IntoIterator<Item = &'a Requirement>,
    interner: &mut Interner,
) -> ByKey {
    let mut by_key = ByKey::new();
    for requirement in requirements {
        let key = interner.intern(labels::normalized(&requirement.key));
        let values = Values::from_requirement(requirement, interner);
        add(&mut by_key, key, values, interner);
    }
    by_key
}

#[cfg(test)]
mod tests {
    use super::Values;
    use crate::model::requirement::{Operator, Requirement};
    use crate::provision::intern::Interner;

    fn values(operator: Operator, listed: &[&str], interner: &mut Interner) -> Values {
        Values::from_requirement(&Requirement::new("k", operator, listed.iter().copied()), interner)
    }

    #[test]
    fn intersections_follow_the_algebra_of_sets_and_bounds() {
        use Operator::{DoesNotExist, Exists, Gt, Gte, In, Lt, Lte, NotIn};
        type Side<'a> = (Operator, &'a [&'a str]);
        let cases: &[(Side<'_>, Side<'_>, &str)] = &[
            ((In, &["a", "b"]), (In, &["b", "c"]), "k In [b]"),
            ((In, &["a", "b"]), (NotIn, &["b"]), "k In [a]"),
            ((In, &["a"]), (NotIn, &["a"]), "k DoesNotExist"),
            ((NotIn, &["a"]), (NotIn, &["b"]), "k NotIn [a, b]"),
            ((Exists, &[]), (In, &["a"]), "k In [a]"),
            ((Exists, &[]), (Exists, &[]), "k Exists"),
            ((DoesNotExist, &[]), (In, &["a"]), "k DoesNotExist"),
            ((Gt, &["4"]), (In, &["4", "5", "x"]), "k In [5]"),
            ((Gt, &["4"]), (Lt, &["9"]), "k Gte [5] & k Lte [8]"),
            ((Gte, &["4"]), (Lte, &["4"]), "k Gte [4] & k Lte [4]"),
            ((Gt, &["9"]), (Lt, &["4"]), "k DoesNotExist"),
            ((Gt, &["9223372036854775807"]), (Exists, &[]), "k DoesNotExist"),
            ((Gte, &["4"]), (NotIn, &["7"]), "k Gte [4] & k NotIn [7]"),
        ];
        for ((left_operator, left), (right_operator, right), expected) in cases {
            let interner = &mut Interner::default();
            let left = values(*left_operator, left, interner);
            let right = values(*right_operator, right, interner);
            let both = left.and(&right, interner);
            let text: Vec<_> = both.to_requirements("k", interner).iter().map(ToString::to_string).collect();
            assert_eq!(text.join(" & "), *expected);
            assert_eq!(both, right.and(&left, interner), "intersection does not depend on the order");
        }
    }

    #[test]
    fn two_negatives_are_compatible_even_when_no_value_is_left() {
        let interner = &mut Interner::default();
        let absent = values(Operator::DoesNotExist, &[], interner);
        let not_a = values(Operator::NotIn, &["a"], interner);
        let a = values(Operator::In, &["a"], interner);
        assert!(absent.is_compatible(&not_a, interner));
        assert!(!absent.is_compatible(&a, interner));
        assert!(!not_a.is_compatible(&a, interner));
    }

    #[test]
    fn a_bound_admits_integers_only() {
        let interner = &mut Interner::default();
        let above = values(Operator::Gt, &["2"], interner);
        let [three, two, word] = ["3", "2", "x"].map(|value| interner.intern(value));
        assert!(above.admits(three, interner));
        assert!(!above.admits(two, interner));
        assert!(!above.admits(word, interner));
        assert!(!above.admits_absence());
    }
}
