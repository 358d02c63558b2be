//! The algebra of requirements on one label: which values it may have, and whether it may be absent.
//!
//! `In` is a set, `NotIn` the complement of one or no label at all, `Exists` the complement of nothing,
//! `DoesNotExist` no label at all; `Gt`, `Lt`, `Gte`, `Lte` are inclusive bounds that only integers fulfil. Unlike
//! with Karpenter, conditions that contradict one another are not fulfilled by a missing label: kube-scheduler
//! would not bind a pod there.

use crate::model::labels;
use crate::model::requirement::{Operator, Requirement};
use crate::provision::intern::{Interner, Sym};

/// The values that a label may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Values {
    /// Whether `set` lists what is excluded rather than what is allowed.
    complement: bool,
    /// Whether a node without the label will do.
    absent: bool,
    /// Sorted, without duplicates.
    set: Vec<Sym>,
    at_least: Option<i64>,
    at_most: Option<i64>,
}

impl Values {
    /// No value, and not absent either: what nothing fulfils.
    fn nothing() -> Self {
        Self { complement: false, absent: false, set: Vec::new(), at_least: None, at_most: None }
    }

    /// `DoesNotExist`: no value, the label must be absent.
    fn absent() -> Self {
        Self { absent: true, ..Self::nothing() }
    }

    /// `Exists`: any value.
    fn any() -> Self {
        Self { complement: true, ..Self::nothing() }
    }

    /// Exactly these values.
    pub(crate) fn of(values: impl IntoIterator<Item = Sym>) -> Self {
        let mut set: Vec<_> = values.into_iter().collect();
        set.sort_unstable();
        set.dedup();
        Self { set, ..Self::nothing() }
    }

    pub(crate) fn from_requirement(requirement: &Requirement, interner: &mut Interner) -> Self {
        let bound = requirement.values.first().and_then(|value| value.parse::<i64>().ok());
        match requirement.operator {
            Operator::In => Self::of(requirement.values.iter().map(|value| interner.intern(value))),
            Operator::NotIn => {
                let excluded = Self::of(requirement.values.iter().map(|value| interner.intern(value)));
                Self { complement: true, absent: true, ..excluded }
            }
            Operator::Exists => Self::any(),
            Operator::DoesNotExist => Self::absent(),
            // A bound that is no integer was refused at the border; here it can only match nothing.
            Operator::Gt => Self::bounded(bound.and_then(|bound| bound.checked_add(1)), Side::AtLeast),
            Operator::Lt => Self::bounded(bound.and_then(|bound| bound.checked_sub(1)), Side::AtMost),
            Operator::Gte => Self::bounded(bound, Side::AtLeast),
            Operator::Lte => Self::bounded(bound, Side::AtMost),
        }
    }

