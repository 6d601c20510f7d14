//! The line and column of a byte in a text.

/// The position of a byte: line and column from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    pub line: u64,
    pub column: usize,
}

impl TextPosition {
    /// Returns the position after these bytes.
    pub fn after(self, bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        let in_line = bytes.iter().rev().take_while(|byte| **byte != b'\n').count();
        match lines {
            0 => Self { column: self.column + in_line, ..self },
            _ => Self { line: self.line + lines, column: in_line + 1 },
        }
    }
}
