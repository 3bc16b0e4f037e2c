//! The result as a page for people.

use std::fmt::Write;

use super::{Figure, Goal, Manner, Row, Unit};
use crate::machine::Run;

/// The page. Writing to a string does not fail.
pub(super) fn page(run: &Run, manner: &Manner, rows: &[Row]) -> String {
    let mut page = "# Benchmark\n\n".to_owned();
    let changed = if run.changed { " with changes" } else { "" };
    let _ = writeln!(
        page,
        "{}, commit `{}`{changed}. Made by `cargo run --release -p bench`",
        run.date, run.commit
    );
    if manner.quick {
        page.push_str("`-- --quick`: **a quick run, for a first look only.**\n");
    }
    let machine = &run.machine;
    let _ = writeln!(
        page,
        "\n{} with {} cores, {:.0} GiB, {}. {}.",
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        run.versions.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", "),
    );
    let _ = writeln!(
        page,
        "\nMedians of {} rounds, with the lowest and the highest in brackets. Systems took turns, {} s each, on the cores \
         that they shared with the load generator; {} connections where a line says nothing else. Every answer was \
         compared with the expected one. Guesthouse ran with `GUESTHOUSE_LOG=warn` (no access log), the others as they \
         come; `RUST_BACKTRACE` was unset.{}\n",
        manner.rounds,
        manner.seconds,
        manner.connections,
        if manner.instructions {
            ""
        } else {
            " This machine has no counter of instructions, so CPU time stands alone."
        },
    );
    page.push_str(&table(rows));
    page.push_str(&cpu_table(rows));
    page
}

/// The table of figures.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = "| case | measure | Guesthouse | beside | ratio | to reach | reached |\n".to_owned();
    table.push_str("|---|---|---|---|---|---|---|\n");
    for row in rows {
        let ours =
            row.ours.as_ref().map_or_else(|| "not available".to_owned(), |ours| spread(ours, row.unit));
        let peer = row.peer.as_ref().map(|peer| format!("{}: {}", peer.system, spread(peer, row.unit)));
        let ratio = row.ratio().map(|ratio| format!("{ratio:.2}"));
        let goal = row.goal.map(|goal| described(goal, row.unit));
        let reached = row.reached().map(|reached| if reached { "yes" } else { "**no**" });
        let _ = writeln!(
            table,
            "| {} | {} | {ours} | {} | {} | {} | {} |",
            row.case,
            row.measure,
            peer.unwrap_or_default(),
            ratio.unwrap_or_default(),
            goal.unwrap_or_default(),
            reached.unwrap_or_default(),
        );
    }
    let mut notes: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let Some(note) = &row.note else { continue };
        match notes.iter_mut().find(|(known, _)| known == note) {
            Some((_, cases)) if cases.contains(&&*row.case) => {}
            Some((_, cases)) => cases.push(&row.case),
            None => notes.push((note, vec![&row.case])),
        }
    }
    for (note, cases) in notes {
        let _ = writeln!(table, "\n{}: {note}.", cases.join("; "));
    }
    table
}

/// What each request costs: of all figures that come from a load, each system once a case.
fn cpu_table(rows: &[Row]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in rows {
        for figure in [&row.ours, &row.peer].into_iter().flatten() {
            let Some(outcome) = &figure.outcome else { continue };
            let instructions =
                outcome.instructions.map_or_else(String::new, |count| format!("{:.0}", count / 1000.0));
            let line = format!(
                "| {} | {} | {} ({} to {}) | {instructions} | {} | {} |",
                row.case,
                figure.system,
                number(outcome.cpu_us.median),
                number(outcome.cpu_us.min),
                number(outcome.cpu_us.max),
                number(outcome.p50_ms.median),
                number(outcome.p99_ms.median),
            );
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "\n| case | system | CPU time, µs each | thousand instructions each | p50, ms | p99, ms |\n\
         |---|---|---|---|---|---|\n{}\n",
        lines.join("\n")
    )
}

fn spread(figure: &Figure, unit: Unit) -> String {
    let value = &figure.value;
    // The measure says already what is counted.
    let unit = if unit == Unit::PerSecond { String::new() } else { format!(" {}", unit.name()) };
    let median = number(value.median);
    if value.samples.len() < 2 {
        return format!("{median}{unit}");
    }
    format!("{median}{unit} ({} to {})", number(value.min), number(value.max))
}

fn described(goal: Goal, unit: Unit) -> String {
    match goal {
        Goal::RatioAtLeast(least) => format!("{least} times it"),
        Goal::RatioAtMost(most) => format!("at most {most} of it"),
        Goal::AtLeast(least) => format!("{} {}", number(least), unit.name()),
        Goal::Below(bound) => format!("under {} {}", number(bound), unit.name()),
    }
}

/// Three digits that count, thousands apart.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let whole = text.len() - if digits == 0 { 0 } else { digits + 1 };
    let mut spaced = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && at < whole && (whole - at) % 3 == 0 && !spaced.ends_with('-') {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::{super::row::tests::row, *};

    #[test]
    fn numbers_have_the_digits_that_count() {
        for (value, text) in [
            (1_234_567.8, "1,234,568"),
            (22_600.4, "22,600"),
            (999.6, "1,000"),
            (350.0, "350"),
            (64.0, "64.0"),
            (4.7123, "4.71"),
            (0.45, "0.450"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_row_says_whether_it_reached_its_figure() {
        let reached = row(33_000.0, Some(11_000.0), Goal::RatioAtLeast(3.0));
        let missed = row(400.0, None, Goal::AtLeast(450.0));
        let absent = Row { ours: None, ..missed.clone() }.note("no such thing");
        assert_eq!(
            table(&[reached, missed, absent]),
            "| case | measure | Guesthouse | beside | ratio | to reach | reached |\n\
             |---|---|---|---|---|---|---|\n\
             | case | measure | 33,000 | peer: 11,000 | 3.00 | 3 times it | yes |\n\
             | case | measure | 400 |  |  | 450 requests/s | **no** |\n\
             | case | measure | not available |  |  | 450 requests/s |  |\n\
             \ncase: no such thing.\n"
        );
    }
}
