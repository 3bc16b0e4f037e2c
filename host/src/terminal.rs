//! The terminal at which the operator runs a command of an app. Knows nothing of apps: it stops showing what is typed, for
//! passwords, and sees to it that it is shown again.

use std::{
    io::{IsTerminal, stdin},
    sync::{Mutex, PoisonError},
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal of this process, if it has one. Dropped, it is as it was before.
#[derive(Debug, Default)]
pub struct Terminal {
    before: Mutex<Option<Termios>>,
}

impl Terminal {
    /// Shows what is typed from now on, or not. What was typed before and not read is forgotten, as `getpass` does.
    /// False where standard input is no terminal.
    pub(crate) fn set_echo(&self, on: bool) -> bool {
        if !stdin().is_terminal() {
            return false;
        }
        let Ok(mut modes) = tcgetattr(stdin()) else { return false };
        self.before.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| modes.clone());
        modes.local_modes.set(LocalModes::ECHO, on);
        let when = if on { OptionalActions::Drain } else { OptionalActions::Flush };
        tcsetattr(stdin(), when, &modes).is_ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(modes) = self.before.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // One that has gone needs nothing.
            let _ = tcsetattr(stdin(), OptionalActions::Drain, &modes);
        }
    }
}
