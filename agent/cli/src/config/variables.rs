//! `${NAME}` and `${NAME:-default}` in the texts of a configuration; `$${` stands for `${`.

/// A text after its variables were put in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Whether any of it is from the environment, and may hence be a secret.
    pub(super) from_environment: bool,
}

/// Where variables are looked up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts variables into `text`. The error says what is wrong and names the variable, never its value.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<Expanded, String> {
    let mut expanded = Expanded { text: String::new(), from_environment: false };
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.text += before;
            expanded.text += "${";
            rest = &from[2..];
            continue;
        }
        expanded.text += before;
        let (inside, after) =
            from[2..].split_once('}').ok_or("`${` has no `}`; write `$${` for the text `${`")?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        check_name(name)?;
        // As in a shell, `:-` is also for a variable that is empty.
        let found = environment(name).filter(|value| default.is_none() || !value.is_empty());
        expanded.from_environment |= found.is_some();
        match (found, default) {
            (Some(value), _) => expanded.text += &value,
            (None, Some(default)) => expanded.text += default,
            (None, None) => {
                return Err(format!(
                    "the environment has no variable {name}: set it, or write ${{{name}:-default}}"
                ));
            }
        }
        rest = after;
    }
    expanded.text += rest;
    Ok(expanded)
}

fn check_name(name: &str) -> Result<(), String> {
    let well_formed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if well_formed && name.len() <= 64 {
        return Ok(());
    }
    Err("between `${` and `}` stands the name of a variable: letters, digits and _".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let environment = |name: &str| match name {
            "NAME" => Some("web".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("plain $5 {x}", Ok(("plain $5 {x}", false))),
            ("${NAME}-1", Ok(("web-1", true))),
            ("${NAME:-x}${NAME}", Ok(("webweb", true))),
            ("${MISSING:-a:-b}", Ok(("a:-b", false))),
            ("${EMPTY}|${EMPTY:-x}", Ok(("|x", true))),
            ("$${NAME}", Ok(("${NAME}", false))),
            ("${MISSING}", Err("no variable MISSING")),
            ("${NAME", Err("has no `}`")),
            ("${}", Err("the name of a variable")),
            ("${A B}", Err("the name of a variable")),
            ("${1}", Err("the name of a variable")),
        ] {
            match (expand(text, &environment), expected) {
                (Ok(found), Ok((wanted, secret))) => {
                    assert_eq!((&*found.text, found.from_environment), (wanted, secret), "{text}");
                }
                (Err(found), Err(wanted)) => assert!(found.contains(wanted), "{text}: {found}"),
                (found, wanted) => panic!("{text}: {found:?}, not {wanted:?}"),
            }
        }
    }
}
