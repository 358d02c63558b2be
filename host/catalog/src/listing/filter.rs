//! Which rows a filter lets through, and in which order.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{Filter, Row, Sort, UnknownValue};
use crate::catalog::Catalog;
use crate::specification::Specification;

/// Whether everything that the filter names is in the catalogue, so that a misspelt name is not an empty list.
pub(super) fn check(catalog: &Catalog, filter: &Filter) -> Result<(), UnknownValue> {
    let zones = catalog.zones(&filter.region).map_err(|unknown| UnknownValue {
        field: "region",
        found: unknown.region,
        known: unknown.known.into_iter().map(str::to_owned).collect(),
    })?;
    let names = |of: fn(&Specification) -> &'static str| {
        catalog.specifications().iter().map(of).collect::<BTreeSet<_>>()
    };
    check_each("zone", &filter.zones, || zones.iter().map(|zone| zone.name).collect())?;
    check_each("arch", filter.arch.as_slice(), || names(|specification| specification.arch))?;
    check_each("category", &filter.categories, || names(Specification::category))?;
    check_each("family", &filter.families, || names(Specification::family))
}

fn check_each(
    field: &'static str,
    asked: &[String],
    known: impl Fn() -> BTreeSet<&'static str>,
) -> Result<(), UnknownValue> {
    if asked.is_empty() {
        return Ok(());
    }
    let known = known();
    match asked.iter().find(|value| !known.contains(value.as_str())) {
        None => Ok(()),
        Some(found) => Err(UnknownValue {
            field,
            found: found.clone(),
            known: known.into_iter().map(str::to_owned).collect(),
        }),
    }
}

/// Whether the filter lets an instance type through, prices and zones apart.
pub(super) fn admits(filter: &Filter, specification: &Specification) -> bool {
    let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|listed| listed == name);
    let within = |min: Option<u64>, max: Option<u64>, amount: u64| {
        min.is_none_or(|min| amount >= min) && max.is_none_or(|max| amount <= max)
    };
    let generation = specification.generation().and_then(|number| number.parse().ok()).unwrap_or(0);
    let gpus = specification.gpu.as_ref().map_or(0, |gpu| gpu.count);
    among(filter.arch.as_slice(), specification.arch)
        && among(&filter.categories, specification.category())
        && among(&filter.families, specification.family())
        && within(filter.generation_min, None, generation)
        && within(filter.vcpus_min, filter.vcpus_max, specification.vcpus)
        && within(filter.memory_mib_min, filter.memory_mib_max, specification.memory_mib)
        && within(filter.gpus_min, None, gpus)
        && filter.name.as_ref().is_none_or(|pattern| matches_glob(pattern, specification.name))
}

/// Sorts the rows, which come in order of name.
pub(super) fn sort(rows: &mut [Row], sort: Sort) {
    let size = |row: &Row| {
        let specification = &row.specification;
        (specification.vcpus, specification.memory_mib, specification.is_bare_metal(), specification.name)
    };
    match sort {
        Sort::Name => rows.sort_by_key(|row| (row.specification.family(), size(row))),
        Sort::Price => rows.sort_by_key(|row| {
            let spot = row.spot.as_ref().map(|spot| spot.quote);
            let price = row.on_demand.into_iter().chain(spot).map(|quote| quote.price).min();
            (Reverse(price.map(Reverse)), row.specification.name)
        }),
        Sort::Cpu => rows.sort_by_key(size),
        Sort::Memory => rows.sort_by_key(|row| (row.specification.memory_mib, size(row))),
    }
}

/// Whether a name matches a pattern in which `*` is any text and `?` any one character. After a mismatch the last
/// star takes one character more, so the time is at most the product of the lengths.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                None => return false,
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    from = taken + 1;
                }
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        let cases = [
            ("m6i.large", "m6i.large", true),
            ("m6i.large", "m6i.xlarge", false),
            ("m6i.*", "m6i.2xlarge", true),
            ("*.metal*", "m7i.metal-24xl", true),
            ("m?i.large", "m7i.large", true),
            ("m?i.large", "m7id.large", false),
            ("*i.*large", "c7i.12xlarge", true),
            ("", "m5.large", false),
            ("*", "m5.large", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
