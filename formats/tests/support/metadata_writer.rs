//! A test-side writer of `_metadata` files: the reverse of the decoder, written from the
//! specification and used by tests and benches only.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::expect_used)]

/// Bytes as Java's `DataOutput` writes them.
#[derive(Debug, Clone, Default)]
pub struct Out(pub Vec<u8>);

impl Out {
    pub fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }
    pub fn i32(&mut self, v: i32) -> &mut Self {
        self.0.extend(v.to_be_bytes());
        self
    }
    pub fn i64(&mut self, v: i64) -> &mut Self {
        self.0.extend(v.to_be_bytes());
        self
    }
    pub fn raw(&mut self, v: &[u8]) -> &mut Self {
        self.0.extend(v);
        self
    }
    /// ASCII only.
    pub fn utf(&mut self, v: &str) -> &mut Self {
        self.0.extend(u16::try_from(v.len()).expect("a short string").to_be_bytes());
        self.raw(v.as_bytes())
    }
    pub fn bytes32(&mut self, v: &[u8]) -> &mut Self {
        self.i32(i32::try_from(v.len()).expect("a short array"));
        self.raw(v)
    }
    pub fn count(&mut self, n: usize) -> &mut Self {
        self.i32(i32::try_from(n).expect("a small count"))
    }

    pub fn header(&mut self, version: i32, checkpoint_id: i64, operators: usize) -> &mut Self {
        self.i32(0x4960_672d).i32(version).i64(checkpoint_id).i32(0).count(operators)
    }
    pub fn master_header(&mut self, name: &str, payload: &[u8]) -> &mut Self {
        let mut inner = Self::default();
        inner.i32(3).utf(name).bytes32(payload);
        self.i32(0xc96b_1696u32.cast_signed()).bytes32(&inner.0)
    }
    /// An operator up to its number of subtasks, which follows for versions from 3 on.
    pub fn operator(
        &mut self,
        version: i32,
        name: &str,
        uid: &str,
        id: [u8; 16],
        parallelism: i32,
        max: i32,
    ) -> &mut Self {
        if version >= 5 {
            self.utf(name).utf(uid);
        }
        self.raw(&id).i32(parallelism).i32(max);
        if version == 2 { self.i32(1) } else { self }
    }
    pub fn null(&mut self) -> &mut Self {
        self.u8(0)
    }
    pub fn byte_stream(&mut self, name: &str, data: &[u8]) -> &mut Self {
        self.u8(1).utf(name).bytes32(data)
    }
    pub fn file(&mut self, path: &str, size: i64) -> &mut Self {
        self.u8(2).i64(size).utf(path)
    }
    pub fn relative(&mut self, path: &str, size: i64) -> &mut Self {
        self.u8(6).utf(path).i64(size)
    }
    pub fn segment(&mut self, path: &str, start: i64, size: i64, scope: i32) -> &mut Self {
        self.u8(15).i64(start).i64(size).i32(scope).utf(path).utf("logical")
    }
    /// The body shared by tags 3, 7 and 12, up to the stream.
    pub fn key_groups(&mut self, tag: u8, start: i32, offsets: &[i64]) -> &mut Self {
        self.u8(tag).i32(start).count(offsets.len());
        offsets.iter().fold(self, |out, &o| out.i64(o))
    }
    /// An incremental handle up to its meta data, which is followed by the shared files, the private ones, and its id.
    pub fn incremental_head(&mut self, checkpoint: i64, start: i32, count: i32, uploaded: i64) -> &mut Self {
        self.u8(11).i64(checkpoint).utf("0f0e0d0c-0b0a-0908-0706-050403020100");
        self.i32(start).i32(count).i64(uploaded)
    }
    /// An incremental handle whose files are all given as (name, shared, path, size).
    pub fn incremental(
        &mut self,
        checkpoint: i64,
        start: i32,
        count: i32,
        meta: &str,
        files: &[(&str, bool, &str, i64)],
    ) -> &mut Self {
        self.incremental_head(checkpoint, start, count, 77).relative(meta, 9);
        for shared in [true, false] {
            let list: Vec<_> = files.iter().filter(|f| f.1 == shared).collect();
            self.count(list.len());
            for (name, _, path, size) in list {
                self.utf(name).file(path, *size);
            }
        }
        self.utf("handle-id")
    }
    pub fn operator_state(&mut self, states: &[(&str, u8, &[i64])]) -> &mut Self {
        self.u8(4).operator_states(states)
    }
    pub fn operator_states(&mut self, states: &[(&str, u8, &[i64])]) -> &mut Self {
        self.count(states.len());
        for (name, mode, offsets) in states {
            self.utf(name).u8(*mode).count(offsets.len());
            offsets.iter().fold(&mut *self, |out, &o| out.i64(o));
        }
        self
    }
}
