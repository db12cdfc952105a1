//! Makes plain bytes small before they are encrypted, with a dictionary of what records look like: ciphertext does
//! not compress, and a single record has too little in it that repeats.
//! Never decides what is compressed, and never changes its dictionary: every store needs it.

use std::{cell::RefCell, io, sync::LazyLock};
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

/// What records look like, learned with zstd's own trainer from the commits and records of five organisations that
/// had gone through the tutorial, under ids and words of their own. Those of a sixth became 5.9 and 4.1 times
/// smaller; without a dictionary it is 2.3 and 1.8. Another dictionary is another version of the cipher's format; it is
/// made of what `tests/it/dictionary.rs` writes, by `zstd --train --maxdict=16384 SAMPLES/* -o 2.dictionary`.
static DICTIONARY: &[u8] = include_bytes!("compression/1.dictionary");

/// More than this saved at most a tenth more and took five times as long (2.6 µs for a commit of 1.2 KB).
const LEVEL: i32 = 3;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    // Making one costs more than using it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes as one zstd frame that says how long they are.
///
/// # Errors
/// When memory is short.
pub(super) fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|held| {
        let compressor = match held {
            Some(compressor) => compressor,
            None => held.insert(compressor()?),
        };
        compressor.compress(plain)
    })
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    // The cipher's tag says more than a checksum would, and its version names the dictionary.
    compressor.include_checksum(false)?;
    compressor.include_dictid(false)?;
    Ok(compressor)
}

/// What [`compress`] was given.
///
/// # Errors
/// When the bytes are no such frame, or memory is short.
pub(super) fn decompress(frame: &[u8]) -> io::Result<Vec<u8>> {
    let length = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let length = length.and_then(|length| usize::try_from(length).ok()).ok_or(io::ErrorKind::InvalidData)?;
    DECOMPRESSOR.with_borrow_mut(|held| {
        let decompressor = match held {
            Some(decompressor) => decompressor,
            None => held.insert(Decompressor::with_prepared_dictionary(&DECODER)?),
        };
        decompressor.decompress(frame, length)
    })
}
