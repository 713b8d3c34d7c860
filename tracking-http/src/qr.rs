//! QR codes.

use std::fmt::Write;

use qrcodegen::{DataTooLong, QrCode, QrCodeEcc};

/// The most bytes of a URL that a QR code holds: version 40 with error correction M.
pub(crate) const MAX_LEN: usize = 2331;

/// How wide the margin is in modules, as ISO/IEC 18004 demands.
const QUIET_ZONE: i32 = 4;

/// How many pixels a module has where nothing else is said.
const SCALE: i32 = 8;

/// The QR code of a text as an SVG image, black on white, with error correction M, or better where that takes no more room.
pub(crate) fn svg(text: &str) -> Result<String, DataTooLong> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)?;
    let size = code.size() + 2 * QUIET_ZONE;
    let pixels = size * SCALE;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{pixels}" height="{pixels}" viewBox="0 0 {size} {size}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{size}v{size}H0z"/><path d=""##
    );
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let start = x;
            while code.get_module(x, y) {
                x += 1;
            }
            if x > start {
                // Writing to a String can't fail.
                let _ = write!(svg, "M{} {}h{}v1H{0}z", start + QUIET_ZONE, y + QUIET_ZONE, x - start);
            }
            x += 1;
        }
    }
    svg.push_str(r#""/></svg>"#);
    Ok(svg)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once_inside_the_quiet_zone() {
        for text in ["", "https://track.example.com/go?affiliate_id=1&campaign_id=10", &"x".repeat(MAX_LEN)] {
            let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
            let svg = svg(text).unwrap();
            let runs = svg.rsplit_once("d=\"").unwrap().1.split('M').skip(1).map(|run| {
                let (x, rest) = run.split_once(' ').unwrap();
                let (y, rest) = rest.split_once('h').unwrap();
                [x, y, rest.split_once('v').unwrap().0].map(|number| number.parse::<i32>().unwrap())
            });
            let mut drawn: Vec<(i32, i32)> =
                runs.flat_map(|[x, y, width]| (x..x + width).map(move |x| (y - QUIET_ZONE, x - QUIET_ZONE))).collect();
            let all = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (y, x)));
            let dark: Vec<(i32, i32)> = all.filter(|(y, x)| code.get_module(*x, *y)).collect();
            drawn.sort_unstable();
            assert_eq!(drawn, dark);
            let size = code.size() + 8;
            assert!(svg.contains(&format!("viewBox=\"0 0 {size} {size}\"")), "{svg}");
        }
    }

    #[test]
    fn the_limit_is_exact() {
        assert!(svg(&"x".repeat(MAX_LEN)).is_ok());
        assert!(svg(&"x".repeat(MAX_LEN + 1)).is_err());
    }
}
