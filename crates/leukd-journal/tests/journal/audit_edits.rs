//! Any edit of any row that the chain protects is found, and a fitting record named.

use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::audit::{fault, record_of, story, tool, whole};

#[tokio::test]
async fn every_column_of_every_row_is_protected() {
    let directory = tempfile::tempdir().unwrap();
    let file = story(directory.path()).await;
    let tool = tool(&file);
    for (table, key) in [("events", "sequence"), ("results", "sequence"), ("audit", "number")] {
        for column in columns(&tool, table) {
            for row in keys(&tool, table, key) {
                try_edit(&file, &tool, table, key, row, &column, 0, 1);
            }
        }
    }
    whole(&file);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_random_edit_is_found_and_named(
        edits in prop::collection::vec((0..3u8, any::<u32>(), any::<u32>(), any::<u32>(), 1u8..), 4)
    ) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let file = runtime.block_on(story(directory.path()));
        let tool = tool(&file);
        for (table, row, column, place, flip) in edits {
            let (table, key) = [("events", "sequence"), ("results", "sequence"), ("audit", "number")]
                [usize::from(table)];
            let (columns, keys) = (columns(&tool, table), keys(&tool, table, key));
            let column = &columns[column as usize % columns.len()];
            let row = keys[row as usize % keys.len()];
            try_edit(&file, &tool, table, key, row, column, place as usize, flip);
        }
    }
}

fn columns(tool: &Connection, table: &str) -> Vec<String> {
    let mut columns =
        tool.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
    columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn keys(tool: &Connection, table: &str, key: &str) -> Vec<i64> {
    let mut keys = tool.prepare(&format!("SELECT {key} FROM {table} ORDER BY {key}")).unwrap();
    keys.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Changes one cell, sees that the chain finds it and names a fitting record, and puts it back.
#[expect(clippy::too_many_arguments, reason = "one cell and one change")]
fn try_edit(
    file: &Path,
    tool: &Connection,
    table: &str,
    key: &str,
    row: i64,
    column: &str,
    place: usize,
    flip: u8,
) {
    let sql = format!("SELECT {column} FROM {table} WHERE {key} = ?1");
    let before: Value = tool.query_row(&sql, [row], |row| row.get(0)).unwrap();
    let after = match &before {
        Value::Null => match column {
            "superseded_by" | "field" => Value::Integer(i64::from(flip)),
            "digest" => Value::Blob(vec![flip; 32]),
            "p_all" => Value::Real(f64::from(flip)),
            _ => Value::Text("x".to_owned()),
        },
        // Far from every other row's number.
        Value::Integer(number) => Value::Integer(number + 1000 * i64::from(flip)),
        Value::Real(number) => Value::Real(number + f64::from(flip)),
        Value::Text(text) if text.is_empty() => Value::Text("x".to_owned()),
        Value::Text(text) => {
            let mut chars: Vec<char> = text.chars().collect();
            let place = place % chars.len();
            chars[place] =
                char::from_u32(u32::from(chars[place]) + u32::from(flip)).unwrap_or('\u{0}');
            Value::Text(chars.into_iter().collect())
        }
        Value::Blob(blob) => {
            let mut blob = blob.clone();
            let place = place % blob.len();
            blob[place] ^= flip;
            Value::Blob(blob)
        }
    };
    let update = format!("UPDATE {table} SET {column} = ?1 WHERE {key} = ?2");
    let expected = if table == "audit" { row.cast_unsigned() } else { record_of(file, row) };
    if tool.execute(&update, (&after, row)).is_err() {
        return; // A constraint of the table refused it.
    }
    let found = fault(file, &[]);
    let about = format!("{table}.{column} of {row}: {before:?} -> {after:?}: {found:?}");
    if ["sequence", "superseded_by"].contains(&column) {
        assert!(found.number <= expected, "{about}");
    } else {
        assert_eq!(found.number, expected, "{about}");
    }
    let key_now = if column == key { &after } else { &Value::Integer(row) };
    tool.execute(&update, (&before, key_now)).unwrap();
}
