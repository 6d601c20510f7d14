//! Decompresses inputs. gzip and zstd are detected by their first bytes, not by the name of the file.

use std::{
    io::{self, BufRead, BufReader, Cursor, Read},
    mem,
};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

/// The number of bytes that identify a compression format.
const MAGIC_LEN: usize = 6;

/// The first bytes of unsupported formats, with their names and the commands that unpack them.
const UNSUPPORTED: [(&[u8], &str, &str); 5] = [
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", "lz4 -dc"),
    (&[0x1f, 0x9d], "compress", "uncompress -c"),
];

type Input = BufReader<Box<dyn Read + Send>>;

/// Returns a reader of the decompressed input.
///
/// # Errors
/// If the input cannot be read, or has an unsupported compression format or encoding.
pub fn unpacked(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(MAGIC_LEN);
    input.by_ref().take(MAGIC_LEN as u64).read_to_end(&mut head)?;
    let refused = |problem: String| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    if let Some((_, name, command)) = UNSUPPORTED.iter().find(|(magic, _, _)| head.starts_with(magic)) {
        return refused(format!("it is packed by {name}, and only gzip and zstd are read: unpack it with {command}"));
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return refused("it is UTF-16, and only UTF-8 is read: convert it with iconv -f UTF-16 -t UTF-8".to_owned());
    }
    let is_packed = match *head {
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        // A skippable frame of zstd (RFC 8878, 3.1.2), with which pzstd begins.
        [first, 0x2a, 0x4d, 0x18, ..] => first & 0xf0 == 0x50,
        _ => false,
    };
    let whole: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(input));
    Ok(match is_packed {
        true => Box::new(Decompressor::Between(BufReader::new(whole))),
        false => whole,
    })
}

/// Reads members of gzip and frames of zstd, one after another. Zero bytes between and after them are skipped, as by
/// `gzip -t`: tapes are padded with them.
enum Decompressor {
    Between(Input),
    Gzip(GzDecoder<Input>),
    Zstd(ZstdDecoder<'static, Input>),
    End,
}

impl Read for Decompressor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Between(_) | Self::End => 0,
                Self::Gzip(member) => member.read(buf).map_err(|error| broken("gzip", &error))?,
                Self::Zstd(frame) => frame.read(buf).map_err(|error| broken("zstd", &error))?,
            };
            if read > 0 || buf.is_empty() {
                return Ok(read);
            }
            *self = match mem::replace(self, Self::End) {
                Self::Between(input) => Self::next(input)?,
                Self::Gzip(member) => Self::Between(member.into_inner()),
                Self::Zstd(frame) => Self::Between(frame.finish()),
                Self::End => return Ok(0),
            };
        }
    }
}

impl Decompressor {
    /// Detects the next member or frame.
    fn next(mut input: Input) -> io::Result<Self> {
        loop {
            let rest = input.fill_buf()?;
            match rest.first() {
                None => return Ok(Self::End),
                Some(0) => {
                    let zeros = rest.iter().take_while(|byte| **byte == 0).count();
                    input.consume(zeros);
                }
                Some(0x1f) => return Ok(Self::Gzip(GzDecoder::new(input))),
                Some(0x28 | 0x50..=0x5f) => return Ok(Self::Zstd(ZstdDecoder::with_buffer(input)?.single_frame())),
                Some(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "after the packed data comes something else",
                    ));
                }
            }
        }
    }
}

fn broken(format: &str, error: &io::Error) -> io::Error {
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof => format!("the {format} data ends early: the file is cut off"),
        _ => format!("the {format} data is damaged: {error}"),
    };
    io::Error::new(error.kind(), problem)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).expect("memory takes it")
    }

    /// An input that returns one byte at a time, as a pipe may.
    struct Slow(Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = buf.len().min(1);
            self.0.read(&mut buf[..len])
        }
    }

    /// Returns the text that is read, and the error that ends it.
    fn read(input: &[u8]) -> (String, Option<String>) {
        let mut text = Vec::new();
        let input = Box::new(Slow(Cursor::new(input.to_vec())));
        let error = unpacked(input).and_then(|mut input| input.read_to_end(&mut text)).err();
        (String::from_utf8(text).expect("UTF-8"), error.map(|error| error.to_string()))
    }

    #[test]
    fn input_is_decompressed_if_compressed() {
        let skippable = [&[0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7], &zstd("b")[..]].concat();
        for (input, text) in [
            (b"".to_vec(), ""),
            (b"a".to_vec(), "a"),
            (b"plain text".to_vec(), "plain text"),
            (gzip(""), ""),
            (gzip("a"), "a"),
            (zstd(""), ""),
            (zstd("a"), "a"),
            (skippable, "b"),
            ([gzip("a"), gzip("b")].concat(), "ab"),
            ([zstd("a"), zstd("b"), gzip("c")].concat(), "abc"),
            ([gzip("a"), vec![0; 300]].concat(), "a"),
            ([gzip("a"), vec![0]].concat(), "a"),
            ([zstd("a"), vec![0; 70_000]].concat(), "a"),
            ([gzip("a"), vec![0; 100], gzip("b"), vec![0; 7]].concat(), "ab"),
        ] {
            assert_eq!(read(&input), (text.to_owned(), None));
        }
    }

    #[test]
    fn broken_input_gives_the_text_before_the_break() {
        let long: String = (0..20_000).map(|number| format!("{number}\n")).collect();
        for (whole, name) in [(gzip(&long), "gzip"), (zstd(&long), "zstd")] {
            let (text, error) = read(&whole[..whole.len() / 2]);
            assert!(long.starts_with(&text) && error.expect("an error").contains("cut off"), "{name}");
            let (_, error) = read(&whole[..whole.len() - 1]);
            assert!(error.expect("an error").contains("cut off"), "{name}");
            let mut damaged = whole.clone();
            damaged[whole.len() / 2..whole.len() / 2 + 64].fill(0x55);
            assert!(read(&damaged).1.expect("an error").contains("damaged"), "{name}");
        }
        for (rest, why) in
            [(&b"garbage"[..], "something else"), (b"\0\0\0garbage", "something else"), (&[0x1f], "cut off")]
        {
            let (text, error) = read(&[&gzip("a"), rest].concat());
            assert_eq!(text, "a");
            assert!(error.as_ref().is_some_and(|error| error.contains(why)), "{error:?}");
        }
    }

    #[test]
    fn unsupported_format_is_refused_with_a_command() {
        for (input, why) in [
            (&b"BZh91AY&SY"[..], "bzip2 -dc"),
            (b"\xfd7zXZ\0\0\x04", "xz -dc"),
            (b"PK\x03\x04\x14", "unzip -p"),
            (b"\xff\xfe{\0}\0", "UTF-16"),
        ] {
            let (text, error) = read(input);
            assert!(text.is_empty() && error.as_ref().is_some_and(|error| error.contains(why)), "{error:?}");
        }
    }
}
