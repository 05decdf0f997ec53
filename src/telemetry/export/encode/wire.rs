//! The wire format of [protobuf](https://protobuf.dev/programming-guides/encoding/), as far as OTLP
//! uses it.

// Wire types.
pub(super) const VARINT: u32 = 0;
pub(super) const FIXED_64: u32 = 1;
pub(super) const LENGTH: u32 = 2;
pub(super) const FIXED_32: u32 = 5;

// `bytes`, `text` and `number` leave out the default value, as proto3 does. `fixed_64` and
// `fixed_32` hold times and flags, which are hardly ever zero, and are always written.

pub(super) fn bytes(buf: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    if !bytes.is_empty() {
        tag(buf, field, LENGTH);
        varint(buf, bytes.len() as u64);
        buf.extend_from_slice(bytes);
    }
}

pub(super) fn text(buf: &mut Vec<u8>, field: u32, text: &str) {
    bytes(buf, field, text.as_bytes());
}

pub(super) fn number(buf: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        tag(buf, field, VARINT);
        varint(buf, number);
    }
}

pub(super) fn fixed_64(buf: &mut Vec<u8>, field: u32, number: u64) {
    tag(buf, field, FIXED_64);
    buf.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn fixed_32(buf: &mut Vec<u8>, field: u32, number: u32) {
    tag(buf, field, FIXED_32);
    buf.extend_from_slice(&number.to_le_bytes());
}

/// Writes a nested message. Its length precedes it, but is known only afterwards, so one byte is
/// reserved; if the length needs more bytes, the message is moved.
pub(super) fn message(buf: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(buf, field, LENGTH);
    let at = buf.len();
    buf.push(0);
    write(buf);
    let n_bytes = buf.len() - at - 1;
    match u8::try_from(n_bytes) {
        Ok(short) if short < 0x80 => buf[at] = short,
        _ => {
            let mut length = Vec::with_capacity(10);
            varint(&mut length, n_bytes as u64);
            buf.splice(at..=at, length);
        }
    }
}

pub(super) fn tag(buf: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(buf, (field << 3 | wire_type).into());
}

/// Writes a number in groups of seven bits, the lowest first. The top bit of a byte says that
/// another one follows.
pub(super) fn varint(buf: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        buf.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    buf.push(number.to_le_bytes()[0]);
}
