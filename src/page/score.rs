//! The score of a specimen.

use serde_json::{Value, json};

use crate::specimen::SpecimenScore;

/// What a specimen's cells say together.
pub(super) fn score(of: &SpecimenScore) -> Value {
    let among = of.among.map(|among| {
        json!({
            "all": among.all,
            "all_below": among.all_below,
            "hem": among.hem,
            "hem_below": among.hem_below,
        })
    });
    json!({
        "value": of.score.map(|score| score.value),
        "lower": of.score.map(|score| score.lower),
        "upper": of.score.map(|score| score.upper),
        "cells": of.score.map(|score| score.cells),
        "among": among,
        "missing_why": of.missing.as_ref().map(|missing| missing.message.as_str()),
    })
}
