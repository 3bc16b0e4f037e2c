//! Writes zeros to the file of its first folder that is named by `?path=`, until it may not, and answers how many and why it
//! ended; with `?append=1` at its end.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::{
        filesystem::{
            preopens,
            types::{DescriptorFlags, OpenFlags, PathFlags},
        },
        wit_stream,
    },
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let path = target.get("path").unwrap_or_default().to_owned();
    let folders = preopens::get_directories();
    let (folder, _) = folders.first().expect("a folder");
    let opened = folder.open_at(PathFlags::empty(), path, OpenFlags::CREATE, DescriptorFlags::WRITE).await;
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Ok(p3::text(&format!("not opened: {error:?}"))),
    };
    let (mut writer, reader) = wit_stream::new();
    let end = if target.get("append").is_some() {
        file.append_via_stream(reader)
    } else {
        file.write_via_stream(reader, 0)
    };
    let mut written = 0;
    loop {
        let piece = vec![0; 64 * 1024];
        let length = piece.len();
        let rest = writer.write_all(piece).await;
        written += length - rest.len();
        if !rest.is_empty() {
            break;
        }
    }
    drop(writer);
    Ok(p3::text(&format!("{written} and then {:?}", end.await)))
}
