//! The hashes of keys in filters.
//!
//! [`hash64`] is a preview of XXH3 with 64 bits and no seed, which RocksDB made its own when it was not released yet; the released one has
//! other results. [`bloom_hash`] is that of LevelDB. Sources: `util/hash.cc`, `util/xxph3.h`; the test's values are from `util/hash_test.cc`.

const PRIME32_1: u64 = 0x9e37_79b1;
const PRIME32_2: u64 = 0x85eb_ca77;
const PRIME32_3: u64 = 0xc2b2_ae3d;
const PRIME64_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME64_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME64_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME64_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME64_5: u64 = 0x27d4_eb2f_1656_67c5;

/// What input is mixed with.
#[rustfmt::skip]
const SECRET: [u8; 192] = [
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
];

/// Bytes of a stripe of a long input, and of the secret that it moves on by.
const STRIPE: usize = 64;
const CONSUMED: usize = 8;
/// Stripes between scrambles.
const STRIPES: usize = (SECRET.len() - STRIPE) / CONSUMED;

/// 64 bits of a key: `GetSliceHash64`.
pub(super) fn hash64(key: &[u8]) -> u64 {
    let n = key.len();
    match n {
        // RocksDB's own.
        0 => fold(le64(&SECRET, 0), PRIME64_2),
        1..=3 => {
            let byte = |at: usize| u64::from(key.get(at).copied().unwrap_or(0));
            let combined = byte(0) | byte(n >> 1) << 8 | byte(n - 1) << 16 | (n as u64) << 24;
            avalanche((combined ^ le32(&SECRET, 0)).wrapping_mul(PRIME64_1))
        }
        4..=8 => {
            let keyed = (le32(key, 0) | le32(key, n - 4) << 32) ^ le64(&SECRET, 0);
            let mixed = (keyed ^ keyed >> 51).wrapping_mul(PRIME32_1).wrapping_add(n as u64);
            avalanche((mixed ^ mixed >> 47).wrapping_mul(PRIME64_2))
        }
        9..=16 => {
            let low = le64(key, 0) ^ le64(&SECRET, 0);
            let high = le64(key, n - 8) ^ le64(&SECRET, 8);
            avalanche((n as u64).wrapping_add(low).wrapping_add(high).wrapping_add(fold(low, high)))
        }
        17..=128 => {
            // Pairs of 16 bytes, from both ends.
            let pairs = (n - 1) / 32;
            let sum = (0..=pairs).fold(length(n), |sum, i| {
                let (front, back) = (mix(key, 16 * i, 32 * i), mix(key, n - 16 * (i + 1), 32 * i + 16));
                sum.wrapping_add(front).wrapping_add(back)
            });
            avalanche(sum)
        }
        129..=240 => {
            let first = (0..8).fold(length(n), |sum, i| sum.wrapping_add(mix(key, 16 * i, 16 * i)));
            let sum = (8..n / 16)
                .fold(avalanche(first), |sum, i| sum.wrapping_add(mix(key, 16 * i, 16 * (i - 8) + 3)));
            // The least secret has 136 bytes.
            avalanche(sum.wrapping_add(mix(key, n - 16, 136 - 17)))
        }
        _ => long(key),
    }
}

fn long(key: &[u8]) -> u64 {
    let n = key.len();
    let mut lanes = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1];
    let mut stripe = |at: usize, secret: usize, scramble: bool| {
        for (lane, i) in lanes.iter_mut().zip((0..).step_by(8)) {
            let value = le64(key, at + i);
            let keyed = value ^ le64(&SECRET, secret + i);
            *lane = lane.wrapping_add(value).wrapping_add((keyed & 0xffff_ffff).wrapping_mul(keyed >> 32));
        }
        if scramble {
            for (lane, i) in lanes.iter_mut().zip((0..).step_by(8)) {
                let mixed = *lane ^ *lane >> 47 ^ le64(&SECRET, SECRET.len() - STRIPE + i);
                *lane = mixed.wrapping_mul(PRIME32_1);
            }
        }
    };
    for i in 0..n / STRIPE {
        let of_block = i % STRIPES;
        stripe(i * STRIPE, of_block * CONSUMED, of_block == STRIPES - 1);
    }
    if !n.is_multiple_of(STRIPE) {
        stripe(n - STRIPE, SECRET.len() - STRIPE - 7, false);
    }
    let (pairs, _) = lanes.as_chunks::<2>();
    let merged = pairs.iter().zip((11..).step_by(16)).fold(length(n), |sum, ([low, high], at)| {
        sum.wrapping_add(fold(low ^ le64(&SECRET, at), high ^ le64(&SECRET, at + 8)))
    });
    avalanche(merged)
}

