//! Files that are nearly the same, kept as what differs from one of them, the base.
//!
//! Images of one component with other settings have the same machine code and all but the same memory: of the 19,000
//! pages of a Django site's image, some 50 differ from those of the next. Where each is a file of its own, each is in the
//! system's memory as a whole. What is the same is therefore mapped from one file, and on disk once, too.
//!
//! Such a file begins with [`MAGIC`], the length of its head (8 bytes, lowest first) and its head (JSON, [`Delta`]). The
//! pages that differ follow, from the next multiple of a page on. Compiled code begins as an ELF file does.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    ops::Range,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::cache::ComponentDigest;

/// A part of a file: where it begins and its length, in bytes. Parts in a row make a whole.
pub(super) type Piece = (Arc<File>, u64, usize);

const MAGIC: [u8; 16] = *b"guesthouse delta";
/// What is mapped begins at a multiple of it: the size of a page, the largest there is but for that of x86-64.
const PAGE_BYTES: u64 = if cfg!(target_arch = "x86_64") { 4 << 10 } else { 64 << 10 };
/// Parts that are mapped from the file itself. Each is a mapping (and what lies before it another), twice for each
/// instance, of which a process has 65,530 (`vm.max_map_count`): what lies between the closest is kept with them.
const RUNS_MAX: usize = 32;
/// The part of the whole, one of so many, that the pages of a small one are at most.
const SMALL: u64 = 4;
/// A head with that many runs is far smaller.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// How the whole is made of the base and of pages of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Delta {
    /// What the base is kept under.
    pub(super) base: ComponentDigest,
    /// The cache's keyed digest of the base, in hexadecimal: with other contents it makes nothing.
    pub(super) base_mac: String,
    /// Length of the whole, in bytes.
    len: u64,
    /// Where the whole differs: multiples of a page, ascending.
    runs: Vec<Range<u64>>,
}

impl Delta {
    /// What makes `whole` of the base, which is kept under `key`.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub(super) fn between(
        key: &ComponentDigest,
        base_mac: String,
        base: &File,
        whole: &File,
    ) -> io::Result<Self> {
        let (len, runs) = differing(base, whole)?;
        Ok(Self { base: key.clone(), base_mac, len, runs: fewer(runs, RUNS_MAX) })
    }

    /// Whether so little differs that the base serves its purpose.
    pub(super) fn is_small(&self) -> bool {
        self.bytes() <= self.len / SMALL
    }

    /// Length of what differs.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// Writes it, with the pages of `whole` that differ.
    ///
    /// # Errors
    /// When `whole` cannot be read or the other not be written.
    pub(super) fn write(&self, mut whole: &File, to: &File) -> io::Result<()> {
        let head = serde_json::to_vec(self)?;
        let mut to = BufWriter::new(to);
        to.write_all(&MAGIC)?;
        to.write_all(&(head.len() as u64).to_le_bytes())?;
        to.write_all(&head)?;
        let written = MAGIC.len() as u64 + 8 + head.len() as u64;
        fill(&mut to, written.next_multiple_of(PAGE_BYTES) - written)?;
        for &Range { start, end } in &self.runs {
            whole.seek(SeekFrom::Start(start))?;
            let copied = io::copy(&mut whole.take(end - start), &mut to)?;
            fill(&mut to, (end - start).saturating_sub(copied))?;
        }
        to.flush()
    }

    /// The head of such a file and where its pages begin; none of another file.
    ///
    /// # Errors
    /// When it cannot be read, or is not as [`Delta::write`] makes it.
    pub(super) fn read(file: &File) -> io::Result<Option<(Self, u64)>> {
        let mut file = BufReader::new(file);
        file.seek(SeekFrom::Start(0))?;
        let mut magic = Vec::new();
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if magic != MAGIC {
            return Ok(None);
        }
        let mut len = [0; 8];
        file.read_exact(&mut len)?;
        let len = u64::from_le_bytes(len);
        if len > HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let delta = serde_json::from_reader(file.take(len))?;
        Ok(Some((delta, (MAGIC.len() as u64 + 8 + len).next_multiple_of(PAGE_BYTES))))
    }

    /// What makes the whole: pieces of the base and of the file `own`, whose pages begin at `pages`.
    pub(super) fn pieces(&self, base: &Arc<File>, own: &Arc<File>, mut pages: u64) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut add = |file: &Arc<File>, at: u64, len: Option<u64>| match len.map(usize::try_from) {
            Some(Ok(0)) => Ok(()),
            Some(Ok(len)) => {
                pieces.push((file.clone(), at, len));
                Ok(())
            }
            _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
        };
        let mut at = 0;
        for run in &self.runs {
            let end = run.end.min(self.len);
            add(base, at, run.start.checked_sub(at))?;
            add(own, pages, end.checked_sub(run.start))?;
            pages += end - run.start;
            at = end;
        }
        add(base, at, self.len.checked_sub(at))?;
        Ok(pieces)
    }
}

/// The length of `whole`, and where its pages are not those of `base`.
fn differing(mut base: &File, mut whole: &File) -> io::Result<(u64, Vec<Range<u64>>)> {
    base.seek(SeekFrom::Start(0))?;
    whole.seek(SeekFrom::Start(0))?;
    let (mut base, mut whole) =
        (BufReader::with_capacity(1 << 20, base), BufReader::with_capacity(1 << 20, whole));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let mut runs: Vec<Range<u64>> = Vec::new();
    let (mut at, mut len) = (0, 0);
    loop {
        theirs.clear();
        ours.clear();
        base.by_ref().take(PAGE_BYTES).read_to_end(&mut theirs)?;
        if whole.by_ref().take(PAGE_BYTES).read_to_end(&mut ours)? == 0 {
            return Ok((len, runs));
        }
        len += ours.len() as u64;
        let next = at + PAGE_BYTES;
        if ours != theirs {
            match runs.last_mut() {
                Some(run) if run.end == at => run.end = next,
                _ => runs.push(at..next),
            }
        }
        at = next;
    }
}

