//! What is known of an unfinished object: the note.
//!
//! One small object beside the unfinished one, made when it is begun and deleted when it is finished.
//! It is empty at first; each sync replaces it:
//!
//! ```text
//! {"version":1,"upload":"…","parts":[["etag",crc,size],…],"mark":{…},"before":{…}}\n
//! <the bytes behind the last whole part, at the mark> <the same at the mark before, if not there>
//! ```
//!
//! So the end of an upload that is too short to be a part is as durable as its parts, and is replaced
//! in the same request that says so: there is no moment at which the two differ, and nothing else that
//! could be left over. It is kept here and not by the caller, because a sync has to be true whatever
//! becomes of a cache, and 8 MiB are no state of a session. It names the multipart upload before that
//! has its first part, so whoever deletes, lists or resumes a key finds everything with this one name,
//! and uploads in progress are never searched for. It goes back to two marks, the last and the one
//! before, because whoever keeps the state of a session may have died between a sync and
//! writing that down.
//!
//! Each writing of the note is conditional on the one before it (`If-Match`), and carries a token: a
//! writer that was deleted or overtaken meanwhile is told so, and one whose answer was lost finds
//! out whether it was written.

use serde::{Deserialize, Serialize};

use super::checksum::Checksum;
use super::failure::Failure;

/// The form of notes, which only grows.
const VERSION: u32 = 1;

/// The head of a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) version: u32,
    /// The multipart upload, once there is one.
    pub(super) upload: Option<String>,
    /// Its parts up to the mark.
    pub(super) parts: Vec<Part>,
    /// How far the object was synced.
    pub(super) mark: Mark,
    /// How far it was synced before that.
    pub(super) before: Option<Mark>,
}

/// A part that is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u32, u64)", into = "(String, u32, u64)")]
pub(super) struct Part {
    pub(super) etag: String,
    pub(super) checksum: Checksum,
}

/// A place in an object up to which all is durable: so many parts, and the tail behind them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) parts: usize,
    /// Where the tail begins, behind the head of the note.
    pub(super) at: u64,
    /// How long it is.
    pub(super) tail: u64,
    /// Its checksum.
    pub(super) crc: u32,
    /// By chance, so that whoever kept the state of this mark can tell it from another one of the same
    /// length and checksum. Older notes have none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) id: u64,
}

/// A note as it is in the store.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    pub(super) etag: String,
    /// How long its head is.
    pub(super) head: u64,
    pub(super) note: Note,
}

// === impl Note ===

impl Note {
    /// The head as it is written.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut head = serde_json::to_vec(self).expect("numbers and text are JSON");
        head.push(b'\n');
        head
    }

    /// Reads a head of which `bytes` are the beginning; `None` if it goes on behind them.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<(u64, Self)>, Failure> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let read = serde_json::from_slice::<Self>(&bytes[..end]);
        let note = read.map_err(|error| Failure::odd(format!("with a broken note: {error}")))?;
        let marks = std::iter::once(&note.mark).chain(&note.before);
        if note.version != VERSION || marks.into_iter().any(|mark| mark.parts > note.parts.len()) {
            return Err(Failure::odd("with a note of another form"));
        }
        Ok(Some((end as u64 + 1, note)))
    }

    /// The mark that a state of `len` bytes with this detail was exported at. Nothing is a mark.
    pub(super) fn find(&self, len: u64, detail: &str) -> Option<Mark> {
        if len == 0 {
            return Some(Mark::default());
        }
        let is_it = |mark: &&Mark| {
            let is_long = mark.checksum(&self.parts).len == len;
            is_long && (detail.is_empty() || mark.detail(&self.parts) == detail)
        };
        let mut marks = std::iter::once(&self.mark).chain(&self.before);
        marks.find(is_it).copied()
    }
}

impl Default for Note {
    fn default() -> Self {
        Self {
            version: VERSION,
            upload: None,
            parts: Vec::new(),
            mark: Mark::default(),
            before: None,
        }
    }
}

// === impl Part ===

