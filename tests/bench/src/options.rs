//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{cases::Case, systems::LIMIT_COMMAND};

/// Measure Guesthouse beside other servers, in turns, in the same run
///
/// Installs its peers in the cache folder of the project, builds the house and the guests, and writes a table and plots.
/// Exit status 1: an answer was wrong or lost, or something could not be measured.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 110)]
pub struct Options {
    #[command(subcommand)]
    pub hidden: Option<Hidden>,
    /// Two minutes: fewer rounds, shorter ones, 100 apps instead of 1,000
    #[arg(long)]
    pub quick: bool,
    /// Only this case; may be repeated
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<Case>,
    /// Rounds of each case
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// Seconds of load in each turn of a round
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Distinct small apps in the houses of many: 1,000, or 100 with --quick
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=9999))]
    pub apps: Option<u16>,
    /// Print the cases and end
    #[arg(long)]
    pub list: bool,
    /// Where results go: docs/benchmarks for a full run, target/bench for any other
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What this program starts of itself.
#[derive(Debug, Subcommand)]
pub enum Hidden {
    /// Serve the limit
    #[command(name = LIMIT_COMMAND, hide = true)]
    Limit,
    /// Run the load that a file describes
    #[command(name = crate::instructions::COMMAND, hide = true)]
    Load { file: PathBuf },
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0.1 to 3600".to_owned()),
    }
}

impl Options {
    /// Whether all of it is measured at full length, so that the result may stand in the documents.
    pub fn is_full(&self) -> bool {
        let as_it_comes = self.rounds.is_none() && self.seconds.is_none() && self.apps.is_none();
        !self.quick && self.cases.is_empty() && as_it_comes
    }
}
