//! What is measured: one file for each kind of case.

mod apps;
mod django;
mod hello;
mod routes;
mod site;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::{Bench, contest::Entrant, load::Until, report::Row, systems::Server};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// hello 0.2, a fresh instance for each request, beside wasmtime serve
    HelloFresh,
    /// hello 0.2, instances reused, beside bare hyper
    HelloReused,
    /// hello 0.3, instances reused, beside bare hyper and wasmtime serve
    HelloP3Reused,
    /// The same three with 1,000 other apps loaded, beside a house of their own; and those in turn
    ManyApps,
    /// A route look-up among 10,000 routes, beside one among 10
    Routes,
    /// A Django page, a fresh instance from a snapshot image for each request
    DjangoFresh,
    /// A Django page, instances reused, beside gunicorn
    DjangoReused,
    /// Memory of a further Django site, beside a further gunicorn worker
    DjangoSite,
    /// 1,000 distinct small apps, idle: memory of each, and time to listening
    IdleApps,
    /// The first answer of an app that was loaded but never used
    FirstAnswer,
    /// This program's load generator beside wrk
    LoadGenerator,
}

impl Case {
    pub fn run(self, bench: &Bench) -> Result<Vec<Row>> {
        match self {
            Case::HelloFresh => hello::fresh(bench),
            Case::HelloReused => hello::reused(bench),
            Case::HelloP3Reused => hello::p3_reused(bench),
            Case::ManyApps => apps::crowded(bench),
            Case::Routes => routes::run(bench),
            Case::DjangoFresh => django::fresh(bench),
            Case::DjangoReused => django::reused(bench),
            Case::DjangoSite => site::run(bench),
            Case::IdleApps => apps::idle(bench),
            Case::FirstAnswer => {
                let mut rows = apps::first_answer(bench)?;
                rows.extend(django::first_answer(bench)?);
                Ok(rows)
            }
            Case::LoadGenerator => hello::load_generator(bench),
        }
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What it measures.
    pub fn about(self) -> String {
        let about = self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        about.unwrap_or_default()
    }
}

/// Connections of every load that a case does not say otherwise of.
pub const CONNECTIONS: usize = 16;

/// What a row says that cannot be measured without snapshot images.
const NO_IMAGES: &str = "this version of the house takes no snapshot images";

/// An entrant that is asked for its front page by all connections.
fn entrant<'a>(server: &'a Server, host: &str, expected: &crate::load::Expected) -> Entrant<'a> {
    let load = crate::load::Load::once(server.address, host, "/", expected.clone());
    Entrant { server, load: load.with(CONNECTIONS, Until::Time(Duration::ZERO)) }
}
