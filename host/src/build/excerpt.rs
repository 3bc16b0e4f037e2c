//! Finds in a tool's output what a person needs to see of it.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// Lines of a failed tool's output that are shown: from its first error on, or the last.
const ERROR_LINES_MAX: usize = 60;
const LAST_LINES_MAX: usize = 20;
/// Characters of a line that are shown from its beginning and from its end.
const LINE_HEAD_MAX: usize = 240;
const LINE_TAIL_MAX: usize = 120;
/// Bytes of the output that are looked at for that; the log file has the rest.
const EXCERPT_BYTES_MAX: u64 = 256 * 1024;

/// The part of the output that tells what went wrong: from the first error on, else the end.
pub(super) fn of_failure(output: &str) -> String {
    from_first(output, "error").unwrap_or_else(|| {
        let lines: Vec<&str> = output.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES_MAX)..).unwrap_or_default();
        last.join("\n").trim_end().to_owned()
    })
}

/// The output from the first line on that begins like `error: …`, `ERROR: …` or `error[E0425]: …`.
pub(super) fn from_first(output: &str, level: &str) -> Option<String> {
    let is_it = |line: &&str| {
        let line = line.trim_start();
        let (word, rest) = line.split_at_checked(level.len()).unwrap_or_default();
        word.eq_ignore_ascii_case(level) && rest.starts_with([':', '['])
    };
    let mut lines = output.lines().skip_while(|line| !is_it(line));
    let mut shown: Vec<&str> = lines.by_ref().take(ERROR_LINES_MAX).collect();
    if lines.next().is_some() {
        shown.push("…");
    }
    (!shown.is_empty()).then(|| shown.join("\n").trim_end().to_owned())
}

/// A line without its middle, if it is very long: pip lists every version that there ever was.
pub(super) fn shortened(line: &str) -> Cow<'_, str> {
    let cut = |(at, _)| at;
    let head = line.char_indices().nth(LINE_HEAD_MAX).map(cut);
    let tail = line.char_indices().nth_back(LINE_TAIL_MAX).map(cut);
    match (head, tail) {
        (Some(head), Some(tail)) if head < tail => {
            let ends = (line.get(..head).unwrap_or_default(), line.get(tail..).unwrap_or_default());
            format!("{} … {}", ends.0, ends.1).into()
        }
        _ => line.into(),
    }
}

/// What was written to the log from `start` on; of very much, the end.
pub(super) fn read(mut log: &File, start: u64) -> io::Result<String> {
    let end = log.seek(SeekFrom::End(0))?;
    log.seek(SeekFrom::Start(start.max(end.saturating_sub(EXCERPT_BYTES_MAX))))?;
    let mut output = Vec::new();
    log.take(EXCERPT_BYTES_MAX).read_to_end(&mut output)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_begin_at_the_first_error_or_are_the_end() {
        let many: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert!(of_failure(&many).starts_with("line 80\n"));
        assert_eq!(of_failure("a\n  error[E0425]: x\n --> y\n"), "  error[E0425]: x\n --> y");
        assert!(of_failure(&format!("ERROR: pip\n{many}")).ends_with("line 58\n…"));
    }

    #[test]
    fn very_long_lines_lose_their_middle() {
        assert_eq!(shortened("short"), "short");
        let long = format!("{}{}{}", "ä".repeat(LINE_HEAD_MAX), "x".repeat(1000), "ö".repeat(LINE_TAIL_MAX));
        assert_eq!(shortened(&long).replace('x', ""), long.replacen('x', " … ", 1).replace('x', ""));
    }
}
