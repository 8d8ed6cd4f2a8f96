//! The path in a mangled name of C++, for names with something in them that the demangler does not
//! understand: seldom in the path, often in what is returned.

/// `ns::Class::method` without arguments; `None` for what is no such name.
pub fn path(mangled: &str) -> Option<String> {
    let inside = mangled.strip_prefix("_ZN")?;
    let mut rest = inside.trim_start_matches(['r', 'V', 'K', 'R', 'O']);
    let mut parts: Vec<String> = Vec::new();
    loop {
        rest = match rest.as_bytes().first()? {
            b'E' => break,
            b'0'..=b'9' => {
                let (name, after) = source_name(rest)?;
                parts.push(match name.starts_with("_GLOBAL__N") {
                    true => "(anonymous namespace)".to_owned(),
                    false => name.to_owned(),
                });
                after
            }
            b'I' => skip_arguments(&rest[1..])?,
            b'L' => &rest[1..],
            b'S' => {
                parts.push("std".to_owned());
                rest.strip_prefix("St")?
            }
            b'C' | b'D' => {
                let class = parts.last()?.clone();
                let destructor = rest.starts_with('D');
                parts.push(if destructor {
                    format!("~{class}")
                } else {
                    class
                });
                rest.get(2..)?
            }
            b'B' => source_name(&rest[1..])?.1,
            b'a'..=b'z' => {
                parts.push(operator(rest.get(..2)?).to_owned());
                rest.get(2..)?
            }
            _ => return None,
        };
    }
    (!parts.is_empty()).then(|| parts.join("::"))
}

/// Splits `3foorest`.
fn source_name(text: &str) -> Option<(&str, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let length: usize = text.get(..digits)?.parse().ok()?;
    let rest = text.get(digits..)?;
    Some((rest.get(..length)?, rest.get(length..)?))
}

/// What follows the arguments of a template, whose beginning was read.
fn skip_arguments(mut text: &str) -> Option<&str> {
    let mut open = 1usize;
    while open > 0 {
        text = match text.as_bytes().first()? {
            b'E' => {
                open -= 1;
                &text[1..]
            }
            // Of these each ends with an `E`.
            b'I' | b'N' | b'X' | b'J' | b'F' => {
                open += 1;
                &text[1..]
            }
            // A value: of a type with a short name, else of one that is read as any other.
            b'L' => match text
                .get(2..)
                .filter(|_| text.as_bytes()[1].is_ascii_lowercase())
            {
                Some(value) => &value[value.find('E')? + 1..],
                None => {
                    open += 1;
                    text.get(1..)?
                }
            },
            b'S' | b'T' => match text.as_bytes().get(1)? {
                b'a'..=b'z' => text.get(2..)?,
                _ => &text[text.find('_')? + 1..],
            },
            b'0'..=b'9' => source_name(text)?.1,
            _ => text.get(1..)?,
        };
    }
    Some(text)
}

fn operator(code: &str) -> &'static str {
    match code {
        "ix" => "operator[]",
        "cl" => "operator()",
        "aS" => "operator=",
        "eq" => "operator==",
        "pL" => "operator+=",
        "ls" => "operator<<",
        _ => "operator",
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_is_read_through_arguments() {
        for (mangled, read) in [
            ("_ZN3app4growEm", Some("app::grow")),
            (
                "_ZNK3app5TableIiSt4lessIiELm80EE3putEi",
                Some("app::Table::put"),
            ),
            (
                "_ZN5TableINSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEiEC2Em",
                Some("Table::Table"),
            ),
            (
                "_ZN12_GLOBAL__N_15TableD1Ev",
                Some("(anonymous namespace)::Table::~Table"),
            ),
            ("_ZN1aL1bEv", Some("a::b")),
            ("_ZN3appIL", None),
            ("_ZN99aE", None),
            ("_ZN99999999999999999999999aE", None),
            ("_ZN\u{e4}E", None),
            ("_ZN1\u{e4}E", None),
            ("_ZNE", None),
            ("_ZN", None),
            ("main", None),
        ] {
            assert_eq!(path(mangled).as_deref(), read, "{mangled}");
        }
    }
}
