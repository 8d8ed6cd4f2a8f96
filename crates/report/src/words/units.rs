//! Figures go in, figures as people read them come out.

use crate::rows::summary::Figure;

/// `1.1 MiB`, `640 B`: three digits at most before the unit.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    match in_unit(bytes) {
        (value, None) => format!("{value} B"),
        (value, Some((unit, _))) => format!("{} {unit}", digits(value)),
    }
}

/// As [`bytes`], with the digits that an error of so many bytes leaves worth telling: `17.6 MiB`
/// where it is 100 KiB, `18 MiB` where it is 3 MiB.
#[must_use]
pub fn bytes_within(bytes: u64, error: u64) -> String {
    const MOST_DECIMALS: u32 = 3;
    if error == 0 {
        return self::bytes(bytes);
    }
    let (value, Some((unit, size))) = in_unit(bytes) else {
        return format!("{bytes} B");
    };
    let error = error as f64 / size;
    let told = |decimals: &u32| 0.1_f64.powi(*decimals as i32) <= error * 2.0;
    let decimals = (0..MOST_DECIMALS).find(told).unwrap_or(MOST_DECIMALS);
    match decimals {
        0 | 1 if value < 9.95 => format!("{} {unit}", digits(value)),
        decimals => format!("{value:.*} {unit}", decimals as usize),
    }
}

/// Bytes in the unit that they are told in, with its name and size; none below a KiB.
fn in_unit(bytes: u64) -> (f64, Option<(&'static str, f64)>) {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return (bytes as f64, None);
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would round to 1024 is 1.0 of the next unit.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    (value, Some((UNITS[unit], 1024_f64.powi(unit as i32 + 1))))
}

/// `3.2 ms`, `740 ns`, `2 min 5 s`.
#[must_use]
pub fn time(ns: u64) -> String {
    let value = ns as f64;
    if ns < 1000 {
        return format!("{ns} ns");
    }
    if value < 999.5e3 {
        return format!("{} us", digits(value / 1e3));
    }
    if value < 999.5e6 {
        return format!("{} ms", digits(value / 1e6));
    }
    let seconds = (value / 1e9).round() as u64;
    match seconds {
        0..60 => format!("{} s", digits(value / 1e9)),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// One decimal below 10, none from there on.
fn digits(value: f64) -> String {
    if value < 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// `1 resize`, `12,345 resizes`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{} {noun}s", thousands(number))
    }
}

/// `12,345`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `203 MiB`, or `about 203 MiB +- 3.2 MiB` where it is an estimate whose error can be seen.
pub(crate) fn estimated_bytes(value: u64, error: Option<u64>) -> String {
    let figure = Figure::known((value, error));
    match error.filter(|_| figure.is_estimate()) {
        Some(error) => format!("about {} +- {}", bytes_within(value, error), bytes(error)),
        None => bytes(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_has_the_digits_that_its_error_leaves() {
        for (figure, error, text) in [
            (18_454_938, 102_400, "17.6 MiB"),
            (18_454_938, 3 << 20, "18 MiB"),
            (18_454_938, 10_000, "17.60 MiB"),
            (18_454_938, 100, "17.600 MiB"),
            (18_454_938, 0, "18 MiB"),
            (5_000_000, 500_000, "4.8 MiB"),
            (5_000_000, 6_000, "4.77 MiB"),
            (700, 3, "700 B"),
        ] {
            assert_eq!(bytes_within(figure, error), text);
        }
    }

    #[test]
    fn figures_are_short() {
        for (figure, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_153_434, "1.1 MiB"),
            (1_048_575, "1.0 MiB"),
            (17 << 20, "17 MiB"),
            (600 << 20, "600 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(figure), text);
        }
        for (figure, text) in [
            (999, "999 ns"),
            (1_000, "1.0 us"),
            (999_900, "1.0 ms"),
            (3_240_000, "3.2 ms"),
            (312_000_000, "312 ms"),
            (19_300_000_000, "19 s"),
            (125_000_000_000, "2 min 5 s"),
            (59_990_000_000, "1 min 0 s"),
            (7_260_000_000_000, "2 h 1 min"),
        ] {
            assert_eq!(time(figure), text);
        }
        assert_eq!(count(1, "resize"), "1 resize");
        assert_eq!(count(1_234_567, "resize"), "1,234,567 resizes");
        assert_eq!(thousands(999), "999");
    }
}
