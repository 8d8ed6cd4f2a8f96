//! What a program is called.

/// Longer names are no names.
const MOST_BYTES: usize = 64;

/// The name of a program as it was started: the last part of its first argument, where that is a
/// file's name, else of the executable's path. Where many programs are links to one file, the path
/// names another one of them.
///
/// ```
/// use mapgrow_format::program_name;
///
/// let name = program_name(b"/usr/bin/redis-check-rdb", b"redis-server");
/// assert_eq!(name, b"redis-server");
/// ```
#[must_use]
pub fn program_name<'a>(exe: &'a [u8], first_argument: &'a [u8]) -> &'a [u8] {
    let started = last_part(first_argument);
    // What a login shell is called by.
    let started = started.strip_prefix(b"-").unwrap_or(started);
    // Others say there what they do: `postgres: checkpointer`.
    let plain = |&byte: &u8| byte.is_ascii_graphic() && byte != b':' || byte >= 0x80;
    let is_name = !started.is_empty() && started.len() <= MOST_BYTES && started.iter().all(plain);
    if is_name { started } else { last_part(exe) }
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::program_name;

    #[test]
    fn a_program_is_called_as_it_was_started() {
        for (exe, argument, expected) in [
            (
                "/usr/bin/redis-check-rdb",
                "/usr/bin/redis-server",
                "redis-server",
            ),
            ("/usr/bin/python3.11", "python3", "python3"),
            ("/usr/bin/dash", "-sh", "sh"),
            (
                "/usr/lib/postgresql/15/bin/postgres",
                "postgres: checkpointer",
                "postgres",
            ),
            (
                "/usr/sbin/nginx",
                "nginx: master process /usr/sbin/nginx",
                "nginx",
            ),
            ("/opt/app (deleted)", "./app", "app"),
            ("/opt/app", "", "app"),
            ("/opt/app", "/", "app"),
            ("/opt/app", "\x1b[2Jevil", "app"),
            ("", "", ""),
        ] {
            let name = program_name(exe.as_bytes(), argument.as_bytes());
            assert_eq!(name, expected.as_bytes(), "{argument}");
        }
        assert_eq!(program_name(b"/a/b", &[b'x'; 65]), b"b");
    }
}
