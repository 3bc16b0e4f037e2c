//! Answers whole, then computes for ever.

use test_guests::{
    guest_p3,
    p3::{self, ErrorCode, Request, Response},
    target::Target,
};

guest_p3!(behave);

async fn behave(_request: Request, _target: Target) -> Result<Response, ErrorCode> {
    let write = |mut body: p3::Body| async move {
        body.write_all(b"answered\n".to_vec()).await;
        Ok(None)
    };
    Ok(p3::streamed_then(&[], write, async {
        loop {
            std::hint::black_box(());
        }
    }))
}
