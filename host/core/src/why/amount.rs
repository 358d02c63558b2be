//! Amounts of resources in the units in which people write them.

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// An amount to read: short, and rounded down.
pub(crate) fn shown(resource: &str, amount: u64) -> String {
    match resource {
        "memory" | "ephemeral-storage" if amount > GIB && !amount.is_multiple_of(GIB) => {
            // Tenths, rounded down: what is nearly a limit must not look as if it were one.
            let tenths = u128::from(amount) * 10 / u128::from(GIB);
            format!("{}.{}Gi", tenths / 10, tenths % 10)
        }
        "memory" | "ephemeral-storage" if !amount.is_multiple_of(GIB) => format!("{}Mi", amount >> 20),
        _ => written(resource, amount),
    }
}

/// An amount to write into a manifest: exactly this much.
pub(super) fn written(resource: &str, amount: u64) -> String {
    match resource {
        "cpu" if amount.is_multiple_of(1_000) => (amount / 1_000).to_string(),
        "cpu" => format!("{amount}m"),
        "memory" | "ephemeral-storage" if amount.is_multiple_of(GIB) => format!("{}Gi", amount / GIB),
        "memory" | "ephemeral-storage" if amount.is_multiple_of(MIB) => format!("{}Mi", amount / MIB),
        _ => amount.to_string(),
    }
}

/// The least amount of a round unit that is not below this one: what a limit is raised to.
pub(crate) fn rounded_up(resource: &str, amount: u64) -> u64 {
    let unit = match resource {
        "cpu" => 1_000,
        "memory" | "ephemeral-storage" => GIB,
        _ => 1,
    };
    amount.checked_next_multiple_of(unit).unwrap_or(amount)
}

/// The largest amount of a round unit that is not above this one: what a request is lowered to.
pub(crate) fn rounded_down(resource: &str, amount: u64) -> u64 {
    match resource {
        "memory" | "ephemeral-storage" => amount - amount % MIB,
        _ => amount,
    }
}

#[cfg(test)]
mod tests {
    use super::{GIB, MIB, rounded_down, rounded_up, shown, written};

    #[test]
    fn what_is_read_is_short_and_what_is_written_is_exact() {
        let cases = [
            ("cpu", 72_000, "72", "72"),
            ("cpu", 3_900, "3900m", "3900m"),
            ("memory", 3 * GIB, "3Gi", "3Gi"),
            ("memory", 3 * GIB + 512 * MIB, "3.5Gi", "3584Mi"),
            ("memory", 3 * GIB - 1, "2.9Gi", "3221225471"),
            ("memory", 100 * MIB + 1, "100Mi", "104857601"),
            ("nvidia.com/gpu", 4, "4", "4"),
        ];
        for (resource, amount, read, exact) in cases {
            assert_eq!((shown(resource, amount).as_str(), &*written(resource, amount)), (read, exact));
        }
    }

    #[test]
    fn limits_are_raised_to_whole_units_and_requests_lowered_to_what_can_be_written() {
        assert_eq!(rounded_up("cpu", 7_500), 8_000);
        assert_eq!(rounded_up("memory", 7 * GIB + 1), 8 * GIB);
        assert_eq!(rounded_up("nodes", 7), 7);
        assert_eq!(rounded_up("cpu", u64::MAX), u64::MAX);
        assert_eq!(rounded_down("memory", 7 * MIB + 1), 7 * MIB);
        assert_eq!(rounded_down("cpu", 3_940), 3_940);
    }
}
