//! Decompresses one message, up to the size that a message may have.

use std::io::{self, Read};

use flate2::bufread::GzDecoder;
use tonic::{Status, codegen::Bytes};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::chunks::{ChunkReader, Chunks};
use crate::service::{
    error::ServiceError,
    status::{MESSAGE_BYTES, malformed},
};

/// The bytes that are decompressed at a time.
const BLOCK: usize = 16 * 1024;

/// A compression that requests may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

/// Decompresses a message. `check` is called with its bytes from time to time.
///
/// # Errors
/// The status of a message that is too large, or not in this compression, and those of `check`.
pub fn decompress(
    compression: Compression,
    message: Vec<Bytes>,
    check: impl FnMut(&Chunks) -> Result<(), Status>,
) -> Result<Chunks, Status> {
    let input = ChunkReader::new(message);
    match compression {
        Compression::Gzip => read_to_limit(GzDecoder::new(input), check),
        Compression::Zstd => read_to_limit(ZstdDecoder::with_buffer(input).map_err(broken)?, check),
    }
}

/// Reads to the end, or to the first block beyond the limit.
fn read_to_limit(mut input: impl Read, mut check: impl FnMut(&Chunks) -> Result<(), Status>) -> Result<Chunks, Status> {
    let mut chunks = Chunks::default();
    let mut block = [0; BLOCK];
    loop {
        let bytes = input.read(&mut block).map_err(broken)?;
        if bytes == 0 {
            return Ok(chunks);
        }
        chunks.append(&block[..bytes]);
        if chunks.len() > MESSAGE_BYTES {
            return Err(ServiceError::RequestTooLarge.into());
        }
        check(&chunks)?;
    }
}

fn broken(error: io::Error) -> Status {
    malformed(&format!("it cannot be decompressed: {error}"))
}
