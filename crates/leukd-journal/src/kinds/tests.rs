//! Payloads read back as they were written.

use proptest::prelude::*;

use super::*;
use crate::result::{
    Capture, CaptureKind, CapturePath, CellIds, Decision, Digest, Distance, Figures, Finding,
    ModelRef, Reason, ReasonCode, Region, Source, Timings,
};
use leukd_cell::Measures;

fn figures() -> impl Strategy<Value = Figures> {
    let measures = prop::option::of(prop::array::uniform8(-1e12_f64..1e12));
    let distance = prop::option::of((0.0..1e9_f64, 1e-9..1e9_f64));
    (measures, distance).prop_map(|(measures, distance)| Figures {
        measures: measures.map(
            |[area, frame, solidity, sharpness, brightness, contrast, saturation, hue]| Measures {
                area,
                frame,
                solidity,
                sharpness,
                brightness,
                contrast,
                saturation,
                hue,
            },
        ),
        distance: distance.map(|(distance, limit)| Distance { distance, limit }),
    })
}

fn source() -> impl Strategy<Value = Source> {
    let path = (".{0,20}", ".{0,20}");
    prop_oneof![
        path.prop_map(|(folder, path)| Source::Folder(CapturePath { folder, path })),
        (".{0,20}", ".{0,20}", ".{0,20}").prop_map(|(peer, request_id, client)| Source::Rpc {
            peer,
            request_id,
            client
        }),
    ]
}

fn capture() -> impl Strategy<Value = Capture> {
    (prop::option::of(any::<[u8; 32]>()), any::<u64>(), source(), any::<i64>(), any::<bool>())
        .prop_map(|(digest, size_bytes, source, captured_at, is_field)| Capture {
            digest: digest.map(Digest),
            size_bytes,
            source,
            captured_at: Timestamp(captured_at),
            kind: if is_field { CaptureKind::Field } else { CaptureKind::Cell },
        })
}

fn finding() -> impl Strategy<Value = Finding> {
    let place =
        prop::option::of((any::<[u32; 4]>(), prop::collection::vec(any::<[u32; 2]>(), 0..5)));
    let decision = prop::sample::select(vec![
        Decision::All,
        Decision::Hem,
        Decision::Review,
        Decision::Rejected,
    ]);
    let words = (".{0,9}", ".{0,9}", ".{0,9}", ".{0,30}");
    let timings = any::<[u64; 5]>();
    let numbers = (any::<u32>(), prop::option::of(0.0..=1.0_f64), any::<i64>());
    (words, place, decision, numbers, prop::option::of(figures()), timings).prop_map(
        |((specimen, slide, cell, text), place, decision, numbers, quality, timings)| {
            let [queue_us, read_us, decode_us, preprocess_us, infer_us] = timings;
            let region = |[x, y, width, height]: [u32; 4]| Region { x, y, width, height };
            Finding {
                result_id: text.clone(),
                ordinal: numbers.0,
                region: place.as_ref().map(|(corner, _)| region(*corner)),
                outline: place.map(|(_, outline)| outline),
                ids: CellIds { specimen, slide, cell },
                p_all: numbers.1,
                decision,
                reasons: vec![Reason::new(ReasonCode::Truncated, &text)],
                quality_flags: vec![text.clone()],
                quality,
                model: numbers.1.map(|_| ModelRef { id: text.clone(), digest: text }),
                classified_at: Timestamp(numbers.2),
                timings: Timings { queue_us, read_us, decode_us, preprocess_us, infer_us },
            }
        },
    )
}

proptest! {
    #[test]
    fn a_result_reads_back_to_the_last_bit(
        finding in finding(), capture in capture(),
        links in prop::option::of((any::<u64>(), any::<u64>()))
    ) {
        let record = Record {
            sequence: 7,
            supersedes: links.map(|links| links.0),
            field: links.map(|links| links.1),
            capture,
            finding,
        };
        let event = Event::Result(Arc::new(record));
        let payload = event.payload().unwrap();
        prop_assert_eq!(decode(7, "result", &payload).unwrap(), event);
    }

    #[test]
    fn another_text_is_refused_without_a_panic(text in "[\\[\\]{}:\", .0-9einul-]{0,40}") {
        for (kind, _) in KINDS {
            prop_assert!(decode(1, kind, &text).is_err());
        }
    }
}

#[test]
fn a_kind_that_nobody_knows_is_refused() {
    assert!(decode(1, "reslut", "{}").is_err());
}
