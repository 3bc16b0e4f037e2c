//! The smallest app, beside other hosts and beside the limit.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};

use super::{CONNECTIONS, entrant};
use crate::{
    Bench,
    contest::contest,
    guests::HELLO,
    install::said_by,
    load::{Expected, Load, Until},
    progress,
    report::{Goal, Row, Unit},
    statistics::Summary,
    systems::{App, House, Isolation, Server, limit, wasmtime},
};

/// The app's host, everywhere: what is asked is the same to the byte.
const HOST: &str = "hello.localhost";

pub(super) fn fresh(bench: &Bench) -> Result<Vec<Row>> {
    let component = &bench.guests.hello;
    let ours = house(bench, component, Isolation::Fresh)?;
    let peer = wasmtime(&bench.installed.wasmtime()?, component)?;
    let expected = Expected::exactly(HELLO);
    let case = "hello 0.2, fresh instances";
    let outcomes = contest(bench, case, &[entrant(&ours, HOST, &expected), entrant(&peer, HOST, &expected)])?;
    let [ours, peer] = &outcomes[..] else { anyhow::bail!("two systems, two outcomes") };
    let row = Row::new(case, "requests/s", Unit::PerSecond).our_rate(ours).peer_rate("wasmtime serve", peer);
    Ok(vec![row.goal(Goal::RatioAtLeast(3.0))])
}

pub(super) fn reused(bench: &Bench) -> Result<Vec<Row>> {
    let ours = house(bench, &bench.guests.hello, Isolation::Reuse)?;
    let peer = limit()?;
    let expected = Expected::exactly(HELLO);
    let case = "hello 0.2, reused instances";
    let outcomes = contest(bench, case, &[entrant(&ours, HOST, &expected), entrant(&peer, HOST, &expected)])?;
    let [ours, peer] = &outcomes[..] else { anyhow::bail!("two systems, two outcomes") };
    let row = Row::new(case, "requests/s", Unit::PerSecond).our_rate(ours).peer_rate("bare hyper", peer);
    Ok(vec![row.goal(Goal::RatioAtLeast(0.6))])
}

pub(super) fn p3_reused(bench: &Bench) -> Result<Vec<Row>> {
    let component = &bench.guests.hello_p3;
    let ours = house(bench, component, Isolation::Reuse)?;
    let bare = limit()?;
    let peer = wasmtime(&bench.installed.wasmtime()?, component)?;
    let expected = Expected::exactly(HELLO);
    let case = "hello 0.3, reused instances";
    let entrants = [&ours, &bare, &peer].map(|server| entrant(server, HOST, &expected));
    let outcomes = contest(bench, case, &entrants)?;
    let [ours, bare, peer] = &outcomes[..] else { anyhow::bail!("three systems, three outcomes") };
    let row = || Row::new(case, "requests/s", Unit::PerSecond).our_rate(ours);
    Ok(vec![
        row().peer_rate("bare hyper", bare).goal(Goal::RatioAtLeast(0.6)),
        row().peer_rate("wasmtime serve", peer).goal(Goal::RatioAtLeast(1.5)),
    ])
}

/// Whether this program's load keeps a server as busy as wrk does, on the fastest server there is.
pub(super) fn load_generator(bench: &Bench) -> Result<Vec<Row>> {
    let (wrk, server) = (bench.installed.wrk()?, limit()?);
    let load = Load::once(server.address, HOST, "/", Expected::exactly(HELLO));
    let load = load.with(CONNECTIONS, Until::Time(bench.turn));
    let (mut own, mut by_wrk) = (Vec::new(), Vec::new());
    for number in 1..=bench.rounds {
        own.push(load.run()?.per_second());
        let seconds = bench.turn.as_secs_f64().ceil();
        let mut command = Command::new(&wrk);
        command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")]);
        let said = said_by(command.arg(format!("http://{}/", server.address)))?;
        let line = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
        by_wrk.push(line.context("wrk says no Requests/sec")?.trim().parse()?);
        progress(&format!("load generator, round {number} of {}", bench.rounds));
    }
    let summary = |samples| Summary::of(samples).context("no rounds");
    let mut row = Row::new("load generator, on bare hyper", "requests/s", Unit::PerSecond)
        .ours(summary(own)?)
        .peer("wrk", summary(by_wrk)?)
        .note("no figure of the house: how much of what wrk measures this program's own load, which compares every answer, measures");
    if let Some(ours) = &mut row.ours {
        ours.system = "this program".to_owned();
    }
    Ok(vec![row])
}

fn house(bench: &Bench, component: &Path, isolation: Isolation) -> Result<Server> {
    let house = House::of(&bench.guests.house, &[App::new("hello", component, isolation)])?;
    house.prepare("hello")?;
    house.open()
}
