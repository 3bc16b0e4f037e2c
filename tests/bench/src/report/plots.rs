//! Which charts there are, and which rows they show.

use super::{
    Figure, Row, Unit,
    markdown::number,
    svg::{Bar, Chart, Colour, Group},
};

/// Names of files and the charts in them; those of which nothing was measured are left out.
pub(super) fn all(rows: &[Row]) -> Vec<(&'static str, String)> {
    let of = |prefix: &str, unit: Unit| {
        rows.iter()
            .filter(|row| row.case.starts_with(prefix) && row.unit == unit)
            .cloned()
            .collect::<Vec<_>>()
    };
    let charts = [
        ("hello.svg", figures("Requests a second, hello in Rust", &of("hello", Unit::PerSecond))),
        ("django.svg", figures("Requests a second, a Django page", &of("Django", Unit::PerSecond))),
        ("memory.svg", figures("Memory of a further Django site, MiB", &of("Django", Unit::Mib))),
        ("goals.svg", goals(rows)),
    ];
    let drawn = |chart: &Chart| chart.groups.iter().any(|group| !group.bars.is_empty());
    charts.into_iter().filter(|(_, chart)| drawn(chart)).map(|(name, chart)| (name, chart.draw())).collect()
}

/// Guesthouse's figure over the peer's, for each row.
fn figures(title: &str, rows: &[Row]) -> Chart {
    let bar = |figure: &Figure, colour| Bar {
        label: figure.system.clone(),
        value: figure.value.median,
        spread: Some((figure.value.min, figure.value.max)),
        colour,
        text: None,
    };
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let Some(ours) = &row.ours else { continue };
        let ours = bar(ours, Colour::Ours);
        let peer = row.peer.as_ref().map(|peer| bar(peer, Colour::Peer));
        // Rows that differ in nothing but the peer stand together.
        match groups.iter_mut().find(|group| group.title == row.case) {
            Some(group) if group.bars.iter().any(|bar| bar.value == ours.value) => group.bars.extend(peer),
            Some(_) | None => groups
                .push(Group { title: row.case.clone(), bars: std::iter::once(ours).chain(peer).collect() }),
        }
    }
    Chart { title: title.to_owned(), line: None, max: None, groups }
}

/// How much of each figure to reach was reached.
fn goals(rows: &[Row]) -> Chart {
    let bars = rows.iter().filter_map(|row| {
        let share = row.share()?;
        let colour = if row.reached()? { Colour::Ours } else { Colour::Missed };
        let measure = if row.unit == Unit::PerSecond { String::new() } else { format!(", {}", row.measure) };
        let beside = row.peer.as_ref().map_or_else(String::new, |peer| format!(", beside {}", peer.system));
        let title = format!("{}{measure}{beside}", row.case);
        let bars =
            vec![Bar { label: String::new(), value: share, spread: None, colour, text: Some(number(share)) }];
        Some(Group { title, bars })
    });
    Chart {
        title: "How much of each figure to reach was reached (1: just so; more is better)".to_owned(),
        line: Some(1.0),
        max: Some(3.0),
        groups: bars.collect(),
    }
}
