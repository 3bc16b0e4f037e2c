//! What a further Django site costs in memory, beside a further gunicorn worker with the same project.

use anyhow::{Context, Result};

use super::{
    NO_IMAGES,
    django::{page, site},
};
use crate::{
    Bench,
    load::{Load, Until},
    machine::cores,
    progress,
    report::{Goal, Row, Unit},
    statistics::Summary,
    systems::{App, House, Isolation, Server, gunicorn},
};

/// Sites, or workers, at first.
const FEW: usize = 2;
/// Requests to each before its memory is read.
const REQUESTS: usize = 200;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let kinds: &[(&str, Isolation)] = if bench.has_images {
        &[
            ("reused instances", Isolation::Reuse),
            ("reused instances from an image", Isolation::ReuseFromImage),
            ("fresh instances from an image", Isolation::FreshFromImage),
        ]
    } else {
        &[("reused instances", Isolation::Reuse)]
    };
    let mut houses = Vec::new();
    for (kind, isolation) in kinds {
        let few = sites(bench, FEW, *isolation)?;
        let many = sites(bench, FEW + bench.further, *isolation)?;
        many.1.prepare("Django")?;
        houses.push((*kind, few, many, Vec::new()));
    }
    let mut workers = Vec::new();
    for number in 1..=bench.site_rounds {
        for (_, few, many, each) in &mut houses {
            each.push(further(bench, warm_sites(few)?, warm_sites(many)?));
        }
        let (few, many) = (warm_workers(bench, FEW)?, warm_workers(bench, FEW + bench.further)?);
        workers.push(further(bench, few, many));
        progress(&format!("a further Django site, round {number} of {}", bench.site_rounds));
    }
    let workers = Summary::of(workers).context("no rounds")?;
    let rows = houses.into_iter().map(|(kind, _, many, each)| {
        let case = format!("Django, a further site, {kind}");
        let measure = format!("memory (PSS) after {REQUESTS} requests");
        let row = Row::new(case, measure, Unit::Mib).ours(Summary::of(each).context("no rounds")?);
        let row = row.peer("a gunicorn worker", workers.clone()).goal(Goal::RatioAtMost(0.2));
        Ok(if bench.has_images { many.1.noted(row) } else { row.note(NO_IMAGES) })
    });
    rows.collect()
}

/// MiB that each of those makes which came to the few.
fn further(bench: &Bench, few_kib: f64, many_kib: f64) -> f64 {
    (many_kib - few_kib) / bench.further as f64 / 1024.0
}

type Sites = (Vec<(App, String)>, House);

fn sites(bench: &Bench, count: usize, isolation: Isolation) -> Result<Sites> {
    let sites: Vec<_> = (0..count).map(|number| site(bench, number, isolation)).collect();
    let apps: Vec<App> = sites.iter().map(|(app, _)| app.clone()).collect();
    let house = House::of(&bench.guests.house, &apps)?;
    Ok((sites, house))
}

/// KiB of a house whose every site has answered its requests, one after the other.
fn warm_sites((sites, house): &Sites) -> Result<f64> {
    let server = house.open()?;
    for (app, title) in sites {
        let expected = page(server.address, &app.host(), title)?;
        ask(&server, &app.host(), expected, 1, REQUESTS)?;
    }
    Ok(server.memory()?.pss_kib)
}

/// KiB of gunicorn whose workers have answered as many requests, as evenly as it spreads them.
fn warm_workers(bench: &Bench, count: usize) -> Result<f64> {
    let project = &bench.guests.django_project;
    let server = gunicorn(&bench.installed.gunicorn(&project.join("requirements.txt"))?, project, count)?;
    let expected = page(server.address, "legacy.localhost", "The Old Guestbook")?;
    ask(&server, "legacy.localhost", expected, count.max(cores()), REQUESTS * count)?;
    Ok(server.memory()?.pss_kib)
}

fn ask(
    server: &Server,
    host: &str,
    expected: crate::load::Expected,
    connections: usize,
    requests: usize,
) -> Result<()> {
    let load = Load::once(server.address, host, "/", expected).with(connections, Until::Count(requests));
    load.run().with_context(|| format!("{} said:\n{}", server.name, server.said())).map(drop)
}