impl From<(String, u32, u64)> for Part {
    fn from((etag, crc, len): (String, u32, u64)) -> Self {
        Self {
            etag,
            checksum: Checksum { crc, len },
        }
    }
}

impl From<Part> for (String, u32, u64) {
    fn from(part: Part) -> Self {
        (part.etag, part.checksum.crc, part.checksum.len)
    }
}

// === impl Mark ===

impl Mark {
    /// The checksum of everything before it, `parts` being at least those before it.
    pub(super) fn checksum(&self, parts: &[Part]) -> Checksum {
        let parts = parts.iter().take(self.parts).map(|part| part.checksum);
        let whole = parts.fold(Checksum::default(), Checksum::then);
        whole.then(self.tail_checksum())
    }

    /// What tells it from other marks: its checksum, and its id.
    pub(super) fn detail(&self, parts: &[Part]) -> String {
        let checksum = self.checksum(parts).text();
        match self.id {
            0 => checksum,
            id => format!("{checksum}:{id:016x}"),
        }
    }

    pub(super) const fn tail_checksum(&self) -> Checksum {
        Checksum {
            crc: self.crc,
            len: self.tail,
        }
    }

    /// Whether both are the same place, wherever the note has the tail.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        let place = |mark: &Self| (mark.parts, mark.tail, mark.crc);
        place(self) == place(other)
    }

    /// Whether nothing is before it.
    pub(super) const fn is_begin(&self) -> bool {
        self.parts == 0 && self.tail == 0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_none(id: &u64) -> bool {
    *id == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let part = |text: &str| Part {
            etag: format!("\"{text}\""),
            checksum: Checksum::of(text.as_bytes()),
        };
        let mark = |parts, at, tail: &str| Mark {
            parts,
            at,
            tail: tail.len() as u64,
            crc: Checksum::of(tail.as_bytes()).crc,
            id: 0,
        };
        Note {
            version: VERSION,
            upload: Some("upload".to_owned()),
            parts: vec![part("first "), part("second ")],
            mark: mark(2, 0, "tail"),
            before: Some(mark(1, 4, "sec")),
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = note();
        let mut bytes = note.encode();
        let head = bytes.len() as u64;
        bytes.extend(b"tail\nsec");
        assert_eq!(Note::decode(&bytes).unwrap(), Some((head, note)));
        assert_eq!(Note::decode(&bytes[..20]).unwrap(), None);
        for broken in ["\n", "{}\n", "{\"version\":2}\n"] {
            assert!(Note::decode(broken.as_bytes()).is_err(), "{broken}");
        }
        // Notes are read by later versions: this text must always be understood.
        let v1 = "{\"version\":1,\"upload\":null,\"parts\":[[\"e\",7,9]],\
                  \"mark\":{\"parts\":1,\"at\":0,\"tail\":0,\"crc\":0},\"before\":null}\n";
        assert!(Note::decode(v1.as_bytes()).unwrap().is_some());
    }

    #[test]
    fn a_state_is_found_by_length_and_content() {
        let note = note();
        let text = |bytes: &str| Checksum::of(bytes.as_bytes()).text();
        let tail = text("first second tail");
        assert_eq!(note.find(17, &tail), Some(note.mark));
        assert_eq!(note.find(17, ""), Some(note.mark));
        assert_eq!(note.find(9, &text("first sec")), note.before);
        assert_eq!(note.find(0, "whatever"), Some(Mark::default()));
        assert_eq!(note.find(17, &text("first second tale")), None);
        assert_eq!(
            note.find(6, &text("first ")),
            None,
            "it was not synced there"
        );
    }

    #[test]
    fn a_mark_is_told_from_another_one_with_the_same_checksum() {
        let mut note = note();
        note.mark.id = 7;
        let detail = note.mark.detail(&note.parts);
        assert_eq!(note.find(17, &detail), Some(note.mark));
        assert_eq!(note.find(17, ""), Some(note.mark));
        note.mark.id = 8;
        assert_eq!(note.find(17, &detail), None);
        let read = Note::decode(&note.encode()).unwrap();
        assert_eq!(read.unwrap().1, note);
    }
}
