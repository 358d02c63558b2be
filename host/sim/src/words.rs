//! How numbers of things and spans of time are written in sentences.

use whittle_core::model::time::Duration;

/// From here on nobody reads the part of a span that is less than a second.
const WHOLE_SECONDS_FROM: Duration = Duration::from_secs(10);

/// So many of something that has a regular plural: `1 pod`, `2 pods`, `3 launches`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = match noun.ends_with("ch") {
        _ if count == 1 => "",
        true => "es",
        false => "s",
    };
    format!("{count} {noun}{ending}")
}

/// A span as a sentence says it: in whole seconds from ten on, exactly below.
pub(crate) fn rounded(span: Duration) -> Duration {
    if span < WHOLE_SECONDS_FROM { span } else { Duration::from_secs((span.millis() + 500) / 1_000) }
}

#[cfg(test)]
mod tests {
    use super::{Duration, counted, rounded};

    #[test]
    fn one_of_something_is_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "pod")), ["0 pods", "1 pod", "2 pods"]);
        assert_eq!([1, 2].map(|count| counted(count, "launch")), ["1 launch", "2 launches"]);
    }

    #[test]
    fn a_span_of_ten_seconds_or_more_is_told_in_whole_seconds() {
        let shown =
            [40_286, 9_750, 59_500, 10_000].map(|millis| rounded(Duration::from_millis(millis)).to_string());
        assert_eq!(shown, ["40s", "9s750ms", "1m", "10s"]);
    }
}
