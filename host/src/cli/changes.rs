//! What a change did, in a line for people.

use std::fmt::Write;

use crate::reload::change::{Action, Change, Reloaded};

/// `shop: generation 4 serves (was 3): component, settings; compile 812 ms, all 840 ms`.
pub(super) fn line(change: &Change) -> String {
    let mut line = format!("{}: {}", change.app, what(change));
    if !change.differs.is_empty() {
        let _ = write!(line, ": {}", change.differs.join(", "));
    }
    if let Some(why) = &change.why {
        let _ = write!(line, ": {why}");
    }
    let took: Vec<_> = stages(change).map(|(stage, ms)| format!("{stage} {}", millis(ms))).collect();
    if !took.is_empty() {
        let _ = write!(line, "; {}", took.join(", "));
    }
    line
}

fn what(change: &Change) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let (from, to) = (number(change.from), number(change.to));
    match change.action {
        Action::Swapped if change.from.is_none() => format!("generation {to} serves"),
        Action::Swapped => format!("generation {to} serves (was {from})"),
        Action::Unchanged => {
            format!("nothing to change, generation {} serves", number(change.to.or(change.from)))
        }
        Action::CanaryBegun => format!("generation {to} is the canary beside {from}"),
        Action::Promoted => format!("generation {to} serves all clients (was {from})"),
        Action::Aborted => "the canary is gone".to_owned(),
        Action::RolledBack => format!("generation {to} serves again (was {from})"),
        Action::Added => format!("added, generation {to} serves"),
        Action::Removed => "removed".to_owned(),
        Action::Rerouted => "has other routes or static folders".to_owned(),
        Action::Refused => "refused, the old generation serves on".to_owned(),
    }
}

/// In the order in which they happen, with the whole at the end.
fn stages(change: &Change) -> impl Iterator<Item = (&str, f64)> {
    const ORDER: [&str; 6] = ["compile", "check", "start", "probe", "save", "all"];
    let others = change.took_ms.keys().map(String::as_str).filter(|stage| !ORDER.contains(stage));
    let (all, before) = (ORDER.iter().copied().skip(5), ORDER.iter().copied().take(5));
    before.chain(others).chain(all).filter_map(|stage| Some((stage, *change.took_ms.get(stage)?)))
}

/// Whole milliseconds, and more of what is less than ten.
fn millis(ms: f64) -> String {
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

pub(super) fn reloaded(reloaded: &Reloaded) -> String {
    let mut lines: Vec<String> = reloaded.changes.iter().map(line).collect();
    lines.extend(reloaded.listeners_added.iter().map(|url| format!("listening on {url}")));
    lines.extend(reloaded.listeners_removed.iter().map(|url| format!("no longer listening on {url}")));
    if lines.is_empty() {
        lines.push("nothing to change".to_owned());
    }
    lines.extend(reloaded.notes.iter().map(|note| format!("note: {note}")));
    lines.push(format!("reloaded in {}", millis(reloaded.took_ms)));
    lines.join("\n")
}

pub(super) fn any_refused(reloaded: &Reloaded) -> bool {
    reloaded.changes.iter().any(|change| change.action == Action::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_in_a_line() {
        let took = [("all", 840.2), ("save", 4.0), ("compile", 812.0), ("check", 3.04), ("warm", 1.0)];
        let change = Change {
            app: "shop".into(),
            action: Action::Swapped,
            from: Some(3),
            to: Some(4),
            differs: vec!["component".into(), "settings".into()],
            why: None,
            took_ms: took.into_iter().map(|(stage, ms)| (stage.to_owned(), ms)).collect(),
        };
        assert_eq!(
            line(&change),
            "shop: generation 4 serves (was 3): component, settings; compile 812 ms, check 3.0 ms, save 4.0 ms, \
             warm 1.0 ms, all 840 ms"
        );
        let refused = Change {
            action: Action::Refused,
            why: Some("it is no component".into()),
            differs: Vec::new(),
            took_ms: Default::default(),
            ..change
        };
        assert_eq!(line(&refused), "shop: refused, the old generation serves on: it is no component");
        let all = Reloaded { changes: vec![refused], notes: vec!["restart".into()], ..Reloaded::default() };
        assert!(any_refused(&all));
        assert!(reloaded(&all).ends_with("note: restart\nreloaded in 0.0 ms"), "{}", reloaded(&all));
        assert_eq!(reloaded(&Reloaded::default()), "nothing to change\nreloaded in 0.0 ms");
    }
}
