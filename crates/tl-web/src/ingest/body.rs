//! Step 5: the raw bytes, under a deadline.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use tokio::time::timeout;

use crate::problem::{MALFORMED, Problem, SLOW_BODY};

/// Reads a body of a declared length.
pub(crate) async fn read(body: Body, length: u32, deadline: Duration) -> Result<Vec<u8>, Problem> {
    match timeout(deadline, to_bytes(body, length as usize)).await {
        Ok(Ok(bytes)) if bytes.len() == length as usize => Ok(bytes.into()),
        Ok(_) => Err(Problem::new(MALFORMED, "The body is not as long as declared.").close()),
        Err(_) => {
            let detail = format!("A body has {} s.", deadline.as_secs_f32());
            Err(Problem::new(SLOW_BODY, detail).close())
        }
    }
}
