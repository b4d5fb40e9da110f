//! What was measured of a picture, as the text of one column.
//!
//! A JSON array: the [measures](Measures::NAMES) in their order, then the feature distance and its limit; `null` for what
//! was not measured. One column instead of ten, because the definitions of all tables must fit into one page of the file
//! (`recover/skeleton.rs`). The numbers read back to the last bit.

use crate::cell::Measures;
use crate::result::{Distance, Figures};

/// How many numbers there are.
const COUNT: usize = Measures::NAMES.len() + 2;

/// The text of these figures.
pub(super) fn write(figures: &Figures) -> String {
    let measures = figures.measures.map(|measures| measures.values());
    let measure = |place: usize| measures.map(|values| values[place]);
    let distance =
        [figures.distance.map(|far| far.distance), figures.distance.map(|far| far.limit)];
    let mut text = String::with_capacity(192);
    for (place, value) in (0..Measures::NAMES.len()).map(measure).chain(distance).enumerate() {
        text.push(if place == 0 { '[' } else { ',' });
        match value {
            // What is no number would be no JSON, and says nothing.
            Some(value) if value.is_finite() => text.push_str(&format!("{value:?}")),
            _ => text.push_str("null"),
        }
    }
    text.push(']');
    text
}

/// The figures of this text; none where it is not what [`write`] makes.
pub(super) fn read(text: &str) -> Option<Figures> {
    let mut values = [None; COUNT];
    let mut words = text.strip_prefix('[')?.strip_suffix(']')?.split(',');
    for value in &mut values {
        let word = words.next()?;
        if word != "null" {
            let number: f64 = word.parse().ok()?;
            *value = Some(number).filter(|number| number.is_finite());
            (*value)?;
        }
    }
    if words.next().is_some() {
        return None;
    }
    let [area, frame, solidity, sharpness, brightness, contrast, saturation, hue, distance, limit] =
        values;
    let measures = || {
        Some(Measures {
            area: area?,
            frame: frame?,
            solidity: solidity?,
            sharpness: sharpness?,
            brightness: brightness?,
            contrast: contrast?,
            saturation: saturation?,
            hue: hue?,
        })
    };
    let far = || Some(Distance { distance: distance?, limit: limit? });
    Some(Figures { measures: measures(), distance: far() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measures(values: [f64; 8]) -> Measures {
        let [area, frame, solidity, sharpness, brightness, contrast, saturation, hue] = values;
        Measures { area, frame, solidity, sharpness, brightness, contrast, saturation, hue }
    }

    proptest! {
        #[test]
        fn figures_read_back_to_the_last_bit(
            values in prop::array::uniform8(-1e12_f64..1e12), far in prop::option::of((0.0..1e9_f64, 1e-9..1e9_f64)),
            is_cell: bool
        ) {
            let figures = Figures {
                measures: is_cell.then(|| measures(values)),
                distance: far.map(|(distance, limit)| Distance { distance, limit }),
            };
            let text = write(&figures);
            prop_assert_eq!(read(&text), Some(figures));
            let json: Vec<Option<f64>> = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(json.len(), COUNT);
        }

        #[test]
        fn nothing_else_is_read(text in "[\\[\\], .0-9einul-]{0,40}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn what_is_no_number_is_absent_and_what_is_too_short_is_refused() {
        let figures =
            Figures { distance: Some(Distance { distance: f64::NAN, limit: 1.5 }), measures: None };
        let text = write(&figures);
        assert_eq!(text, "[null,null,null,null,null,null,null,null,null,1.5]");
        assert_eq!(read(&text), Some(Figures::default()));
        for text in
            ["", "[]", "[1,2]", "null", &text.replace("1.5", "inf"), &text.replace(']', ",1]")]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
