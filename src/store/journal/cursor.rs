//! Reads a segment from front to back through one buffer, for checking it.
//! Never holds more than the buffer, which grows only to the largest group.

use super::format::{GROUP_HEADER_BYTES, GroupHeader};
use crate::store::disk::{DiskFile, read_up_to};
use std::io;
use std::sync::Arc;

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A file of known length, seen through a buffer.
pub(super) struct Cursor {
    file: Arc<dyn DiskFile>,
    length: u64,
    buffer: Vec<u8>,
    begin: u64,
}

impl Cursor {
    pub(super) fn new(file: Arc<dyn DiskFile>) -> io::Result<Self> {
        let length = file.length()?;
        Ok(Self { file, length, buffer: Vec::new(), begin: 0 })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// The bytes at this offset, at most as many as asked, fewer only where the file ends.
    pub(super) fn bytes(&mut self, offset: u64, wanted: u64) -> io::Result<&[u8]> {
        let wanted = wanted.min(self.length.saturating_sub(offset));
        let wanted = usize::try_from(wanted).map_err(io::Error::other)?;
        let inside = |begin: u64, held: usize| {
            let skip = usize::try_from(offset.checked_sub(begin)?).ok()?;
            let end = skip.checked_add(wanted)?;
            (end <= held).then_some(skip..end)
        };
        if inside(self.begin, self.buffer.len()).is_none() {
            let left = self.length.saturating_sub(offset);
            let ahead = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER_BYTES);
            self.buffer.resize(wanted.max(ahead), 0);
            let read = read_up_to(self.file.as_ref(), &mut self.buffer, offset)?;
            self.buffer.truncate(read);
            self.begin = offset;
        }
        let range = inside(self.begin, self.buffer.len()).unwrap_or(0..self.buffer.len());
        Ok(self.buffer.get(range).unwrap_or_default())
    }

    /// The whole group at this offset, its hash verified; none when there is none.
    pub(super) fn group(&mut self, offset: u64) -> io::Result<Option<(GroupHeader, &[u8])>> {
        let front = self.bytes(offset, GROUP_HEADER_BYTES as u64)?;
        let Some(header) = GroupHeader::decode(front) else {
            return Ok(None);
        };
        if header.length() > self.length.saturating_sub(offset) {
            return Ok(None);
        }
        Ok(GroupHeader::whole(self.bytes(offset, header.length())?))
    }
}
