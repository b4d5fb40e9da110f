//! Domain words → JSON, as the page's modules read it. Times are milliseconds since 1970.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::cell::Measures;
use crate::journal;
use crate::journal::agreement::ReaderCount;
use crate::model::examine::Examined;
use crate::model::field::ExaminedCell;
use crate::model::manifest::{Manifest, Metric};
use crate::model::reference::Reference;
use crate::pipeline::Attempt;
use crate::result::{
    Capture, CaptureKind, Field, FieldFigures, Figures, Label, Reason, Record, Source, Tally,
};
use crate::review::{Review, Reviewed, Standing, Verdict};
use crate::service::{
    FolderStatus, Gallery, ListedSpecimen, Report, Served, SpecimenFigures, Status, StoredCapture,
};
use crate::summary::SpecimenSummary;

use super::{score, sign_off};

/// A result with its standing.
pub(super) fn cell(record: &Record, standing: &Standing) -> Value {
    let mut value = result(record);
    value["standing"] = self::standing(standing);
    value
}

/// A result as it was stored.
pub(super) fn result(record: &Record) -> Value {
    let finding = &record.finding;
    json!({
        "sequence": record.sequence,
        "result_id": finding.result_id,
        "specimen": finding.ids.specimen,
        "slide": finding.ids.slide,
        "cell": finding.ids.cell,
        "decision": finding.decision,
        "p_all": finding.p_all,
        "label": finding.label(),
        "reasons": reasons(&finding.reasons),
        "flags": finding.quality_flags,
        "classified_at": finding.classified_at,
        "captured_at": record.capture.captured_at,
        "field": record.field,
        "ordinal": finding.ordinal,
        "region": finding.region,
        "outline": finding.outline,
        "model": finding.model,
        "source": source(&record.capture),
        "digest": record.capture.digest.map(|digest| digest.to_string()),
    })
}

fn reasons(reasons: &[Reason]) -> Value {
    let reason = |reason: &Reason| json!({"code": reason.code, "message": reason.message});
    reasons.iter().map(reason).collect()
}

fn source(capture: &Capture) -> Value {
    let kind = if capture.kind == CaptureKind::Field { "field" } else { "cell" };
    match &capture.source {
        Source::Folder(path) => json!({"kind": kind, "file": path.to_string()}),
        Source::Rpc { request_id, client, .. } => {
            json!({"kind": kind, "request": request_id, "client": client})
        }
    }
}

/// The word for a verdict, which a filter takes too.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Suggested => "suggested",
        Verdict::Confirmed => "confirmed",
        Verdict::Corrected => "corrected",
    }
}

fn standing(standing: &Standing) -> Value {
    let latest = standing.latest.as_ref();
    json!({
        "verdict": verdict(standing.verdict),
        "reviews": standing.reviews,
        "label": latest.map(|latest| latest.label),
        "reviewer": latest.map(|latest| latest.reviewer.as_str()),
        "at": latest.map(|latest| latest.at),
    })
}

/// A review.
pub(super) fn review(review: &Review) -> Value {
    json!({
        "sequence": review.sequence,
        "review_id": review.review_id,
        "of": review.of.sequence,
        "result_id": review.of.result_id,
        "specimen": review.of.ids.specimen,
        "label": review.label,
        "confirms": review.confirms,
        "blind": review.blind,
        "reviewer": review.reviewer,
        "client": review.client,
        "note": review.note,
        "at": review.reviewed_at,
    })
}

/// What leukd suggested of a reviewed cell.
pub(super) fn suggestion(of: &Reviewed) -> Value {
    json!({"decision": of.decision, "p_all": of.p_all, "label": of.label()})
}

/// A cell without anything that leukd says of it.
pub(super) fn blind(record: &Record) -> Value {
    let finding = &record.finding;
    json!({
        "sequence": record.sequence,
        "result_id": finding.result_id,
        "specimen": finding.ids.specimen,
        "slide": finding.ids.slide,
        "cell": finding.ids.cell,
        "field": record.field,
    })
}