fn length(n: usize) -> u64 {
    (n as u64).wrapping_mul(PRIME64_1)
}

/// 16 bytes of the input, mixed with 16 bytes of the secret.
fn mix(key: &[u8], at: usize, secret: usize) -> u64 {
    fold(le64(key, at) ^ le64(&SECRET, secret), le64(key, at + 8) ^ le64(&SECRET, secret + 8))
}

/// Both halves of a product of 128 bits.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

fn avalanche(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 37).wrapping_mul(PRIME64_3);
    hash ^ hash >> 32
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn le32(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk).into())
}

/// 32 bits of a key: `BloomHash`.
pub(super) fn bloom_hash(key: &[u8]) -> u32 {
    const SEED: u32 = 0xbc9f_1d34;
    const FACTOR: u32 = 0xc6a4_a793;
    let (words, rest) = key.as_chunks::<4>();
    let hash = words.iter().fold(SEED ^ (key.len() as u32).wrapping_mul(FACTOR), |hash, word| {
        let hash = hash.wrapping_add(u32::from_le_bytes(*word)).wrapping_mul(FACTOR);
        hash ^ hash >> 16
    });
    if rest.is_empty() {
        return hash;
    }
    // Bytes have signs.
    let last = rest.iter().zip([0, 8, 16]).fold(hash, |hash, (byte, shift)| {
        hash.wrapping_add(i32::from(byte.cast_signed()).cast_unsigned() << shift)
    });
    let last = last.wrapping_mul(FACTOR);
    last ^ last >> 24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_have_the_hashes_of_rocksdb() {
        for (key, expected) in [
            (&b""[..], 5_999_572_062_939_766_020),
            (b"\x08", 583_283_813_901_344_696),
            (b"\x4d\x76", 6_859_542_833_406_258_115),
            (b"\x30\x46\x0b", 11_404_699_285_340_020_889),
            (b"\x67\x53\x81\x1c", 9_010_661_983_527_562_386),
            (b"\xd0\x7a\x6e\xea\x56", 6_384_167_718_754_869_899),
            (b"\x5c\x5e\xe1\xa0\x73\x81", 17_358_142_495_308_219_330),
            (b"\x5c\xbe\x97\x75\x54\x9a\x52", 5_716_522_398_211_028_826),
            (b"\x31\x1b\x98\x75\x96\x22\xd3\x9a", 9_844_314_944_338_447_628),
            (b"\x1a\xb5\xd0\xfe\xab\xc3\x61\xb2\x99", 13_253_403_748_084_181_481),
            (b"\x22\x6f\x39\x1f\xf8\xdd\x4f\x52\x17\x94", 12_883_919_702_069_153_152),
        ] {
            assert_eq!(hash64(key), expected, "{key:x?}");
        }
    }

    /// What RocksDB's tests make of the hashes of the first 0 to 429 bytes of a text that is repeated: a character for each, by the remainder of 61.
    const OF_ROCKSDB: &str = concat!(
        "c1EeRkukbkb28wLTahwD2sfUhZzaBEnF8SVrxnPVB6A7b8CaAl3UKsDZISF92GSq2wDCukOq",
        "Jgrsp7A3KZhDiLW8dFXp8UPqPxMCRlMdZeVeJ2dJxrmA6cyt99zkQFj7ELbut6jAeVqARFnw",
        "fnWVXOsaLrq7bDCbMcns2DKvTaaqTCLMYxI7nhtLpFN1jR755FRQFcOzrrDbh7QhypjdvlYw",
        "cdAMSZgp9JMHxbM23wPSuH6BOFgxejz35PScZfhDPvTOxIy1jc3MZsWrMC3P324zNolO7JdW",
        "CX2I5UDKjjaEJfxbgVgJIXxtQGlmj2xkO5sPpjULQV4X2HlY7FQleJ4QRaJIB4buhCA4vUTF",
        "eMFlxCIYUpTCsal2qsmnGOWa8WCcefrohMjDj1fjzSvSaQwlpyR1GZHF2uPOoQagiCpHpm",
    );

    #[test]
    fn keys_of_any_length_have_the_hashes_of_rocksdb() {
        let digits = b"abcdefghijklmnopqrstuvwxyz123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let text = b"RocksDB".repeat(62);
        let found = (0..430).map(|n| char::from(digits[(hash64(&text[..n]) % 61) as usize]));
        assert_eq!(found.collect::<String>(), OF_ROCKSDB);
    }
}
