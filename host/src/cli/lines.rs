//! Log lines for people.

use std::fmt::Write;

use serde_json::{Map, Value};

/// `2026-01-02T03:04:05Z INFO shop message field=value`; what is no JSON object as it is.
pub(super) fn readable(line: &str) -> String {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(line) else { return harmless(line) };
    if let (Some(skipped), 1) = (fields.get("skipped"), fields.len()) {
        return format!("... {skipped} line(s) skipped: they came faster than they were read");
    }
    let mut take = |name: &str| fields.shift_remove(name).map(|value| text(&value)).unwrap_or_default();
    let (time, level, app, message) = (take("timestamp"), take("level"), take("app"), take("message"));
    let app = if app.is_empty() { "-".to_owned() } else { app };
    let mut readable = format!("{time} {level:<5} {app} {message}");
    for (name, value) in &fields {
        let value = text(value);
        let quoted = value.is_empty() || value.contains([' ', '"', '=']);
        let _ = if quoted {
            write!(readable, " {}={value:?}", harmless(name))
        } else {
            write!(readable, " {}={value}", harmless(name))
        };
    }
    readable
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// Guests print what they like; a terminal is not to obey them.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push(' '),
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_line_for_people() {
        for (line, wanted) in [
            (
                r#"{"timestamp":"T","level":"INFO","message":"access","app":"shop","status":200,"path":"/a b"}"#,
                "T INFO  shop access status=200 path=\"/a b\"",
            ),
            (
                r#"{"timestamp":"T","level":"ERROR","message":"no \u001b[2Jäpp\n"}"#,
                "T ERROR - no \\u{1b}[2Jäpp\\n",
            ),
            (r#"{"skipped":7}"#, "... 7 line(s) skipped: they came faster than they were read"),
            ("no json", "no json"),
        ] {
            assert_eq!(readable(line), wanted);
        }
    }
}
