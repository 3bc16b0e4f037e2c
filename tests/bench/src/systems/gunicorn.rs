//! gunicorn with a Django project, natively.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::{START_PATIENCE, Server};

/// Serves the project `legacy` in a folder with so many workers of gunicorn's default kind, in the environment `venv`.
pub fn gunicorn(venv: &Path, project: &Path, workers: usize) -> Result<Server> {
    let mut command = Command::new(venv.join("bin/gunicorn"));
    command.args(["--workers", &workers.to_string(), "--bind", "127.0.0.1:0", "legacy.wsgi:application"]);
    // Not one file is left in the project.
    command.current_dir(project).env("PYTHONPYCACHEPREFIX", venv.join("pycache"));
    command.env_remove("PYTHONPATH").env_remove("GUNICORN_CMD_ARGS").env_remove("WEB_CONCURRENCY");
    Server::start("gunicorn", command, "Listening at: http://", START_PATIENCE, |_| {})
}
