//! Where a byte stands in a text.

/// The place of a byte: line and column from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: usize,
}

impl TextPosition {
    /// The place after these bytes.
    pub fn after(self, bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let in_line = bytes.iter().rev().take_while(|byte| **byte != b'\n').count();
        match lines {
            0 => Self { column: self.column + in_line, ..self },
            _ => Self { line: self.line + lines, column: in_line + 1 },
        }
    }
}