/// The figures of a cell, each beside the bounds of the training cells.
pub(super) fn figures(figures: Option<&Figures>, reference: Option<&Reference>) -> Value {
    let Some(figures) = figures else { return json!([]) };
    let mut lines = Vec::new();
    if let Some(measures) = &figures.measures {
        for (name, value) in Measures::NAMES.into_iter().zip(measures.values()) {
            let bounds = reference.and_then(|reference| reference.bounds.get(name));
            let (lower, upper) = (bounds.map(|b| b.0), bounds.map(|b| b.1));
            lines.push(json!({"name": name, "value": value, "lower": lower, "upper": upper}));
        }
    }
    if let Some(far) = &figures.distance {
        let name = "feature_distance";
        lines.push(json!({"name": name, "value": far.distance, "lower": 0, "upper": far.limit}));
    }
    Value::Array(lines)
}

/// The scale of a field of view, and its origin.
pub(super) fn scale(field: &FieldFigures) -> Value {
    json!({
        "micrometres_per_pixel": field.micrometres_per_pixel,
        "source": field.scale_source,
    })
}

fn tally(tally: &Tally) -> Value {
    json!({
        "all": tally.all,
        "hem": tally.hem,
        "review": tally.review,
        "rejected": tally.rejected,
    })
}

/// A specimen of the listing.
pub(super) fn listed(listed: &ListedSpecimen) -> Value {
    let ListedSpecimen { line, figures } = listed;
    json!({
        "specimen": line.specimen,
        "newest": line.newest,
        "to_review": line.to_review,
        "figures": figures.as_ref().map(specimen),
    })
}

/// A specimen's figures.
pub(super) fn specimen(figures: &SpecimenFigures) -> Value {
    let SpecimenFigures { counts, share, correction, flags, score, sign_off } = figures;
    let share = share
        .map(|share| json!({"value": share.value, "lower": share.lower, "upper": share.upper}));
    let fraction = correction.fraction;
    let corrected = fraction.map(|fraction| {
        let (lower, upper) = fraction.interval.unzip();
        json!({"value": fraction.value, "lower": lower, "upper": upper})
    });
    let flags = flags.iter().map(|flag| {
        json!({
            "fraction": flag.fraction,
            "counted": flag.counted.map(crate::fraction::Standing::as_str),
            "corrected": flag.corrected.map(crate::fraction::Standing::as_str),
        })
    });
    let slides = counts
        .slides
        .iter()
        .map(|slide| json!({"slide": slide.slide, "cells": tally(&slide.tally)}));
    json!({
        "cells": tally(&counts.tally),
        "share": share,
        "corrected": corrected,
        "uncorrected_why": correction.missing.as_ref().map(|missing| missing.message.as_str()),
        "flags": flags.collect::<Vec<_>>(),
        "score": score::score(score),
        "slides": slides.collect::<Vec<_>>(),
        "first_at": counts.first_classified_at,
        "last_at": counts.last_classified_at,
        "sign_off": sign_off.as_ref().map(sign_off::sign_off),
    })
}

/// First answers of readers, each with the day (UTC) of the last one.
pub(super) fn readers(readers: &[ReaderCount]) -> Value {
    let line = |count: &ReaderCount| {
        json!({
            "reviewer": count.reviewer,
            "answers": count.answers,
            "agreed": count.agreed,
            "blind": count.blind,
            "blind_agreed": count.blind_agreed,
            "changed": count.changed,
            "first_at": count.first_at,
            "last_at": count.last_at,
        })
    };
    readers.iter().map(line).collect()
}

/// The report of a specimen.
pub(super) fn report(report: &Report) -> Value {
    let Report { figures, to_review, likeliest, readers, made_at } = report;
    let gallery = |gallery: &Gallery| {
        let shown = gallery.cells.iter().map(|(record, standing)| cell(record, standing));
        json!({"cells": shown.collect::<Vec<_>>(), "total": gallery.total})
    };
    json!({
        "figures": specimen(figures),
        "as_of": figures.counts.as_of_sequence,
        "digests": figures.counts.models,
        "to_review": gallery(to_review),
        "likeliest": gallery(likeliest),
        "readers": self::readers(readers),
        "made_at": made_at,
    })
}

/// A capture with its cells.
pub(super) fn capture(capture: &StoredCapture) -> Value {
    let StoredCapture { stored, standings } = capture;
    let cells = stored.records.iter().zip(standings);
    let cells: Vec<Value> = cells.map(|(record, standing)| cell(record, standing)).collect();
    json!({
        "head": stored.sequence,
        "source": stored.capture().map(source),
        "field": stored.field.as_deref().map(field),
        "cells": cells,
    })
}

/// The end of a field of view.
pub(super) fn field(field: &Field) -> Value {
    json!({
        "sequence": field.sequence,
        "cells": tally(&field.cells),
        "took_us": field.took_us,
        "stored_at": field.stored_at,
    })
}

