//! What the program is asked to do.

use std::time::Duration;

const USAGE: &str = "\
usage: soak [--minutes N] [--rate R]
           serves well-behaved apps R requests a second (200), swaps one of them, and lets a hostile app do one thing
           after the other, for N minutes (30); prints a line a minute, and at the end compares what the house holds
           with what it held after the fifth minute, or in a shorter run after the first sixth of it";

pub(crate) struct Options {
    pub(crate) length: Duration,
    pub(crate) rate: f64,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options { length: Duration::from_secs(30 * 60), rate: 200.0 };
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<u32, String> {
                let value = arguments.next().ok_or_else(|| format!("{argument} wants a number\n{USAGE}"))?;
                let number = value.parse().ok().filter(|&number| number > 0);
                number.ok_or_else(|| format!("{argument} wants a number, not {value:?}\n{USAGE}"))
            };
            match argument.as_str() {
                "--minutes" => options.length = Duration::from_secs(u64::from(number()?) * 60),
                "--rate" => options.rate = f64::from(number()?),
                "--help" | "-h" => return Err(USAGE.to_owned()),
                other => return Err(format!("what is {other:?}?\n{USAGE}")),
            }
        }
        Ok(options)
    }

    /// When the figures are taken that those at the end are held against.
    pub(crate) fn reference(&self) -> Duration {
        Duration::from_secs(5 * 60).min(self.length / 6)
    }
}
