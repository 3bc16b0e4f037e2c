//! Many apps in one house.

use std::{thread, time::Duration};

use anyhow::{Context, Result};

use super::entrant;
use crate::{
    Bench,
    contest::contest,
    guests::HELLO,
    load::{Expected, each_once},
    progress,
    report::{Goal, Row, Unit},
    statistics::{Summary, percentile},
    systems::{App, House, Isolation},
};

/// How long a house is left alone before its memory is read.
const REST: Duration = Duration::from_millis(500);

/// Distinct small apps.
fn crowd(bench: &Bench) -> Result<Vec<App>> {
    let components = bench.guests.distinct(bench.apps, &bench.installed.folder)?;
    let numbered = components.iter().enumerate();
    Ok(numbered.map(|(n, path)| App::new(&format!("app-{n:04}"), path, Isolation::Fresh)).collect())
}

/// What each of them is asked, and answers.
fn hosts(apps: &[App]) -> Vec<(String, Expected)> {
    apps.iter().map(|app| (app.host(), Expected::exactly(HELLO))).collect()
}

fn prepared(bench: &Bench, apps: &[App], what: &str) -> Result<House> {
    let house = House::of(&bench.guests.house, apps)?;
    house.prepare(what)?;
    Ok(house)
}

/// One app alone, the same with a crowd beside it, and all of the crowd in turn.
pub(super) fn crowded(bench: &Bench) -> Result<Vec<Row>> {
    let expected = Expected::exactly(HELLO);
    let kinds = [
        ("hello 0.2, fresh instances", &bench.guests.hello, Isolation::Fresh),
        ("hello 0.2, reused instances", &bench.guests.hello, Isolation::Reuse),
        ("hello 0.3, reused instances", &bench.guests.hello_p3, Isolation::Reuse),
    ];
    let others = crowd(bench)?;
    let mut rows = Vec::new();
    for (kind, component, isolation) in kinds {
        let app = App::new("hello", component, isolation);
        let host = app.host();
        let mut alone = prepared(bench, std::slice::from_ref(&app), kind)?.open()?;
        alone.name = "alone".to_owned();
        let all: Vec<App> = std::iter::once(app).chain(others.iter().cloned()).collect();
        let mut crowd = prepared(bench, &all, "a house of many apps")?.open()?;
        crowd.name = format!("with {} other apps", bench.apps);
        // Small apps are loaded with their first request.
        each_once(crowd.address, &hosts(&others)).with_context(|| crowd.said())?;
        let case = format!("{kind}, {} other apps loaded", bench.apps);
        let mut entrants = vec![entrant(&crowd, &host, &expected), entrant(&alone, &host, &expected)];
        // The others have fresh instances.
        if isolation == Isolation::Fresh {
            let mut in_turn = entrant(&crowd, &host, &expected);
            in_turn.load.hosts = others.iter().map(App::host).collect();
            entrants.push(in_turn);
        }
        let outcomes = contest(bench, &case, &entrants)?;
        let [crowd, alone, in_turn @ ..] = &outcomes[..] else { anyhow::bail!("too few outcomes") };
        let beside_alone = |case, outcome| {
            let row = Row::new(format!("many apps: {case}"), "requests/s", Unit::PerSecond);
            row.our_rate(outcome).peer_rate("one app alone", alone)
        };
        rows.push(beside_alone(case, crowd).goal(Goal::RatioAtLeast(0.95)));
        rows.extend(
            in_turn
                .iter()
                .map(|outcome| beside_alone(format!("{kind}, {} apps asked in turn", bench.apps), outcome)),
        );
    }
    Ok(rows)
}

/// Memory of each app, and the time until the house listens.
pub(super) fn idle(bench: &Bench) -> Result<Vec<Row>> {
    let apps = crowd(bench)?;
    let one = prepared(bench, &apps[..1], "a house of one app")?;
    let many = prepared(bench, &apps, "a house of many apps")?;
    let (mut each_kib, mut seconds) = (Vec::new(), Vec::new());
    for number in 1..=bench.rounds {
        let alone = one.open()?;
        thread::sleep(REST);
        let alone = alone.memory()?.anonymous_kib;
        let server = many.open()?;
        seconds.push(server.started_in.as_secs_f64());
        thread::sleep(REST);
        each_kib.push((server.memory()?.anonymous_kib - alone) / (apps.len() - 1) as f64);
        progress(&format!("idle apps, round {number} of {}", bench.rounds));
    }
    let case = format!("{} distinct small apps, idle", apps.len());
    let summary = |samples| Summary::of(samples).context("no rounds");
    Ok(vec![
        Row::new(&case, "anonymous memory of each", Unit::Kib)
            .ours(summary(each_kib)?)
            .goal(Goal::Below(64.0)),
        Row::new(&case, "time to listening, from a warm cache", Unit::Seconds)
            .ours(summary(seconds)?)
            .goal(Goal::Below(1.0)),
    ])
}

/// Each app of a house that has just been opened, asked once.
pub(super) fn first_answer(bench: &Bench) -> Result<Vec<Row>> {
    let apps = crowd(bench)?;
    let house = prepared(bench, &apps, "a house of many apps")?;
    let hosts = hosts(&apps);
    let mut p99_ms = Vec::new();
    for number in 1..=bench.rounds {
        let server = house.open()?;
        let mut seconds = each_once(server.address, &hosts).with_context(|| server.said())?;
        p99_ms.push(percentile(&mut seconds, 99.0).context("no apps")? * 1000.0);
        progress(&format!("first answers, Rust, round {number} of {}", bench.rounds));
    }
    let measure = format!("p99 of {} apps", apps.len());
    let row = Row::new("first answer of an app never used, Rust", measure, Unit::Milliseconds);
    Ok(vec![row.ours(Summary::of(p99_ms).context("no rounds")?).goal(Goal::Below(5.0))])
}
