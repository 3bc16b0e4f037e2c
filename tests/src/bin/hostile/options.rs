//! What the program is asked to do.

use std::time::Duration;

use guesthouse_tests::Attack;

const USAGE: &str = "\
usage: hostile [--case NAME]... [--seconds S] [--bound-ms MS] [--rate-percent P]
           asks two well-behaved apps at a steady rate, P percent (25) of what each can do alone, for S seconds (10)
           each, while another app in the same house attacks; prints a table of all cases, or of those that are named
       --bound-ms MS
           the p99 of the neighbours, in milliseconds, above which the program ends with 1 (5)
       --list
           names the cases";

pub(crate) struct Options {
    pub(crate) cases: Vec<&'static Attack>,
    pub(crate) length: Duration,
    pub(crate) bound_ms: f64,
    pub(crate) rate: f64,
    pub(crate) list: bool,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            cases: Vec::new(),
            length: Duration::from_secs(10),
            bound_ms: 5.0,
            rate: 0.25,
            list: false,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value\n{USAGE}"));
            let number = |text: String| -> Result<u32, String> {
                let number = text.parse().ok().filter(|&number| number > 0);
                number.ok_or_else(|| format!("{argument} wants a number, not {text:?}\n{USAGE}"))
            };
            match argument.as_str() {
                "--case" => {
                    let name = value()?;
                    let found = Attack::all().iter().find(|attack| attack.name == name);
                    options
                        .cases
                        .push(found.ok_or_else(|| format!("there is no case {name:?}: see --list"))?);
                }
                "--seconds" => options.length = Duration::from_secs(number(value()?)?.into()),
                "--bound-ms" => options.bound_ms = number(value()?)?.into(),
                "--rate-percent" => options.rate = f64::from(number(value()?)?) / 100.0,
                "--list" => options.list = true,
                "--help" | "-h" => return Err(USAGE.to_owned()),
                other => return Err(format!("what is {other:?}?\n{USAGE}")),
            }
        }
        if options.cases.is_empty() {
            options.cases = Attack::all().iter().collect();
        }
        Ok(options)
    }
}
