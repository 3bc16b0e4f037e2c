//! Runs the tools that builds are made of: each in a process group of its own, so that it ends with all that it
//! started, with its output in a log file, of which a failure shows the telling part.
//!
//! Knows nothing of what the tools are for.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

use super::excerpt;
use crate::threads;

/// Between the polite signal and the other one. `make` uses it to remove what it has half made.
const GRACE: Duration = Duration::from_secs(2);

/// One tool to run.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    /// What the messages call it: `pip install`, `cargo build`.
    name: &'a str,
    command: Command,
}

/// Where a job's tools write, and what stops them.
#[derive(Debug, Clone)]
pub(super) struct Run {
    log: PathBuf,
    stop: CancellationToken,
}

#[derive(Debug)]
pub(super) enum ToolError {
    /// The program is not there.
    Missing { program: String },
    /// The build was told to stop.
    Stopped,
    /// It ran and failed; `excerpt` is the telling part of its output.
    Failed { name: String, status: ExitStatus, excerpt: String, log: PathBuf },
    /// It could not be run, or its log not be written.
    Io { name: String, error: io::Error },
}

impl Run {
    /// Begins a new log file.
    pub(super) fn new(log: PathBuf, stop: &CancellationToken) -> Run {
        // A log that cannot be begun is reported by the first tool that wants to write there.
        let _later = fs::remove_file(&log);
        Run { log, stop: stop.clone() }
    }

    fn open_log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).read(true).open(&self.log)
    }
}

impl<'a> Tool<'a> {
    pub(super) fn new(name: &'a str, program: impl AsRef<OsStr>) -> Tool<'a> {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        for key in outer_build_variables() {
            command.env_remove(key);
        }
        Tool { name, command }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(super) fn without_env(mut self, keys: &[&str]) -> Self {
        for key in keys {
            self.command.env_remove(key);
        }
        self
    }

    pub(super) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it to its end; all output goes to the log. Returns the warnings in it.
    pub(super) async fn run(mut self, run: &Run) -> Result<String, ToolError> {
        let (log, start) = self.begin(run)?;
        let (out, err) =
            log.try_clone().and_then(|out| Ok((out, log.try_clone()?))).map_err(|error| self.io(error))?;
        self.command.stdout(out).stderr(err);
        let child = self.spawn()?;
        let status = self.wait(child, run).await?;
        let output = excerpt::read(&log, start).map_err(|error| self.io(error))?;
        self.judge(status, &output, run)?;
        Ok(excerpt::from_first(&output, "warning").unwrap_or_default())
    }

    /// Runs it to its end and returns what it printed; the log has its standard error. With the output of a failed
    /// tool comes its error.
    pub(super) async fn output(mut self, run: &Run) -> (Vec<u8>, Result<(), ToolError>) {
        let mut output = Vec::new();
        let result = self.output_into(&mut output, run).await;
        (output, result)
    }

    async fn output_into(&mut self, output: &mut Vec<u8>, run: &Run) -> Result<(), ToolError> {
        let (log, start) = self.begin(run)?;
        let errors = log.try_clone().map_err(|error| self.io(error))?;
        self.command.stdout(Stdio::piped()).stderr(errors);
        let mut child = self.spawn()?;
        let stdout = child.0.stdout.take();
        let read = async {
            match stdout {
                Some(mut stdout) => stdout.read_to_end(output).await.map(|_| ()),
                None => Ok(()),
            }
        };
        let (read, status) = tokio::join!(read, self.wait(child, run));
        let status = status?;
        read.map_err(|error| self.io(error))?;
        let said = excerpt::read(&log, start).map_err(|error| self.io(error))?;
        self.judge(status, &said, run)
    }

    /// Opens the log and notes the command there; returns where the tool's own output begins.
    fn begin(&self, run: &Run) -> Result<(File, u64), ToolError> {
        let begin = || {
            let mut log = run.open_log()?;
            writeln!(log, "$ {:?}", self.command.as_std())?;
            let start = log.seek(SeekFrom::End(0))?;
            Ok((log, start))
        };
        begin().map_err(|error| self.io(error))
    }

    fn spawn(&mut self) -> Result<Group, ToolError> {
        match threads::spawn_anywhere(&mut self.command) {
            Ok(child) => Ok(Group(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ToolError::Missing {
                program: self.command.as_std().get_program().to_string_lossy().into_owned(),
            }),
            Err(error) => Err(self.io(error)),
        }
    }

    async fn wait(&self, mut group: Group, run: &Run) -> Result<ExitStatus, ToolError> {
        tokio::select! {
            status = group.0.wait() => return status.map_err(|error| self.io(error)),
            () = run.stop.cancelled() => {}
        }
        let pid = group.pid();
        signal(pid, Signal::TERM);
        let _ended = tokio::time::timeout(GRACE, group.0.wait()).await;
        // Its children may have stayed behind when it went.
        signal(pid, Signal::KILL);
        Err(ToolError::Stopped)
    }

    fn judge(&self, status: ExitStatus, output: &str, run: &Run) -> Result<(), ToolError> {
        if status.success() {
            return Ok(());
        }
        if run.stop.is_cancelled() {
            return Err(ToolError::Stopped);
        }
        let (name, log) = (self.name.to_owned(), run.log.clone());
        Err(ToolError::Failed { name, status, excerpt: excerpt::of_failure(output), log })
    }

    fn io(&self, error: io::Error) -> ToolError {
        ToolError::Io { name: self.name.to_owned(), error }
    }
}

/// A child with the process group that it leads.
struct Group(Child);

impl Group {
    /// `None` once it has been waited for: the number may then be another's.
    fn pid(&self) -> Option<Pid> {
        self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        signal(self.pid(), Signal::KILL);
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // It may have ended by itself meanwhile.
        let _gone = kill_process_group(group, signal);
    }
}

impl ToolError {
    /// What the tool said, for those who know its ways.
    pub(super) fn excerpt(&self) -> &str {
        match self {
            ToolError::Failed { excerpt, .. } => excerpt,
            _ => "",
        }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ToolError::Missing { program } => write!(f, "`{program}` is not installed, or not on PATH"),
            ToolError::Stopped => write!(f, "stopped"),
            ToolError::Io { name, error } => write!(f, "cannot run `{name}`: {error}"),
            ToolError::Failed { name, status, excerpt, log } => {
                write!(f, "`{name}` failed ({status})")?;
                for line in excerpt.lines() {
                    write!(f, "\n  | {}", excerpt::shortened(line))?;
                }
                write!(f, "\n  whole log: {}", log.display())
            }
        }
    }
}

impl std::error::Error for ToolError {}

/// Variables that a cargo around this process set for its own build (`cargo run`, `cargo test`), which would lead a
/// tool's cargo, or a rustc, to the wrong toolchain, target or folder. The operator's own (where crates come from,
/// proxies) stay.
fn outer_build_variables() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(key, _)| key.into_string().ok()).filter(|key| is_of_outer_build(key))
}

