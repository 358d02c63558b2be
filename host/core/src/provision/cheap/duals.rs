//! What a unit of each resource is worth: the prices at which no instance type is underrated and everything that is
//! demanded together is worth as much as possible.
//!
//! This is the dual of the linear programme that covers the demand with fractions of instances. What the demand is worth
//! at these prices is a lower bound of what any set of nodes costs that holds it. Floats only: whatever is built on them
//! is judged in integers elsewhere.

use crate::provision::universe::STANDARD_AXES;

/// The resources that are priced: the standard ones. Devices are so rare and so dear that whoever wants one has not much to
/// choose from.
pub(crate) const AXES: usize = STANDARD_AXES;

/// An amount of each priced resource.
pub(crate) type Row = [f64; AXES];

/// What can be bought: how much of each resource, and for how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) capacity: Row,
    pub(crate) price: f64,
}

/// The most pivots. There are as many resources as columns, so that a handful is the rule.
const PIVOTS_MAX: usize = 64;
/// What counts as nothing, relative to amounts that are scaled to one.
const NOTHING: f64 = 1e-12;

/// The worth of a unit of each resource. Resources that no offer has are worth nothing.
pub(crate) fn worth(demand: &Row, offers: &[Offer]) -> Row {
    let mut scale = [0.0_f64; AXES];
    for offer in offers {
        for (scale, amount) in scale.iter_mut().zip(&offer.capacity) {
            *scale = scale.max(*amount);
        }
    }
    let dearest = offers.iter().map(|offer| offer.price).fold(0.0, f64::max);
    if dearest <= 0.0 {
        return [0.0; AXES];
    }
    let mut rows: Vec<Tableau> = offers
        .iter()
        .map(|offer| {
            let scaled =
                |axis: usize| if scale[axis] > 0.0 { offer.capacity[axis] / scale[axis] } else { 0.0 };
            (std::array::from_fn(scaled), offer.price / dearest)
        })
        .collect();
    let mut gain: Row =
        std::array::from_fn(|axis| if scale[axis] > 0.0 { demand[axis] / scale[axis] } else { 0.0 });
    let most = gain.iter().copied().fold(0.0, f64::max);
    gain.iter_mut().for_each(|gain| *gain /= most.max(NOTHING));
    let values = maximize(&mut rows, &mut gain);
    std::array::from_fn(|axis| if scale[axis] > 0.0 { values[axis] * dearest / scale[axis] } else { 0.0 })
}

/// A row of the dictionary: coefficients of the variables outside the basis, and what is left.
type Tableau = (Row, f64);

/// What a column of the dictionary stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    /// The worth of a resource.
    Worth(usize),
    /// How far an offer is from being worth its price.
    Slack,
}

/// The simplex method on `max gain · y` where `row · y ≤ limit` for each row and `y ≥ 0`. Zero is a solution to start
/// from, because prices are not negative.
fn maximize(rows: &mut [Tableau], gain: &mut Row) -> Row {
    let mut columns: [Variable; AXES] = std::array::from_fn(Variable::Worth);
    let mut basis: Vec<Variable> = vec![Variable::Slack; rows.len()];
    for _ in 0..PIVOTS_MAX {
        let entering = (0..AXES)
            .filter(|column| gain[*column] > NOTHING)
            .max_by(|left, right| gain[*left].total_cmp(&gain[*right]).then(right.cmp(left)));
        let Some(column) = entering else { break };
        let leaving = rows.iter().enumerate().filter(|(_, (row, _))| row[column] > NOTHING).min_by(
            |(_, left), (_, right)| (left.1 / left.0[column]).total_cmp(&(right.1 / right.0[column])),
        );
        // Nothing limits it: no offer has any of the resource.
        let Some((leaving, _)) = leaving else {
            gain[column] = 0.0;
            continue;
        };
        pivot(rows, gain, leaving, column);
        std::mem::swap(&mut basis[leaving], &mut columns[column]);
    }
    let mut values = [0.0; AXES];
    for (variable, (_, limit)) in basis.iter().zip(rows.iter()) {
        if let Variable::Worth(axis) = variable {
            values[*axis] = limit.max(0.0);
        }
    }
    values
}

fn pivot(rows: &mut [Tableau], gain: &mut Row, leaving: usize, column: usize) {
    let (row, limit) = &mut rows[leaving];
    let pivot = row[column];
    row.iter_mut().for_each(|entry| *entry /= pivot);
    row[column] = 1.0 / pivot;
    *limit /= pivot;
    let (row, limit) = (*row, *limit);
    for (at, (other, other_limit)) in rows.iter_mut().enumerate() {
        let factor = other[column];
        if at == leaving || factor == 0.0 {
            continue;
        }
        for axis in 0..AXES {
            other[axis] = if axis == column { -factor * row[axis] } else { other[axis] - factor * row[axis] };
        }
        *other_limit -= factor * limit;
    }
    let factor = gain[column];
    for axis in 0..AXES {
        gain[axis] = if axis == column { -factor * row[axis] } else { gain[axis] - factor * row[axis] };
    }
}

/// The product of two rows.
pub(crate) fn dot(left: &Row, right: &Row) -> f64 {
    // In pairs, so that the additions do not wait for one another.
    (left[0] * right[0] + left[1] * right[1]) + (left[2] * right[2] + left[3] * right[3])
}

#[cfg(test)]
mod tests {
    use super::{AXES, Offer, Row, dot, worth};

    fn row(amounts: &[f64]) -> Row {
        std::array::from_fn(|axis| amounts.get(axis).copied().unwrap_or(0.0))
    }

    fn offer(amounts: &[f64], price: f64) -> Offer {
        Offer { capacity: row(amounts), price }
    }

    #[test]
    fn a_single_offer_is_worth_its_price_in_what_is_scarce() {
        let demand = row(&[10.0, 4.0]);
        let worth = worth(&demand, &[offer(&[2.0, 8.0], 6.0)]);
        assert!((dot(&demand, &worth) - 30.0).abs() < 1e-9, "five of them, because of the first resource");
    }

    #[test]
    fn the_bound_is_that_of_the_best_mix() {
        // Six of the first and two of the second hold 20 and 20 for 6 · 3 + 2 · 4.
        let offers = [offer(&[3.0, 1.0], 3.0), offer(&[1.0, 7.0], 4.0), offer(&[1.0, 1.0], 9.0)];
        let demand = row(&[20.0, 20.0]);
        let worth = worth(&demand, &offers);
        assert!((dot(&demand, &worth) - 26.0).abs() < 1e-9);
        for offer in offers {
            assert!(dot(&offer.capacity, &worth) <= offer.price + 1e-9, "none is underrated");
        }
    }

    #[test]
    fn what_nobody_has_or_wants_is_worth_nothing() {
        let worth = worth(&row(&[1.0, 5.0, 0.0]), &[offer(&[1.0, 0.0, 9.0], 2.0)]);
        assert_eq!(worth, row(&[2.0, 0.0, 0.0]));
        assert_eq!(super::worth(&row(&[1.0]), &[]), [0.0; AXES]);
    }
}
