//! Guests made by a command of the operator's: `source = { command = "make app.wasm" }`.
//!
//! The command runs at every build, because nothing tells what it reads; it is expected to do nothing when nothing is
//! to be done, as `make` and its like do.

use std::path::Path;

use anyhow::{Context, Result};

use super::{
    store::check_component,
    tool::{Run, Tool},
};

/// Runs the command in the manifest's folder; the components must then be there. Returns the size of the largest, in
/// bytes.
pub(super) async fn build(command: &str, folder: &Path, components: &[&Path], run: &Run) -> Result<u64> {
    Tool::new(command, "sh").arg("-c").arg(command).dir(folder).run(run).await?;
    let place = folder.display();
    let mut bytes = 0;
    for component in components {
        if !component.exists() {
            anyhow::bail!(
                "`{command}` ended well in {place}, but there is no {}\n\
                 help: `component` must be the file that the command makes",
                component.display()
            );
        }
        let check = check_component(component);
        bytes = bytes
            .max(check.with_context(|| format!("`{command}` ended well in {place}, but made no component"))?);
    }
    Ok(bytes)
}
