//! What an answer must be.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// The one right answer, up to what differs from one to the next by its nature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub status: u16,
    /// The body is these pieces in this order, with a gap of any bytes between each and the next.
    pieces: Vec<Vec<u8>>,
}

/// A part of a page that is new in each answer: between these two texts.
pub type Gap = (&'static str, &'static str);

impl Expected {
    /// Status 200 and exactly this body.
    pub fn exactly(body: &[u8]) -> Expected {
        Expected { status: 200, pieces: vec![body.to_owned()] }
    }

    /// Status 200 and this page, but for its gaps.
    ///
    /// # Errors
    ///
    /// The page has no such gaps.
    pub fn page(body: &[u8], gaps: &[Gap]) -> Result<Expected> {
        let mut pieces = Vec::new();
        let mut rest = body;
        for (before, after) in gaps {
            let start = find(rest, before.as_bytes())
                .with_context(|| format!("the page has no `{before}`: {}", String::from_utf8_lossy(body)))?
                + before.len();
            let length = find(&rest[start..], after.as_bytes())
                .with_context(|| format!("the page has no `{after}` after `{before}`"))?;
            pieces.push(rest[..start].to_owned());
            rest = &rest[start + length..];
        }
        pieces.push(rest.to_owned());
        Ok(Expected { status: 200, pieces })
    }

    /// # Errors
    ///
    /// What is wrong with the answer.
    pub fn check(&self, status: u16, body: &[u8]) -> Result<()> {
        if status != self.status {
            bail!("status {status}, not {}: {}", self.status, excerpt(body));
        }
        if !self.matches(body) {
            bail!("the body is not the expected one: {}", excerpt(body));
        }
        Ok(())
    }

    fn matches(&self, body: &[u8]) -> bool {
        let Some((first, others)) = self.pieces.split_first() else { return body.is_empty() };
        let Some(mut rest) = body.strip_prefix(&first[..]) else { return false };
        let Some((last, between)) = others.split_last() else { return rest.is_empty() };
        for piece in between {
            let Some(at) = find(rest, piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    text.windows(piece.len()).position(|window| window == piece)
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_expected_one_to_the_byte() {
        let hello = Expected::exactly(b"hello\n");
        assert!(hello.check(200, b"hello\n").is_ok());
        for (status, body) in [(200, &b"hello"[..]), (200, b"hello\n\n"), (200, b""), (500, b"hello\n")] {
            assert!(hello.check(status, body).is_err(), "{status} {body:?}");
        }
    }

    #[test]
    fn only_the_gaps_of_a_page_may_differ() {
        let page = b"<a token=\"abc\"> now <b>12:00</b> end";
        let expected = Expected::page(page, &[("token=\"", "\""), ("<b>", "</b>")]).unwrap();
        assert!(expected.check(200, page).is_ok());
        assert!(expected.check(200, b"<a token=\"xyz\"> now <b>noon</b> end").is_ok());
        for wrong in ["<a token=\"abc\"> then <b>12:00</b> end", "<a token=\"abc\"> now <b>12:00</b>", ""] {
            assert!(expected.check(200, wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Expected::page(page, &[("cookie=\"", "\"")]).is_err());
    }
}
