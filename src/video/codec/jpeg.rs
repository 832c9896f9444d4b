//! The segments of a JPEG before its first scan (ITU-T T.81, annex B).

/// True for a JPEG with quantisation and Huffman tables of its own before its first scan.
pub(crate) fn has_tables(data: &[u8]) -> bool {
    let (mut quantisation, mut huffman) = (false, false);
    let mut rest = data.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = *rest {
        match marker {
            0xdb => quantisation = true,
            0xc4 => huffman = true,
            0xda => break,
            _ => {}
        }
        rest = rest.get(2 + usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
    }
    quantisation && huffman
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jpegs_need_their_own_tables() {
        let tables = [0xff, 0xd8, 0xff, 0xdb, 0, 3, 9, 0xff, 0xc4, 0, 2, 0xff, 0xda, 0, 2];
        assert!(has_tables(&tables));
        assert!(!has_tables(&tables[..7]) && !has_tables(&[]) && !has_tables(&[0xff; 40]));
    }
}
