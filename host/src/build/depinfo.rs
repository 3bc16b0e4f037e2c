//! Reads the dep-info files that cargo writes beside its artifacts, in the syntax of Makefiles ("Dep-info files" in
//! the Cargo book): `artifact: source source …`, spaces within names escaped by a backslash.

use std::path::PathBuf;

/// The sources of all rules of a dep-info file.
pub(super) fn sources(text: &str) -> Vec<PathBuf> {
    text.lines().filter_map(rule).flatten().collect()
}

fn rule(line: &str) -> Option<Vec<PathBuf>> {
    let (_, mut rest) = line.split_once(": ")?;
    let mut sources = Vec::new();
    while !rest.is_empty() {
        let (name, after) = word(rest);
        if !name.is_empty() {
            sources.push(PathBuf::from(name));
        }
        rest = after;
    }
    Some(sources)
}

/// The text up to the first space that is not escaped, and what follows that.
fn word(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ' ' => return (name, text.get(at + 1..).unwrap_or_default()),
            '\\' if letters.peek().is_some_and(|(_, next)| *next == ' ') => {
                name.push(' ');
                letters.next();
            }
            _ => name.push(letter),
        }
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_spaces() {
        let text = "/t/app.wasm: /src/main.rs /my\\ guests/lib.rs\n\n/t/other:\n";
        assert_eq!(sources(text), [PathBuf::from("/src/main.rs"), PathBuf::from("/my guests/lib.rs")]);
    }
}