    fn bounded(bound: Option<i64>, side: Side) -> Self {
        match (bound, side) {
            (None, _) => Self::nothing(),
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
        let absent = self.absent && other.absent;
        if let (Some(at_least), Some(at_most)) = (at_least, at_most)
            && at_least > at_most
        {
            return Self { absent, ..Self::nothing() };
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
            return Self { complement, absent, set, at_least, at_most };
        }
        set.retain(|value| within(interner.number(*value), at_least, at_most));
        Self { complement, absent, set, at_least: None, at_most: None }
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

    /// Whether nothing fulfils this: no value is allowed, and the label must not be absent either.
    pub(crate) fn is_nothing(&self) -> bool {
        !self.complement && !self.absent && self.set.is_empty()
    }

    /// Whether a node without the label will do: `NotIn` and `DoesNotExist`.
    pub(crate) const fn admits_absence(&self) -> bool {
        self.absent
    }

    /// Whether something fulfils both. Two negatives can always be fulfilled, by having no label at all.
    pub(crate) fn is_compatible(&self, other: &Self, interner: &Interner) -> bool {
        !self.and(other, interner).is_nothing()
    }

    /// The value that a node is given which must have the label: the first listed by name, else the least integer
    /// that will do and is not negative if possible. `None` when the label may as well be absent.
    pub(crate) fn chosen(&self, interner: &Interner) -> Option<String> {
        if self.absent {
            return None;
        }
        if !self.complement {
            return self.set.iter().map(|value| interner.text(*value)).min().map(str::to_owned);
        }
        let least = self.at_least.unwrap_or_else(|| self.at_most.map_or(0, |most| most.min(0)));
        let excluded = |number: &i64| interner.find(&number.to_string()).is_some_and(|sym| !self.lists(sym));
        let free = (least..=self.at_most.unwrap_or(i64::MAX)).find(|number| !excluded(number));
        free.map(|number| number.to_string())
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
            let operator =
                if self.absent && values.is_empty() { Operator::DoesNotExist } else { Operator::In };
            return vec![listed(operator)];
        }
        let bounds = [(Operator::Gte, self.at_least), (Operator::Lte, self.at_most)];
        let bounds = bounds.into_iter().filter_map(|(operator, bound)| {
            bound.map(|bound| Requirement::new(key, operator, [bound.to_string()]))
        });
        let mut requirements: Vec<_> = bounds.collect();
        if !values.is_empty() {
            requirements.push(listed(Operator::NotIn));
        }
        if requirements.is_empty() || !(self.absent || self.at_least.is_some() || self.at_most.is_some()) {
            requirements.push(Requirement::new::<String>(key, Operator::Exists, []));
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
            ((In, &["a"]), (NotIn, &["a"]), "k In"),
            ((NotIn, &["a"]), (DoesNotExist, &[]), "k DoesNotExist"),
            ((Exists, &[]), (NotIn, &["a"]), "k NotIn [a] & k Exists"),
            ((NotIn, &["a"]), (NotIn, &["b"]), "k NotIn [a, b]"),
            ((Exists, &[]), (In, &["a"]), "k In [a]"),
            ((Exists, &[]), (Exists, &[]), "k Exists"),
            ((DoesNotExist, &[]), (In, &["a"]), "k In"),
            ((Gt, &["4"]), (In, &["4", "5", "x"]), "k In [5]"),
            ((Gt, &["4"]), (Lt, &["9"]), "k Gte [5] & k Lte [8]"),
            ((Gte, &["4"]), (Lte, &["4"]), "k Gte [4] & k Lte [4]"),
            ((Gt, &["9"]), (Lt, &["4"]), "k In"),
            ((Gt, &["9223372036854775807"]), (Exists, &[]), "k In"),
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

    #[test]
    fn a_contradiction_is_not_fulfilled_by_a_missing_label() {
        let interner = &mut Interner::default();
        let [a, b] = ["a", "b"].map(|value| values(Operator::In, &[value], interner));
        let neither = a.and(&b, interner);
        assert!(neither.is_nothing());
        assert!(!neither.admits_absence());
    }

    #[test]
    fn a_label_that_must_be_there_is_given_a_value_that_will_do() {
        use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        type Condition<'a> = (Operator, &'a [&'a str]);
        let cases: &[(&[Condition<'_>], Option<&str>)] = &[
            (&[(In, &["b", "a"])], Some("a")),
            (&[(Exists, &[])], Some("0")),
            (&[(Exists, &[]), (NotIn, &["0", "1"])], Some("2")),
            (&[(Gt, &["5"]), (NotIn, &["6"])], Some("7")),
            (&[(Lt, &["-3"])], Some("-4")),
            (&[(NotIn, &["a"])], None),
            (&[(DoesNotExist, &[])], None),
        ];
        for (conditions, expected) in cases {
            let interner = &mut Interner::default();
            let all: Vec<_> = conditions.iter().map(|(op, listed)| values(*op, listed, interner)).collect();
            let all = all[1..].iter().fold(all[0].clone(), |both, one| both.and(one, interner));
            assert_eq!(all.chosen(interner).as_deref(), *expected, "{conditions:?}");
        }
    }
}
