//! Work on an SQLite file, done in turns where blocking is allowed: a task of the blocking threads takes all that waits, until
//! nothing does. Writes that wait together are one transaction, which syncs once for all of them.

use std::{
    collections::VecDeque,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::file::{Database, Kind};
use crate::keyvalue::Error;

/// Writes of one transaction.
const TOGETHER: usize = 256;

/// Work that waits for the file, and its connection.
pub(super) struct Queue {
    path: PathBuf,
    kind: Kind,
    line: Mutex<Line>,
    /// Only ever locked by the one task that is at work.
    database: Mutex<Option<Database>>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Box<dyn Job>>,
    at_work: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("path", &self.path).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(path: &Path, kind: Kind) -> Arc<Self> {
        Arc::new(Self { path: path.to_owned(), kind, line: Mutex::default(), database: Mutex::default() })
    }

    /// Does this when its turn has come. It may be done several times; the last time counts.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(&Database) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.enter(Box::new(Work { work, outcome: None, answer }));
        answered.await.unwrap_or_else(|_| Err(Error::Failed("the house is ending".into())))
    }

    fn enter(self: &Arc<Self>, job: Box<dyn Job>) {
        let mut line = self.line();
        line.waiting.push_back(job);
        if !std::mem::replace(&mut line.at_work, true) {
            let queue = self.clone();
            tokio::task::spawn_blocking(move || queue.drain());
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does all that waits.
    fn drain(&self) {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut jobs = {
                let mut line = self.line();
                // Whoever waits no more is not served: the client has left, or it took too long.
                line.waiting.retain(|job| job.is_wanted());
                let count = line.waiting.len().min(TOGETHER);
                let jobs: Vec<_> = line.waiting.drain(..count).collect();
                line.at_work = !jobs.is_empty();
                jobs
            };
            if jobs.is_empty() {
                return;
            }
            if database.as_ref().is_none_or(Database::is_broken) {
                // The old connection is closed before there is a new one.
                *database = None;
                match Database::open(&self.path, self.kind) {
                    Ok(opened) => *database = Some(opened),
                    Err(error) => jobs.drain(..).for_each(|job| job.settle(Err(error.clone()))),
                }
            }
            let Some(database) = &*database else { continue };
            match self.kind {
                Kind::Reads => jobs.iter_mut().for_each(|job| job.run(database)),
                Kind::Writes => jobs = write(database, jobs),
            }
            jobs.into_iter().for_each(|job| job.settle(Ok(())));
        }
    }
}

/// Writes in one transaction; where that cannot be, each in its own. Gives those back that are yet to be told.
fn write(database: &Database, mut jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    match transaction(database, &mut jobs) {
        Ok(()) => jobs,
        Err(error) if jobs.len() == 1 => {
            jobs.into_iter().for_each(|job| job.settle(Err(error.clone())));
            Vec::new()
        }
        Err(_) => jobs.into_iter().flat_map(|job| write(database, vec![job])).collect(),
    }
}

/// Does jobs in one transaction. One that fails by itself changes nothing, and says so to who waits for it.
///
/// # Errors
/// Where nothing was done.
fn transaction(database: &Database, jobs: &mut [Box<dyn Job>]) -> Result<(), Error> {
    database.execute("BEGIN IMMEDIATE")?;
    let alone = jobs.len() == 1;
    for job in jobs {
        job.run(database);
        // A grave error, such as a full disk, has ended the transaction with all that was done in it.
        if !database.is_within() {
            let ended = Error::Failed("the transaction has ended".into());
            return if alone { Ok(()) } else { Err(ended) };
        }
    }
    database.execute("COMMIT").inspect_err(|_| {
        if database.is_within() {
            // Where even this fails, the connection is broken and is closed.
            let _ = database.execute("ROLLBACK");
        }
    })
}

/// Work that somebody waits for.
trait Job: Send {
    /// Whether anybody waits still.
    fn is_wanted(&self) -> bool;
    fn run(&mut self, database: &Database);
    /// Tells what came of it; an error where it does not hold.
    fn settle(self: Box<Self>, held: Result<(), Error>);
}

struct Work<F, T> {
    work: F,
    outcome: Option<Result<T, Error>>,
    answer: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Work<F, T>
where
    F: Fn(&Database) -> Result<T, Error> + Send,
    T: Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(&mut self, database: &Database) {
        self.outcome = Some((self.work)(database));
    }

    fn settle(self: Box<Self>, held: Result<(), Error>) {
        let Self { outcome, answer, .. } = *self;
        let undone = || Err(Error::Failed("it was not done".into()));
        let outcome = held.and_then(|()| outcome.unwrap_or_else(undone));
        // Whoever waits no more need not be told.
        let _ = answer.send(outcome);
    }
}
