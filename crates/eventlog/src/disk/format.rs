//! The bytes of a segment file.
//!
//! Owns the layout; nobody else knows where a byte lies. Keeps the invariant that a frame is valid
//! at one place only: its checksum covers the segment's own and the frame's position, so that a
//! record cannot be taken for one of another segment, another topic or an older write.
//!
//! ```text
//! <number, 20 digits>.seg
//!
//!   header    magic "MRDNELOG" · version u16 · shards u16 · number u64
//!             offset at which each shard goes on here, u64 × shards
//!             length of topic u16 · topic · crc32 of all before
//!   group     one per write and sync
//!     commit  magic "cOmMiT\r\n" · when, in ms u64 · length of the group's records u32
//!     record* shard u16 · offset u64 · length of key u32 · of payload u32 · count of headers u32
//!             (length of name u32 · of value u32 · name · value)* · key · payload
//!   group …
//!   seal      once full: newest ms u64 · next offset u64 × shards
//!             (count u32 · (offset u64 · position u64)*) × shards
//!   trailer   position of seal u64 · magic "MRDNSEAL"
//!
//! frame (commit, record, seal)
//!   length u32 · crc32 · kind u8 · body       length is that of kind and body
//! ```
//!
//! All numbers are little-endian. A group without records is a mark: it says that all before it is
//! durable.

mod frame;
mod frame_writer;
mod header;
mod seal;

pub(super) use frame::{COMMIT_FRAME, Frame, Kind, MAX_RECORD_FRAME};
pub(super) use frame::{commit_follows, decode_record};
pub(super) use frame_writer::{FrameWriter, record_frame_size};
pub(super) use header::{Header, HeaderFault, MAX_HEADER};
pub(super) use seal::{Seal, TRAILER, trailer_position};

/// What a reader can say about bytes that are not what they should be.
pub(super) type Damage = &'static str;