/// The event that sums a specimen up.
pub(super) fn summary(summary: &SpecimenSummary) -> Value {
    json!({
        "sequence": summary.sequence,
        "specimen": summary.specimen,
        "cells": tally(&summary.cells),
        "stored_at": summary.stored_at,
    })
}

/// An event with its kind.
pub(super) fn event(event: &journal::Event) -> (&'static str, Value) {
    match event {
        journal::Event::Result(record) => ("result", result(record)),
        journal::Event::Field(own) => ("field", field(own)),
        journal::Event::Review(own) => ("review", review(own)),
        journal::Event::Specimen(own) => ("specimen", summary(own)),
        journal::Event::Signature(own) => ("signature", sign_off::signature(own)),
    }
}

/// The daemon's state.
pub(super) fn status(status: &Status) -> Value {
    let degraded = status.degraded.iter().map(|degradation| {
        json!({
            "component": degradation.component.as_str(),
            "message": degradation.message,
            "since": degradation.since,
        })
    });
    let folders: Vec<Value> = status.folders.iter().map(folder).collect();
    let journal = status.journal.as_ref().map(|journal| {
        json!({
            "epoch": journal.epoch,
            "oldest": journal.bounds.oldest,
            "newest": journal.bounds.newest,
            "free_bytes": journal.free_bytes,
        })
    });
    json!({
        "degraded": degraded.collect::<Vec<_>>(),
        "folders": folders,
        "journal": journal,
    })
}

fn folder(folder: &FolderStatus) -> Value {
    let FolderStatus { state, counts } = folder;
    let counts = counts.unwrap_or_default();
    json!({
        "folder": state.folder,
        "reachable": state.reachable,
        "settling": state.settling,
        "waiting": state.queued + state.waiting_on_disk,
        "done": counts.done,
        "duplicates": counts.duplicates,
        "rejected": counts.rejected,
        "last_scan_at": state.last_scan_at,
    })
}

/// The card of the model in service.
pub(super) fn model(served: &Served) -> Value {
    let model = &served.model;
    let manifest: &Manifest = model.manifest();
    let (lower, upper) = model.band().in_force();
    let metric = |metric: &Metric| {
        let (lower, upper) = metric.interval.unzip();
        json!({
            "name": metric.name, "value": metric.value, "lower": lower, "upper": upper,
            "split": metric.split, "cells": metric.cells, "subjects": metric.subjects,
        })
    };
    let training = &manifest.training;
    json!({
        "id": manifest.id,
        "digest": model.digest().to_string(),
        "origin": model.origin(),
        "since": served.since,
        "engine": served.engine.word(),
        "threshold": manifest.calibration.threshold,
        "review": [lower, upper],
        "review_why": model.band().why(),
        "precision": manifest.precision.as_str(),
        "trained_at": training.trained_at,
        "trainer": training.trainer,
        "data": training.data,
        "split": training.split,
        "cells": training.cells,
        "metrics": manifest.metrics.iter().map(metric).collect::<Vec<_>>(),
        "card": manifest.card,
    })
}

/// What leukd would say of an image.
pub(super) fn attempt(attempt: &Attempt) -> Value {
    let cell = |(cell, map): (&ExaminedCell, Option<&Option<Vec<u8>>>)| {
        let Examined { p_all, judgement, quality_flags, quality, .. } = &cell.examined;
        let place = cell.place.as_ref();
        json!({
            "p_all": p_all,
            "label": Label::likelier(*p_all),
            "decision": judgement.decision,
            "reasons": reasons(&judgement.reasons),
            "flags": quality_flags,
            "figures": figures(Some(quality), None),
            "region": place.map(|place| place.region),
            "outline": place.map(|place| {
                place.outline.iter().map(|point| [point.x, point.y]).collect::<Vec<_>>()
            }),
            "map": map.and_then(Option::as_deref).map(|png| STANDARD.encode(png)),
        })
    };
    let maps = (0..attempt.examined.cells.len()).map(|place| attempt.maps.get(place));
    json!({
        "field": attempt.examined.field.is_some(),
        "width": attempt.size.0,
        "height": attempt.size.1,
        "png": STANDARD.encode(&attempt.png),
        "model": attempt.model,
        "cells": attempt.examined.cells.iter().zip(maps).map(cell).collect::<Vec<_>>(),
    })
}