/// The same with what lies between the closest of them, so that there are `max` of them at most.
fn fewer(runs: Vec<Range<u64>>, max: usize) -> Vec<Range<u64>> {
    let between = |(one, next): (&Range<u64>, &Range<u64>)| (next.start - one.end, next.start);
    let mut gaps: Vec<(u64, u64)> = runs.iter().zip(runs.iter().skip(1)).map(between).collect();
    gaps.sort_unstable();
    let closed: HashSet<u64> = gaps.iter().take(runs.len().saturating_sub(max)).map(|gap| gap.1).collect();
    let mut fewer: Vec<Range<u64>> = Vec::new();
    for run in runs {
        match fewer.last_mut() {
            Some(last) if closed.contains(&run.start) => last.end = run.end,
            _ => fewer.push(run),
        }
    }
    fewer
}

fn fill(to: &mut impl Write, bytes: u64) -> io::Result<u64> {
    io::copy(&mut io::repeat(0).take(bytes), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the pieces of `whole` over `base` are in a row, and how many there are.
    fn made(base: &[u8], whole: &[u8]) -> (Vec<u8>, usize) {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file
        };
        let (base, whole, own) = (file(base), file(whole), tempfile::tempfile().unwrap());
        let key = ComponentDigest::of_bytes(b"base");
        Delta::between(&key, "digest".to_owned(), &base, &whole).unwrap().write(&whole, &own).unwrap();
        let (delta, pages) = Delta::read(&own).unwrap().unwrap();
        assert_eq!((delta.base.clone(), delta.base_mac.as_str()), (key, "digest"));
        let pieces = delta.pieces(&Arc::new(base), &Arc::new(own), pages).unwrap();
        let mut bytes = Vec::new();
        for (mut file, at, len) in pieces.iter().map(|(file, at, len)| (&**file, *at, *len as u64)) {
            assert_eq!(at % PAGE_BYTES, 0, "a mapping begins at a page");
            file.seek(SeekFrom::Start(at)).unwrap();
            assert_eq!(file.take(len).read_to_end(&mut bytes).unwrap() as u64, len);
        }
        (bytes, pieces.len())
    }

    fn pages(count: u64, bytes: u64) -> Vec<u8> {
        (0..count * PAGE_BYTES + bytes).map(|at| (at / PAGE_BYTES % 251) as u8).collect()
    }

    #[test]
    fn the_whole_is_made_again() {
        let base = pages(9, 100);
        let at = |page: u64| usize::try_from(page * PAGE_BYTES + 7).unwrap();
        let changed = |places: &[u64], mut bytes: Vec<u8>| {
            places.iter().for_each(|page| bytes[at(*page)] ^= 0xff);
            bytes
        };
        let cases = [
            (base.clone(), 1),
            (changed(&[0], base.clone()), 2),
            (changed(&[4], base.clone()), 3),
            (changed(&[4, 5, 7], base.clone()), 5),
            (changed(&[9], base.clone()), 2),
            (pages(9, 99), 2),
            (pages(12, 1), 2),
            (pages(3, 0), 1),
            (pages(3, 5), 2),
            (Vec::new(), 0),
        ];
        for (number, (whole, count)) in cases.into_iter().enumerate() {
            let (bytes, pieces) = made(&base, &whole);
            assert!(bytes == whole, "case {number}");
            assert_eq!(pieces, count, "case {number}");
        }
    }

    #[test]
    fn many_runs_are_made_fewer() {
        let base = pages(400, 0);
        let mut whole = base.clone();
        (0..100).for_each(|run| whole[usize::try_from(4 * run * PAGE_BYTES).unwrap()] ^= 1);
        let (bytes, pieces) = made(&base, &whole);
        assert!(bytes == whole);
        assert_eq!(pieces, 2 * RUNS_MAX);
        assert_eq!(fewer(vec![0..1, 2..3, 9..10, 11..12], 2), [0..3, 9..12]);
        assert_eq!(fewer(vec![0..1, 2..3], 2), [0..1, 2..3]);
    }

    #[test]
    fn small_is_a_quarter_at_most() {
        let file = |bytes: Vec<u8>| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file
        };
        let key = ComponentDigest::of_bytes(b"base");
        let small = |whole: Vec<u8>| {
            let (base, whole) = (file(pages(8, 0)), file(whole));
            Delta::between(&key, String::new(), &base, &whole).unwrap().is_small()
        };
        let changed = |first: usize| {
            let mut bytes = pages(8, 0);
            bytes.iter_mut().take(first).for_each(|byte| *byte ^= 1);
            bytes
        };
        let page = usize::try_from(PAGE_BYTES).unwrap();
        assert_eq!(
            [0, page, 2 * page, 2 * page + 1].map(|first| small(changed(first))),
            [true, true, true, false]
        );
    }

    #[test]
    fn another_file_is_none() {
        let mut file = tempfile::tempfile().unwrap();
        assert!(Delta::read(&file).unwrap().is_none());
        file.write_all(b"\x7fELF and so on, and so on").unwrap();
        assert!(Delta::read(&file).unwrap().is_none());
    }
}
