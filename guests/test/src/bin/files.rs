//! Uses files as `/read?path=`, `/write?path=&text=`, `/list?path=`, `/link?path=&to=` (symbolic), `/hard-link?path=&to=`
//! and `/rename?path=&to=` say, and answers what came of it; `/hoard?path=` opens the file again and again, and answers how
//! often that went well. `/fill?path=` writes zeros to the file until it may not, and answers how many; `/crowd?path=` makes
//! files in the folder likewise. `/over?path=&text=` writes over the beginning of a file, `/extend?path=&bytes=` sets its length,
//! `/remove?path=` removes it.

use std::{
    fs,
    io::{self, Write},
};

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
        "/fill" => {
            let (mut file, zeros, mut written) = (fs::File::create(path)?, [0; 64 * 1024], 0);
            loop {
                match file.write(&zeros) {
                    Ok(bytes) => written += bytes,
                    Err(error) => break Ok(format!("{written} and then {error}")),
                }
            }
        }
        "/crowd" => {
            let mut made = 0;
            loop {
                match fs::File::create(format!("{path}/{made}")) {
                    Ok(_) => made += 1,
                    Err(error) => break Ok(format!("{made} and then {error}")),
                }
            }
        }
        "/over" => {
            let mut file = fs::OpenOptions::new().write(true).open(path)?;
            file.write_all(target.get("text").unwrap_or_default().as_bytes()).map(done)
        }
        "/extend" => {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(target.number("bytes").unwrap_or_default()).map(done)
        }
        "/remove" => fs::remove_file(path).map(done),
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
