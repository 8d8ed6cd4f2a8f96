//! Values of settings, as written in the environment: sizes, times, percentages, signals.

/// A number of bytes with an optional suffix K, M or G (also KiB, kB and so on: all powers of
/// 1024, as everywhere in allocators).
pub(crate) fn bytes(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    let number = decimal(value.get(..digits)?)?;
    let shift = match value.get(digits..)? {
        b"" | b"B" => 0,
        b"K" | b"k" | b"KB" | b"kB" | b"KiB" => 10,
        b"M" | b"m" | b"MB" | b"MiB" => 20,
        b"G" | b"g" | b"GB" | b"GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// A whole number of seconds or milliseconds, with its unit, as nanoseconds.
pub(super) fn time_ns(value: &[u8]) -> Option<u64> {
    let (digits, unit) = match value.strip_suffix(b"ms") {
        Some(digits) => (digits, 1_000_000),
        None => (value.strip_suffix(b"s")?, 1_000_000_000),
    };
    decimal(digits)?.checked_mul(unit)
}

/// A percentage with up to four decimals, as parts per million; at most 100.
pub(super) fn percent_ppm(value: &[u8]) -> Option<u64> {
    let value = value.strip_suffix(b"%").unwrap_or(value);
    let dot = value.iter().position(|&b| b == b'.').unwrap_or(value.len());
    let whole = decimal(value.get(..dot)?)?;
    let mut ppm = whole.checked_mul(10_000)?;
    if let Some(decimals) = value.get(dot + 1..) {
        if decimals.is_empty() || decimals.len() > 4 {
            return None;
        }
        let scale = 10u64.pow(4 - decimals.len() as u32);
        ppm = ppm.checked_add(decimal(decimals)? * scale)?;
    }
    (ppm <= 1_000_000).then_some(ppm)
}

/// `USR1`, `SIGUSR2`, `RTMIN+3`, a number, or `none`.
pub(super) fn signal_number(value: &[u8]) -> Option<i32> {
    let name = value.strip_prefix(b"SIG").unwrap_or(value);
    match name {
        b"none" | b"0" => Some(0),
        b"USR1" => Some(libc::SIGUSR1),
        b"USR2" => Some(libc::SIGUSR2),
        b"URG" => Some(libc::SIGURG),
        b"IO" => Some(libc::SIGIO),
        b"WINCH" => Some(libc::SIGWINCH),
        _ => {
            if let Some(number) = decimal(name).and_then(|number| i32::try_from(number).ok()) {
                const NAMED: [i32; 5] = [
                    libc::SIGUSR1,
                    libc::SIGUSR2,
                    libc::SIGURG,
                    libc::SIGIO,
                    libc::SIGWINCH,
                ];
                let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
                return (NAMED.contains(&number) || real_time.contains(&number)).then_some(number);
            }
            let offset = match name.strip_prefix(b"RTMIN") {
                Some(b"") => 0,
                Some(rest) => decimal(rest.strip_prefix(b"+")?)?,
                None => return None,
            };
            let number = i64::from(libc::SIGRTMIN()) + i64::try_from(offset).ok()?;
            (number <= i64::from(libc::SIGRTMAX())).then_some(number as i32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes(b"4096"), Some(4096));
        assert_eq!(bytes(b"64K"), Some(65536));
        assert_eq!(bytes(b"1MiB"), Some(1 << 20));
        for bad in [
            &b""[..],
            b"K",
            b"-1",
            b"1T",
            b"1 K",
            b"99999999999999999999",
            b"9999999999999G",
        ] {
            assert_eq!(bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time_ns(b"100ms"), Some(100_000_000));
        assert_eq!(time_ns(b"2s"), Some(2_000_000_000));
        for bad in [
            &b""[..],
            b"100",
            b"ms",
            b"s",
            b"1.5s",
            b"-1s",
            b"99999999999s",
        ] {
            assert_eq!(time_ns(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn percentages() {
        assert_eq!(percent_ppm(b"1"), Some(10_000));
        assert_eq!(percent_ppm(b"0.5%"), Some(5_000));
        assert_eq!(percent_ppm(b"0.0001"), Some(1));
        assert_eq!(percent_ppm(b"100"), Some(1_000_000));
        for bad in [&b""[..], b"101", b"1.", b".5", b"1.00001", b"-1", b"x"] {
            assert_eq!(percent_ppm(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn signals() {
        assert_eq!(signal_number(b"USR1"), Some(libc::SIGUSR1));
        assert_eq!(signal_number(b"SIGUSR2"), Some(libc::SIGUSR2));
        assert_eq!(signal_number(b"RTMIN+3"), Some(libc::SIGRTMIN() + 3));
        assert_eq!(signal_number(b"none"), Some(0));
        for bad in [&b"KILL"[..], b"RTMIN+99", b"RTMIN-1", b"", b"RTMIN+"] {
            assert_eq!(signal_number(bad), None, "{bad:?}");
        }
    }
}
