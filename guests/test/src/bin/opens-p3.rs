//! Opens the first file of its first folder that is named by `?path=`, again and again, keeps all, and answers how often that
//! went well.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
    wasip3::filesystem::{
        preopens,
        types::{DescriptorFlags, OpenFlags, PathFlags},
    },
};

guest_p3!(behave);

async fn behave(_request: Request, target: Target) -> Result<Response, ErrorCode> {
    let path = target.get("path").unwrap_or_default().to_owned();
    let folders = preopens::get_directories();
    let (folder, _) = folders.first().expect("a folder");
    let mut open = Vec::new();
    loop {
        match folder
            .open_at(PathFlags::empty(), path.clone(), OpenFlags::empty(), DescriptorFlags::READ)
            .await
        {
            Ok(file) => open.push(file),
            Err(error) => return Ok(p3::text(&format!("{} and then {error:?}", open.len()))),
        }
    }
}
