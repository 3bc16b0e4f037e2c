//! Uses files as `/read?path=`, `/write?path=&text=`, `/list?path=`, `/link?path=&to=` (symbolic), `/hard-link?path=&to=`
//! and `/rename?path=&to=` say, and answers what came of it; `/hoard?path=` opens the file again and again, and answers how
//! often that went well.

use std::{fs, io};

use test_guests::{guest, p2, target::Target, wasip2::filesystem::preopens};

guest!(|_request, target, out| {
    let outcome = act(target).unwrap_or_else(|error| format!("refused: {:?}", error.kind()));
    p2::answer(out, &outcome);
});

fn act(target: &Target) -> io::Result<String> {
    let path = target.get("path").unwrap_or_default();
    let to = target.get("to").unwrap_or_default();
    let done = |()| "done".to_owned();
    match target.path.as_str() {
        "/read" => fs::read_to_string(path),
        "/write" => {
            fs::write(path, target.get("text").unwrap_or_default())?;
            Ok("written".to_owned())
        }
        "/link" => link(path, to).map(done),
        "/hard-link" => fs::hard_link(to, path).map(done),
        "/hoard" => {
            let mut open = Vec::new();
            loop {
                match fs::File::open(path) {
                    Ok(file) => open.push(file),
                    Err(error) => break Ok(format!("{} and then {error}", open.len())),
                }
            }
        }
        "/rename" => fs::rename(path, to).map(done),
        _ => {
            let names: io::Result<Vec<_>> = fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect();
            let mut names = names?;
            names.sort();
            Ok(names.join(" "))
        }
    }
}

/// Makes the symbolic link `path`, whatever it leads to.
fn link(path: &str, to: &str) -> io::Result<()> {
    for (folder, name) in preopens::get_directories() {
        if let Some(rest) = path.strip_prefix(&format!("{name}/")) {
            let made = folder.symlink_at(to, rest);
            return made.map_err(|error| io::Error::other(format!("{error:?}")));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}
