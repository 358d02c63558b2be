//! What a plain scalar means to `kubectl`: the rules of YAML 1.1 as Go's `yaml.v2` has them.

use serde_json::{Number, Value};

/// The value of a plain scalar: null, a boolean, a number or else a text.
pub(super) fn value(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Value::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Value::Bool(false)
        }
        _ => number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if !first.is_ascii_digit() && !matches!(first, b'-' | b'+' | b'.') {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).or_else(|| decimal(&plain))
}

/// Decimal, or by prefix hexadecimal, octal (`0o17`, `017`) and binary.
fn integer(text: &str) -> Option<Number> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let radixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let prefixed = radixes.iter().find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)));
    let octal = || digits.strip_prefix('0').filter(|rest| !rest.is_empty()).map(|rest| (rest, 8));
    let (digits, radix) = prefixed.or_else(octal).unwrap_or((digits, 10));
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let signed = i64::from_str_radix(&format!("{sign}{digits}"), radix).ok().map(Number::from);
    signed.or_else(|| u64::from_str_radix(digits, radix).ok().filter(|_| sign.is_empty()).map(Number::from))
}

fn decimal(text: &str) -> Option<Number> {
    let is_decimal =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
    if !is_decimal || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // Like JSON, which has no other way to write a whole number.
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    if whole {
        format!("{number:.0}").parse::<i64>().ok().map(Number::from)
    } else {
        Number::from_f64(number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::value;

    #[test]
    fn plain_scalars_mean_what_they_mean_to_kubectl() {
        let table: &[(&str, Value)] = &[
            ("", Value::Null),
            ("~", Value::Null),
            ("yes", json!(true)),
            ("off", json!(false)),
            ("1", json!(1)),
            ("-1", json!(-1)),
            ("+5", json!(5)),
            ("1_000", json!(1000)),
            ("0x10", json!(16)),
            ("010", json!(8)),
            ("0o10", json!(8)),
            ("0b11", json!(3)),
            ("09", json!(9)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            (".5", json!(0.5)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("1e999", json!("1e999")),
            ("500m", json!("500m")),
            ("2Gi", json!("2Gi")),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("-", json!("-")),
            (".", json!(".")),
            ("+", json!("+")),
            ("2024-01-01", json!("2024-01-01")),
            ("720h", json!("720h")),
            ("10%", json!("10%")),
            (".inf", json!(".inf")),
        ];
        for (text, wanted) in table {
            assert_eq!(value(text), *wanted, "{text}");
        }
    }
}
