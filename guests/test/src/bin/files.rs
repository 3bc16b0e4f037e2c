//! Uses files as `/read?path=`, `/write?path=&text=` and `/list?path=` say, and answers what came of it.

use std::{fs, io};

use test_guests::{guest, p2, target::Target};

guest!(|_request, target, out| {
    let outcome = act(target).unwrap_or_else(|error| format!("refused: {:?}", error.kind()));
    p2::answer(out, &outcome);
});

fn act(target: &Target) -> io::Result<String> {
    let path = target.get("path").unwrap_or_default();
    match target.path.as_str() {
        "/read" => fs::read_to_string(path),
        "/write" => {
            fs::write(path, target.get("text").unwrap_or_default())?;
            Ok("written".to_owned())
        }
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