fn is_of_outer_build(key: &str) -> bool {
    const KEPT: &[&str] = &["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    const SET: &[&str] =
        &["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "RUST_RECURSION_COUNT"];
    // `cargo run` puts the libraries of its toolchain and of its build there.
    let loader = key == "LD_LIBRARY_PATH" && std::env::var_os("CARGO").is_some();
    loader || (SET.iter().any(|set| key.starts_with(set)) && !KEPT.iter().any(|kept| key.starts_with(kept)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn run(dir: &Path) -> Run {
        Run::new(dir.join("log"), &CancellationToken::new())
    }

    fn shell(script: &str) -> Tool<'static> {
        Tool::new("script", "sh").arg("-c").arg(script)
    }

    #[tokio::test]
    async fn a_failure_shows_the_telling_lines_and_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let run = run(dir.path());
        assert_eq!(shell("echo error: of another tool").run(&run).await.unwrap(), "");
        assert_eq!(shell("echo chatter; echo Warning: dry").run(&run).await.unwrap(), "Warning: dry");
        let error = shell("echo chatter; echo 'error: no bread' >&2; echo detail; exit 3")
            .run(&run)
            .await
            .unwrap_err();
        assert_eq!(error.excerpt(), "error: no bread\ndetail");
        let text = error.to_string();
        assert!(text.contains("`script` failed (exit status: 3)"), "{text}");
        assert!(text.contains(&dir.path().join("log").display().to_string()), "{text}");
        assert!(fs::read_to_string(dir.path().join("log")).unwrap().contains("chatter"));
    }

    #[tokio::test]
    async fn output_comes_with_the_error_of_a_failed_tool() {
        let dir = tempfile::tempdir().unwrap();
        let (output, result) = shell("echo out; echo err >&2; exit 1").output(&run(dir.path())).await;
        assert_eq!(output, b"out\n");
        assert_eq!(result.unwrap_err().excerpt(), "err");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = Tool::new("x", "no-such-program").run(&run(dir.path())).await.unwrap_err();
        assert!(matches!(error, ToolError::Missing { .. }));
        assert!(error.to_string().contains("`no-such-program` is not installed"));
    }

    /// Reading to the end of a pipe that every process of the group holds: it comes only when all of them have ended.
    #[tokio::test]
    async fn stopping_ends_the_tool_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let run = Run::new(dir.path().join("log"), &stop);
        let fifo = dir.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let tool = shell("exec >\"$FIFO\"; sleep 1000 & echo ready; wait").env("FIFO", &fifo);
        let watch = tokio::task::spawn_blocking(move || {
            let mut pipe = File::open(fifo).unwrap();
            let mut ready = [0; 6];
            pipe.read_exact(&mut ready).unwrap();
            stop.cancel();
            pipe.read_to_end(&mut Vec::new()).unwrap();
        });
        assert!(matches!(tool.run(&run).await, Err(ToolError::Stopped)));
        watch.await.unwrap();
    }

    #[test]
    fn the_outer_cargo_is_forgotten_and_the_operators_settings_are_not() {
        for key in [
            "CARGO_TARGET_DIR",
            "CARGO_MANIFEST_DIR",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
            "CARGO",
        ] {
            assert!(is_of_outer_build(key), "{key}");
        }
        for key in
            ["CARGO_HOME", "CARGO_REGISTRIES_CRATES_IO_PROTOCOL", "CARGO_HTTP_PROXY", "PATH", "RUSTUP_HOME"]
        {
            assert!(!is_of_outer_build(key), "{key}");
        }
    }
}
