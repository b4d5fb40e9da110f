//! A specimen's figures as clients see them.

use super::{convert, proto, sign_off};
use crate::fraction::{Share, Standing};
use crate::journal::{SlideCounts, SpecimenCounts};
use crate::result::RESEARCH_USE_ONLY;
use crate::service::{ListedSpecimen, SpecimenFigures};
use crate::specimen::{Among, Correction, Flag, Missing, SpecimenScore, blast_fraction};

/// Everything but the specimen's and the slide's name.
pub(super) fn answer(figures: SpecimenFigures, epoch: &str) -> proto::GetSpecimenResponse {
    let SpecimenFigures { counts, share, correction, flags, score, sign_off } = figures;
    let flags = flags.into_iter().map(flag).collect();
    let named = counts.slides.iter().filter(|slide| !slide.slide.is_empty());
    proto::GetSpecimenResponse {
        all: counts.tally.all,
        hem: counts.tally.hem,
        review: counts.tally.review,
        rejected: counts.tally.rejected,
        blast_fraction: share.map(fraction),
        slides: named.map(|slide| slide.slide.clone()).collect(),
        corrected_fraction: Some(corrected(&counts, &correction)),
        score: Some(scored(&score)),
        flags,
        first_classified_at: counts.first_classified_at.map(convert::time),
        last_classified_at: counts.last_classified_at.map(convert::time),
        as_of_sequence: counts.as_of_sequence,
        per_slide: counts.slides.into_iter().map(slide).collect(),
        notice: RESEARCH_USE_ONLY.to_owned(),
        sign_off: sign_off.map(|own| sign_off::sign_off(own, epoch)),
        ..proto::GetSpecimenResponse::default()
    }
}

/// A specimen of the listing; none for the cells that name none, or where retention has removed it
/// meanwhile.
pub(super) fn listed(listed: ListedSpecimen, epoch: &str) -> Option<proto::ListedSpecimen> {
    let figures = listed.figures?;
    let cells = figures.counts.tally;
    Some(proto::ListedSpecimen {
        specimen: listed.line.specimen,
        all: cells.all,
        hem: cells.hem,
        review: cells.review,
        rejected: cells.rejected,
        sign_off: figures.sign_off.map(|own| sign_off::sign_off(own, epoch)),
        last_classified_at: figures.counts.last_classified_at.map(convert::time),
    })
}

const fn fraction(share: Share) -> proto::Fraction {
    proto::Fraction { value: share.value, lower: share.lower, upper: share.upper }
}

fn slide(counts: SlideCounts) -> proto::SlideCounts {
    let SlideCounts { slide, tally } = counts;
    proto::SlideCounts {
        slide,
        all: tally.all,
        hem: tally.hem,
        review: tally.review,
        rejected: tally.rejected,
        blast_fraction: blast_fraction(&tally).map(fraction),
    }
}

fn corrected(counts: &SpecimenCounts, correction: &Correction) -> proto::CorrectedFraction {
    let interval = correction.fraction.and_then(|fraction| fraction.interval);
    // Without a value nothing was counted at a threshold that anybody could use.
    let counted = correction.fraction.map(|_| (counts.at_or_above, counts.tally.classified()));
    let (at_or_above, classified) = counted.unwrap_or_default();
    proto::CorrectedFraction {
        value: correction.fraction.map(|fraction| fraction.value),
        lower: interval.map(|(lower, _)| lower),
        upper: interval.map(|(_, upper)| upper),
        reason: correction.missing.as_ref().map(reason),
        at_or_above,
        classified,
        sensitivity: correction.rates.map(|(sensitivity, _)| sensitivity.value),
        specificity: correction.rates.map(|(_, specificity)| specificity.value),
    }
}

fn reason(missing: &Missing) -> proto::Reason {
    proto::Reason { code: missing.code.to_owned(), message: missing.message.clone() }
}

fn scored(of: &SpecimenScore) -> proto::SpecimenScore {
    let Among { all, all_below, hem, hem_below } = of.among.unwrap_or_default();
    proto::SpecimenScore {
        value: of.score.map(|score| score.value),
        lower: of.score.map(|score| score.lower),
        upper: of.score.map(|score| score.upper),
        cells: of.score.map_or(0, |score| score.cells),
        persons_with_all: all,
        persons_with_all_below: all_below,
        healthy_persons: hem,
        healthy_persons_below: hem_below,
        reason: of.missing.as_ref().map(reason),
    }
}

fn flag(flag: Flag) -> proto::FractionFlag {
    let word = |standing: Option<Standing>| standing.map_or("", Standing::as_str).to_owned();
    proto::FractionFlag {
        fraction: flag.fraction,
        blast_fraction: word(flag.counted),
        corrected_fraction: word(flag.corrected),
    }
}
