//! Sizes, times and shares as people write them: `64MiB`, `5ms`, `10%`.

use std::time::Duration;

/// Bytes: a number with `B`, `KiB`, `MiB`, `GiB` or `TiB`; `K`, `M`, `G`, `T` are the same, and
/// `kB`, `MB`, `GB`, `TB` are powers of 1000.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1.0,
        "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1048576.0,
        "G" | "GiB" => 1073741824.0,
        "T" | "TiB" => 1099511627776.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => {
            return Err(format!(
                "{unit:?} is no unit of size: write 512KiB, 64MiB or 2GiB"
            ));
        }
    };
    Ok((number * factor) as u64)
}

/// Nanoseconds: a number with `ns`, `us`, `ms`, `s`, `min` or `h`.
pub fn ns(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "min" => 60e9,
        "h" => 3600e9,
        "" if number == 0.0 => 1.0,
        _ => return Err("a time needs its unit: write 500us, 5ms or 1.5s".to_owned()),
    };
    Ok((number * factor) as u64)
}

/// A time to wait: `500ms`, `10s`, `5min`; without a unit, seconds.
pub fn interval(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(10);
    const MOST: Duration = Duration::from_secs(365 * 24 * 3600);
    let time = match split(text)? {
        (seconds, "") => Duration::try_from_secs_f64(seconds).map_err(|_| between())?,
        _ => Duration::from_nanos(ns(text)?),
    };
    match (LEAST..=MOST).contains(&time) {
        true => Ok(time),
        false => Err(between()),
    }
}

fn between() -> String {
    "it must be between 10ms and a year".to_owned()
}

/// A count: digits alone.
pub fn count(text: &str) -> Result<u64, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is no count: write a whole number such as 12"))
}

/// A share: `10%`, or `0.1`.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = split(text)?;
    match unit {
        "%" => Ok(number / 100.0),
        "" => Ok(number),
        _ => Err(format!("{text:?} is no share: write 10%")),
    }
}

/// A number and what follows it.
fn split(text: &str) -> Result<(f64, &str), String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} does not begin with a number"))?;
    Ok((number, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(bytes("64MiB"), Ok(64 << 20));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("64MB"), Ok(64_000_000));
        assert_eq!(bytes("12"), Ok(12));
        assert_eq!(ns("5ms"), Ok(5_000_000));
        assert_eq!(ns("0"), Ok(0));
        assert_eq!(share("10%"), Ok(0.1));
        assert_eq!(count("12"), Ok(12));
        for wrong in ["", "MiB", "5 parsecs", "-1", "1e999", "0x10", "NaN"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert!(ns("5").is_err());
        assert_eq!(interval("5"), Ok(Duration::from_secs(5)));
        assert_eq!(interval("0.2"), Ok(Duration::from_millis(200)));
        assert_eq!(interval("5s"), interval("5"));
        assert_eq!(interval("2min"), Ok(Duration::from_secs(120)));
        for wrong in ["0", "5 parsecs", "1e9", "99999999999", "-1", "9h9"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
        assert!(count("1.5").is_err());
    }
}
