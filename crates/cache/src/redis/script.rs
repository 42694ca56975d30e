//! The commands that Redis is sent, and the scripts among them.
//!
//! A script is sent whole each time: they are shorter than what they work on, and Redis keeps what it
//! compiled of them.

use std::time::Duration;

use redis::{Cmd, Value, cmd};

use crate::Count;

/// Writes if what is there begins with the expected version, or if nothing is there and nothing is
/// expected; else answers what is there. An entry that is too short to have a version is none.
const COMPARE_AND_SET: &str = "\
local version = redis.call('GETRANGE', KEYS[1], 0, 15)
if #version < 16 then version = '' end
if version == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return redis.call('GET', KEYS[1])";

/// Adds, and opens a window if there is none. The total is answered as Redis has it, since the numbers
/// of scripts have fewer digits.
const INCREMENT: &str = "\
local added = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(added) == 'table' and added.err then
  if not string.find(added.err, 'overflow', 1, true) then return added end
  redis.call('SET', KEYS[1], '9223372036854775807', 'KEEPTTL')
end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return { redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }";

pub(super) fn get(key: &[u8]) -> Cmd {
    let mut command = cmd("GET");
    command.arg(key);
    command
}

pub(super) fn set(key: &[u8], value: &[u8], millis: u64) -> Cmd {
    let mut command = cmd("SET");
    command.arg(key).arg(value).arg("PX").arg(millis);
    command
}

pub(super) fn delete(key: &[u8]) -> Cmd {
    let mut command = cmd("DEL");
    command.arg(key);
    command
}

pub(super) fn compare_and_set(
    key: &[u8],
    expected: Option<&[u8]>,
    value: &[u8],
    millis: u64,
) -> Cmd {
    let mut command = evaluate(COMPARE_AND_SET, key);
    command
        .arg(expected.unwrap_or_default())
        .arg(value)
        .arg(millis);
    command
}

pub(super) fn increment(key: &[u8], by: i64, millis: u64) -> Cmd {
    let mut command = evaluate(INCREMENT, key);
    command.arg(by).arg(millis);
    command
}

/// What an increment answered.
pub(super) fn count(answer: &Value) -> Option<Count> {
    let Value::Array(answer) = answer else {
        return None;
    };
    let [Value::BulkString(total), Value::Int(millis)] = &answer[..] else {
        return None;
    };
    Some(Count {
        total: std::str::from_utf8(total).ok()?.parse().ok()?,
        resets_in: Duration::from_millis(u64::try_from(*millis).ok()?),
    })
}

fn evaluate(script: &str, key: &[u8]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(script).arg(1).arg(key);
    command
}
