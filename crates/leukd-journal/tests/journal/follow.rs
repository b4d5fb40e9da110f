//! Who waits for a result of one kind is woken by that kind alone.

use std::time::Duration;

use leukd_journal::filter::{Criteria, Filter};
use leukd_journal::result::Decision;
use leukd_journal::{Journal, Waiter};

use crate::fixtures::{capture, open, request, stored};

fn waiting_for(journal: &Journal, specimen: &str) -> Waiter {
    let criteria = Criteria { specimen: specimen.to_owned(), ..Criteria::default() };
    journal.wait_for(Filter::new(criteria).unwrap(), 0)
}

async fn is_woken(follower: &Waiter) -> bool {
    tokio::time::timeout(Duration::from_millis(100), follower.woken()).await.is_ok()
}

#[tokio::test]
async fn a_follower_is_woken_by_what_it_waits_for_and_moves_past_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let follower = waiting_for(&journal, "theirs");
    follower.wait_after(0);
    for number in 0..5 {
        stored(&journal, capture(&format!("{number}.bmp"), 1, &number.to_string(), Decision::All))
            .await;
    }
    assert!(!is_woken(&follower).await);
    assert_eq!(follower.passed(), 5);
    stored(&journal, request("a", "theirs", "m")).await;
    assert!(is_woken(&follower).await);
    assert_eq!(follower.passed(), 5, "the sixth is to be read");
    follower.wait_after(6);
    assert!(!is_woken(&follower).await);
}

#[tokio::test]
async fn what_was_stored_before_the_wait_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let follower = waiting_for(&journal, "theirs");
    stored(&journal, request("a", "theirs", "m")).await;
    stored(&journal, request("b", "others", "m")).await;
    follower.wait_after(0);
    assert!(is_woken(&follower).await);
    assert_eq!(follower.passed(), 0);
}

#[tokio::test]
async fn a_follower_that_is_behind_is_told_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    stored(&journal, request("a", "others", "m")).await;
    stored(&journal, request("b", "others", "m")).await;
    let follower = waiting_for(&journal, "theirs");
    follower.wait_after(1);
    assert!(is_woken(&follower).await, "nobody looked at the second one for it");
    stored(&journal, request("c", "others", "m")).await;
    assert_eq!(journal.read_after(1, 9).unwrap().events.len(), 2);
}
